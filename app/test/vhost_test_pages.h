/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_PAGES_H
#define VHOST_TEST_PAGES_H

/*
 * Guest memory of real files on a machine with nodes of our choice: a page is on the
 * node that its second byte names.  Whether it has memory, and whether asking gave it
 * some, is the real kernel's word.
 */

#include <stdbool.h>
#include <stdint.h>

#include "mem_map.h"

#define PAGE 4096ULL

/** Put that machine in place; vhost_node_set_ops(NULL) ends it. */
void pages_machine(void);
/** What the kernel answers: 0 for the truth, or the error of every question. */
void pages_deny(int err);
/** The node of every page's memory policy, or -ENOENT. */
void pages_policy(int node);
/** Questions about pages since the machine was put in place, or asked for. */
unsigned int pages_questions(void);
/** Pages that were asked for in them. */
unsigned int pages_asked(void);

/** Whether this host tells nodes at all. */
bool pages_are_told(void);

/** One file, seen as a frontend has it, and our map of it. */
struct guest {
	struct mem_map *map;
	uint8_t *fe;		/**< the frontend's mapping, or NULL */
	uint64_t size;
	uint64_t page;
	int fd;			/**< the frontend's */
};

/** A guest of that many pages in a file: 0 or -1; close it in either case. */
int guest_with_file(struct guest *g, int fd, unsigned int pages, uint64_t page);
/** The same in a memfd. */
int guest_open(struct guest *g, unsigned int pages);
void guest_close(struct guest *g);

/** The frontend touches pages, which thereby are on this node. */
void put_page(struct guest *g, unsigned int page, int node);
void put_pages(struct guest *g, unsigned int from, unsigned int to, int node);

/** Blocks of a file. */
long blocks_of(int fd);

#endif /* VHOST_TEST_PAGES_H */
