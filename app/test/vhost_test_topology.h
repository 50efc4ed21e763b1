/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_TOPOLOGY_H
#define VHOST_TEST_TOPOLOGY_H

/*
 * A NUMA machine of the test's own, in place of the kernel's.
 *
 * Every block that the library takes is written into a book, with its node, and
 * leaves the book when it is given back.  So a test can say at any moment how
 * many blocks there are, where each one is, and whether each belongs to somebody.
 *
 * There are two kinds.  The made-up machine has as many nodes as a test wants
 * (numbered as it wants) on any host: blocks are ordinary memory, and the book
 * says which node they are on; guest memory is where the test says.  The real
 * machine is the kernel's: memory is the library's own, and nodes are asked for
 * page by page, with system calls that the library has no part in.
 *
 * Either can be told to refuse memory.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "numa_evidence.h"

struct vhost_device;

struct fake;

/** Put a made-up machine in place; everything is on the home node at first. */
void topology_make_up(void);
/** Put the real machine in place. */
void topology_make_real(void);
/** The kernel again; the number of blocks that were not given back. */
unsigned int topology_end(void);
/** End that and the frontend; the library shall have nothing left: a test's result. */
int topology_stop(struct fake *fe);

/** The node on which devices are born, also where there is no NUMA. */
int topology_home(void);

/* ---- guest memory of the made-up machine ---- */

/** All guest memory is on a node; a negative errno when nobody knows. */
void topology_guest_on(int node);
/** A part of it is elsewhere.  Later calls go before earlier ones. */
void topology_guest_part_on(uint64_t gpa, uint64_t len, int node);
/** A memory policy names this node for all guest memory; -ENOENT: none. */
void topology_guest_bound_to(int node);
/** Every question is answered with this negative errno; 0: with the truth. */
void topology_deny(int err);
/** The machine has this node only, which is believed in when questions are denied. */
void topology_only_node(int node);

/* ---- memory for the library ---- */

/** This node has no memory left, or has again.  ANY goes to the home node. */
void topology_node_full(int node, bool full);
/** The node has room for so many blocks in all; 0: for any number. */
void topology_node_room(int node, unsigned int blocks);
/**
 * The node has room for blocks of up to so many bytes, and what is larger and may
 * be anywhere comes from the spare node.  0 bytes: that was all.
 */
void topology_node_crowded(int node, size_t bytes, int spare);
/** Every node is full. */
void topology_all_full(bool full);
/**
 * Refuse some allocations: the first of them is the nth from now (1: the next
 * one).  count 0 refuses none.
 */
void topology_refuse(unsigned int nth, unsigned int count);
#define TOPOLOGY_FROM_THEN_ON UINT_MAX
/** How many blocks were asked for since topology_refuse(). */
unsigned int topology_asked(void);
/** The made-up machine gives memory of this node, whatever is asked; -1: no. */
void topology_misplace(int node);

/** Somebody migrates the library's own blocks that are on a node. */
void topology_blocks_go(int from, int to);

/** Blocks in the book: all, and those on a node. */
unsigned int topology_live(void);
unsigned int topology_live_on(int node);
/** Bytes of the block that begins there; 0 if none does. */
size_t topology_block_size(const void *block);
/** Is that a block, and is all of it on the node? */
bool topology_holds(const void *block, int node);

/* ---- devices ---- */

/**
 * Compare everything that a device has with where it should be: its replicas,
 * its queue blocks, and that no block is without an owner.  Only for tests with
 * one device.  That nothing is allocated past this book, but for what only the
 * control thread looks at, is for devtools/check-datapath.py to say.
 *
 * @param queue_nodes  one per vring
 * @return 0, or -1 and a line of output
 */
int topology_inventory(const struct fake *fe, int dev_node, const int *queue_nodes);
/** The same with everything on one node. */
int topology_inventory_on(const struct fake *fe, int node);
/** The same without an opinion about nodes. */
int topology_inventory_anywhere(const struct fake *fe);

/** Queues of the device that have an async area, which is a block. */
unsigned int topology_areas(const struct fake *fe);

/** The node where the device is now, whatever the application was told; or VHOST_NODE_ANY. */
int topology_device_node(const struct fake *fe);

/** How often the kernel was asked about the guest's memory, and what came of it. */
struct evidence_counters topology_counters(const struct fake *fe);

/** What the evidence about a frontend's device says, see numa_evidence.h; false without a device. */
bool topology_is_known(const struct fake *fe);
bool topology_is_undecided(const struct fake *fe);

/** A regular check of the NUMA watch, on this thread. */
void topology_check(struct vhost_device *dev);

/** Ask again where the guest's memory is and settle, as a refresh does, on this thread. */
int topology_refresh(struct vhost_device *dev);

#endif /* VHOST_TEST_TOPOLOGY_H */
