/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_GUARD_H
#define VHOST_MEM_GUARD_H

/*
 * A frontend may truncate the file behind its memory at any time.  The next
 * access beyond the new end raises SIGBUS, in whichever thread makes it, and
 * would end the process and with it every other guest's backend.
 *
 * The guard answers the signal for the ranges that it was told of: it puts zero
 * pages in place of the range, so that the access goes on, sets the owner's
 * flag and makes vhost_mem_guard_fd() readable.  Every other SIGBUS is passed to
 * the handler that was there before.
 *
 * It needs no free addresses and no free mappings for that: a peer that fills the
 * address space, or has the application make mappings up to vm.max_map_count, and
 * truncates its files then, costs its devices.
 *
 * What it cannot help:
 * - A thread that has SIGBUS blocked is killed by the kernel without a handler being
 *   asked.
 * - A handler that somebody installed after the last vhost_mem_guard_add() and that
 *   does not pass on what is not its own.  EAL has one while its heap grows by
 *   hugepages (--legacy-mem: not after rte_eal_init()).
 * - No memory at all: the zero page that is touched has to come from somewhere, and
 *   with vm.overcommit_memory=2 it has to be promised.
 * - Other threads that take each mapping as fast as the reserve gives them up.
 */

#include <stdbool.h>
#include <stddef.h>

/**
 * Guard a mapping.  Any thread.
 *
 * @param start, len  the whole mapping, in units of page_size
 * @param broken      set (atomically) when the range had to be replaced; stays
 *                    in place until vhost_mem_guard_remove()
 * @return a handle for vhost_mem_guard_remove(), or a negative errno
 */
int vhost_mem_guard_add(void *start, size_t len, size_t page_size, bool *broken);

/** Forget a range that nobody accesses any more; before it is unmapped. */
void vhost_mem_guard_remove(int handle);

/**
 * Put zero pages in place of a range as if its file had been truncated.  Any thread,
 * while the mapping stays.
 *
 * @return false when there is no memory for that: the range is as it was
 */
bool vhost_mem_guard_replace(int handle);

/** Eventfd that becomes readable when the guard has replaced a range; -1 on error. */
int vhost_mem_guard_fd(void);

#endif /* VHOST_MEM_GUARD_H */
