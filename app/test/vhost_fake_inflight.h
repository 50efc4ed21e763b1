/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_INFLIGHT_H
#define VHOST_FAKE_INFLIGHT_H

/*
 * The area in which a backend remembers what it is working on, as the frontend
 * keeps it from one backend to the next (vhost-user, "Inflight I/O tracking").
 */

#include "vhost_fake_frontend.h"

struct fake_inflight_msg {	/* GET_INFLIGHT_FD, SET_INFLIGHT_FD */
	uint64_t mmap_size, mmap_offset;
	uint16_t num_queues, queue_size;
	uint32_t padding;	/* some frontends send it, some do not */
};

struct fake_inflight {
	struct fake_inflight_msg wire;
	int fd;
	uint8_t *map;		/**< of the whole file; NULL: no area */
	size_t map_len;
	size_t stride;		/**< bytes of one ring's region */
};

/** Bytes of a ring's region in areas that the library makes. */
size_t fake_inflight_stride(const struct fake *fe, uint16_t queue_size);

/** Ask for an area and map it: 0 or -1. */
int fake_inflight_get(struct fake *fe, struct fake_inflight *area, uint16_t num_queues,
		uint16_t queue_size);

/** An area of the frontend's own making, zeroed: 0 or -1. */
int fake_inflight_make(const struct fake *fe, struct fake_inflight *area, uint16_t num_queues,
		uint16_t queue_size);

/** Hand it over. */
enum fake_verdict fake_inflight_set(struct fake *fe, const struct fake_inflight *area);

/** The region of a ring. */
struct rte_vhost_inflight_info_split *fake_inflight_split(const struct fake_inflight *area,
		unsigned int queue);
struct rte_vhost_inflight_info_packed *fake_inflight_packed(const struct fake_inflight *area,
		unsigned int queue);

void fake_inflight_close(struct fake_inflight *area);

#endif /* VHOST_FAKE_INFLIGHT_H */
