/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_STREAM_H
#define VHOST_CRYPTO_STREAM_H

/* Pieces of guest memory as one stream of bytes. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "vhost_virtqueue.h"

struct crypto_stream {
	const struct vq_piece *piece;
	unsigned int left;	/**< pieces, this one included */
	uint32_t at;		/**< bytes of this one that are behind us */
};

static inline struct crypto_stream
crypto_stream(const struct vq_piece *pieces, unsigned int n)
{
	return (struct crypto_stream){ .piece = pieces, .left = n };
}

/** Go past the next bytes as far as they lie together, at most len; len 0 at the end. */
static inline struct vq_piece
crypto_stream_next(struct crypto_stream *stream, uint32_t len)
{
	struct vq_piece next = { .len = 0 };

	if (unlikely(stream->left == 0))
		return next;
	next.base = stream->piece->base + stream->at;
	next.len = RTE_MIN(len, stream->piece->len - stream->at);
	stream->at += next.len;
	if (stream->at == stream->piece->len) {
		stream->piece++;
		stream->left--;
		stream->at = 0;
	}
	return next;
}

/** Copy the next bytes: how many there were. */
static inline uint32_t
crypto_stream_copy(struct crypto_stream *stream, void *to, uint32_t len)
{
	uint32_t done = 0;

	while (done < len && stream->left > 0) {
		struct vq_piece next = crypto_stream_next(stream, len - done);

		memcpy((uint8_t *)to + done, next.base, next.len);
		done += next.len;
	}
	return done;
}

/** Copy a constant number of bytes, which nearly always lie together: whether there were so many. */
static __rte_always_inline bool
crypto_stream_copy_exactly(struct crypto_stream *stream, void *to, uint32_t len)
{
	if (likely(stream->left > 0 && stream->piece->len - stream->at >= len)) {
		struct vq_piece next = crypto_stream_next(stream, len);

		memcpy(to, next.base, len);
		return true;
	}
	return crypto_stream_copy(stream, to, len) == len;
}

#endif /* VHOST_CRYPTO_STREAM_H */
