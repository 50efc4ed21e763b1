/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NUMA_SAMPLE_H
#define VHOST_NUMA_SAMPLE_H

/*
 * A sample of one region's pages, and on which nodes they are.  Never makes the
 * kernel allocate guest memory.  See numa_sample.c for what was found out about
 * each kind of file.
 *
 * A sample is taken (some 130 us for memory that is there), and then watched: one
 * page of each spot is asked for again, for all regions in one call, until one of
 * them tells something else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem_probe.h"
#include "placement.h"

/** Places of a region that are looked at. */
#define SAMPLE_SPOTS MEM_WINDOW_RUNS

/** The page of a spot that is watched. */
struct sample_watch {
	uint16_t i;		/**< of the sample's pages */
	bool in_window;		/**< asked for there; else in the region's own mapping */
	int node;		/**< negative: not known */
	uint64_t page;		/**< of the region */
};

/** One part of a ring: an address in the region's own mapping, and its length, or 0. */
struct ring_part {
	const void *start;
	size_t len;
};

struct numa_sample {
	struct mem_probe probe;
	struct mem_window window;	/**< open as long as a watched page is in it */
	int64_t bytes;		/**< memory of the file when the sample was taken; -1: unknown */
	uint32_t round;		/**< times it was taken */
	enum placement_evidence evidence;	/**< that it gave the last time */
	bool complete;		/**< with all pages known */
	bool partial;		/**< the budget was used up: some spots were not asked for */
	unsigned int nspots;
	struct mem_run spots[SAMPLE_SPOTS];
	struct sample_watch watched[SAMPLE_SPOTS];
};

/** What a sample has told. */
struct sample_reading {
	enum placement_evidence evidence;
	uint16_t asked;		/**< pages asked for */
	uint16_t known;		/**< of those, pages with a node */
	uint16_t pages[PLACEMENT_MAX_NODES];	/**< by node; missing ones by their policy */
};

/** Choose the pages of a region, which stays mapped until the end.  No system call. */
void vhost_numa_sample_begin(struct numa_sample *sample, const struct mem_region *region);

/** Close what is open. */
void vhost_numa_sample_end(struct numa_sample *sample);

/**
 * Ask for the whole sample.
 *
 * @param budget  questions that may be asked to find out which pages are there;
 *                those asked are taken off.  One costs 2 to 5 us.
 * @return 0, or a negative errno when the kernel does not tell nodes
 */
int vhost_numa_sample_take(struct numa_sample *sample, unsigned int *budget,
		struct sample_reading *reading);

/**
 * The pages to watch: to be passed to vhost_node_query().
 *
 * @param pages  room for SAMPLE_SPOTS
 * @return how many
 */
unsigned int vhost_numa_sample_watch(const struct numa_sample *sample, void **pages);

/** Whether the nodes of the watched pages say that the sample has to be taken again. */
bool vhost_numa_sample_contradicts(const struct numa_sample *sample, const int *nodes);

/**
 * Whether a sample may tell more than the last time: the file has more memory now, or
 * nobody can say.  At most two system calls.
 */
bool vhost_numa_sample_may_tell_more(struct numa_sample *sample);

/** Fill in the share of a region's bytes on each node, projected from a reading. */
void vhost_numa_sample_project(const struct sample_reading *reading, uint64_t size,
		uint64_t *bytes);

/**
 * Let the pages of a ring vote.
 *
 * @param parts   those that lie in the sample's region, three at most
 * @param budget  as for vhost_numa_sample_take()
 * @return likewise
 */
int vhost_numa_sample_ring(struct numa_sample *sample, const struct ring_part *parts,
		unsigned int nparts, unsigned int *budget, struct placement_vote *vote);

#endif /* VHOST_NUMA_SAMPLE_H */
