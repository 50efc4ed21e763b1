/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_NET_COPY_H
#define VHOST_NET_COPY_H

/*
 * Copies of packet data.
 *
 * Up to NET_COPY_INLINE bytes: two moves of constant size that overlap in the
 * middle.  Beyond, the C library's copy, which picks the widest registers of
 * the machine at hand, whatever this file was compiled for.
 */

#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_memcpy.h>

#define NET_COPY_INLINE 256

/** Copy len bytes, [move, 2 * move], with constant-size moves. */
#define NET_COPY_TWICE(mov, move) \
	do { \
		mov(dst, src); \
		mov(dst + len - (move), src + len - (move)); \
	} while (0)

static __rte_always_inline void
net_copy(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	if (len > NET_COPY_INLINE)
		memcpy(dst, src, len);
	else if (len > 128)
		NET_COPY_TWICE(rte_mov128, 128);
	else if (len > 64)
		NET_COPY_TWICE(rte_mov64, 64);
	else if (len > 32)
		NET_COPY_TWICE(rte_mov32, 32);
	else if (len >= 16)
		NET_COPY_TWICE(rte_mov16, 16);
	else
		rte_mov15_or_less(dst, src, len);
}

#endif /* VHOST_NET_COPY_H */
