/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef _RTE_VHOST_LIMITS_H_
#define _RTE_VHOST_LIMITS_H_

/**
 * @file
 *
 * Limits of what the frontends of one socket may take from the process.
 *
 * One thread and one address space serve all guests.  What a frontend can make
 * them do is bounded for each registered socket, whatever its frontends send: a
 * hostile one is refused what it asks for beyond a limit, and no other socket
 * notices.  The defaults are far above what honest frontends need.
 *
 * Thread safety: every function may be called by any thread.
 *
 * Here since vhost-numa 22.11.0; DPDK has nothing of it.
 *
 * @warning
 * @b EXPERIMENTAL: all of this may change without prior notice.
 */

#include <stdint.h>

#include <rte_compat.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Limits of one socket; a member that is 0 stands for its default. */
struct rte_vhost_limits {
	/** Connections at a time; what comes beyond is closed at once (64). */
	uint32_t connections;
	/** Virtqueues of one device; messages about others fail (256, or as offered). */
	uint32_t vrings;
	/**
	 * Bytes of guest memory, logs and in-flight areas mapped at a time (4 TiB, or
	 * twice the machine's memory if that is more).
	 */
	uint64_t mapped_bytes;
	/** Bytes of the in-flight areas that the library makes for frontends (256 MiB). */
	uint64_t inflight_bytes;
	/**
	 * Descriptors of frontends that wait to be closed, since closing them may
	 * block; nothing is received while there are more (512).
	 */
	uint32_t closing_fds;
	/**
	 * Milliseconds of the control thread before other sockets come first (2).  What
	 * was used is forgotten as time passes, an eighth of it; with nobody else to be
	 * served there is no limit.
	 */
	uint32_t turn_ms;
};

/** What is in use of each limit, and how often it was refused. */
struct rte_vhost_limits_usage {
	struct rte_vhost_limits limits;		/**< in force, defaults filled in */
	uint64_t connections;			/**< at the moment */
	uint64_t mapped_bytes;			/**< at the moment */
	uint64_t inflight_bytes;		/**< at the moment */
	uint64_t closing_fds;			/**< descriptors that wait at the moment */
	uint64_t refused_connections;		/**< connections closed at once */
	uint64_t refused_vrings;		/**< messages about vrings beyond the limit */
	uint64_t refused_mapped_bytes;		/**< mappings, not bytes */
	uint64_t refused_inflight_bytes;	/**< areas, not bytes */
	uint64_t refused_closing_fds;		/**< times that nothing was received for a while */
	uint64_t ended_turns;			/**< times that the milliseconds were used up */
};

/**
 * Set the limits of a socket.
 *
 * In force at once for what frontends ask for from now on; what they have
 * already stays theirs, and counts.
 *
 * Thread safety: any thread, at any time, also from a callback.
 *
 * Outside the specifications.
 *
 * @param path
 *   The socket, as registered.
 * @param limits
 *   The limits; copied.  A member that is 0 gets its default.
 * @return
 *   - 0.
 *   - -ENOENT: no such socket is registered.
 *   - -EINVAL: NULL.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_driver_limits_set(const char *path, const struct rte_vhost_limits *limits);

/**
 * Get the limits of a socket, and what is in use of them.
 *
 * Thread safety: any thread, at any time, also from a callback.
 *
 * Outside the specifications.
 *
 * @param path
 *   The socket, as registered.
 * @param[out] usage
 *   Limits and counts.
 * @return
 *   - 0.
 *   - -ENOENT: no such socket is registered.
 *   - -EINVAL: NULL.
 * @since
 *   vhost-numa 22.11.0.
 */
__rte_experimental
int rte_vhost_driver_limits_get(const char *path, struct rte_vhost_limits_usage *usage);

#ifdef __cplusplus
}
#endif

#endif /* _RTE_VHOST_LIMITS_H_ */
