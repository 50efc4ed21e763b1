/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_ISA_H
#define VHOST_NET_ISA_H

/*
 * The bursts for different instruction sets.  net_enqueue.c and net_dequeue.c are
 * compiled once for each, with NET_ISA as its name; nothing in them is written for
 * one of them.  net_isa.c picks when a block is made.
 *
 * One more build is for guests that are being migrated: it logs what is written, and
 * the others know nothing of that.  Guests with an IOMMU have builds of their own.
 */

#include "vhost_virtqueue.h"

#define NET_ISA_JOIN(name, isa) name ## _ ## isa
#define NET_ISA_EXPAND(name, isa) NET_ISA_JOIN(name, isa)

/* What all variants of this build are for, beside what their row says. */
#ifndef NET_ISA_FLAGS
#define NET_ISA_FLAGS 0
#endif

/** The name that a function has in this build of its source. */
#define NET_ISA_NAME(name) NET_ISA_EXPAND(name, NET_ISA)

#define NET_ISA_DECLARE(isa) \
	vq_enqueue_t vhost_net_enqueue_select_ ## isa(const struct vhost_virtqueue *block); \
	vq_dequeue_t vhost_net_dequeue_select_ ## isa(const struct vhost_virtqueue *block);

NET_ISA_DECLARE(plain)
NET_ISA_DECLARE(avx2)
NET_ISA_DECLARE(log)
NET_ISA_DECLARE(iova)
NET_ISA_DECLARE(iova_avx2)
NET_ISA_DECLARE(iova_log)

#endif /* VHOST_NET_ISA_H */
