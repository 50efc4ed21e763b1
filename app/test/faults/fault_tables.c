/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* The lives: what happens, in which order; see fault_story.h. */

#include <rte_vhost.h>

#include "fault_life.h"

#define BEGIN \
	{ "register", fault_step_register }, \
	{ "connect", fault_step_connect }, \
	{ "negotiate", fault_step_negotiate, .anew = true }, \
	{ "memory", fault_step_memory }

#define END \
	{ "disconnect", fault_step_disconnect }, \
	{ "unregister", fault_step_unregister }, \
	{ NULL }

static const struct story_step whole_life[] = {
	BEGIN,
	{ "inflight get", fault_step_inflight_get },
	{ "inflight set", fault_step_inflight_set },
	{ "run", fault_step_run, .runs = true, .anew = true },
	{ "packets", fault_step_packets, .runs = true },
	{ "long packets", fault_step_long_packets, .runs = true },
	{ "call", fault_step_call_guest, .runs = true },
	{ "rarp", fault_step_rarp, .runs = true },
	{ "error descriptor", fault_step_error_fd, .runs = true },
	{ "move there", fault_step_move_there, .runs = true },
	{ "packets there", fault_step_packets, .runs = true },
	{ "log", fault_step_log, .runs = true },
	{ "packets with log", fault_step_packets, .runs = true },
	{ "no log", fault_step_no_log, .runs = true },
	{ "add memory", fault_step_add_memory, .runs = true },
	{ "remove memory", fault_step_remove_memory, .runs = true },
	{ "report", fault_step_report, .runs = true },
	{ "get table", fault_step_get_table, .runs = true },
	{ "other table", fault_step_other_table, .runs = false },
	{ "table", fault_step_memory, .runs = true },
	{ "move back", fault_step_move_back, .runs = true },
	{ "restart ring", fault_step_restart_ring, .runs = true, .anew = true },
	{ "last packets", fault_step_packets, .runs = true },
	END
};

static const struct story_step client_life[] = {
	BEGIN,
	{ "run", fault_step_run, .runs = true, .anew = true },
	{ "packets", fault_step_packets, .runs = true },
	{ "pipe", fault_step_pipe, .runs = true },
	{ "packets with pipe", fault_step_packets, .runs = true },
	END
};

static const struct story_step truncated_life[] = {
	BEGIN,
	{ "run", fault_step_run, .runs = true, .anew = true },
	{ "packets", fault_step_packets, .runs = true },
	{ "truncate", fault_step_truncate },
	END
};

static const struct story_step iommu_life[] = {
	BEGIN,
	{ "channel", fault_step_channel },
	{ "scatter", fault_step_scatter, .anew = true },
	{ "map", fault_step_map_buffers },
	{ "run", fault_step_run_iommu, .runs = true, .anew = true },
	{ "packets", fault_step_iommu_packets, .runs = true },
	{ "unmap and map", fault_step_unmap_and_map, .anew = true },
	{ "packets again", fault_step_iommu_packets, .runs = true },
	{ "move there", fault_step_move_there, .runs = true },
	{ "packets there", fault_step_iommu_packets, .runs = true },
	END
};

static const struct story_step async_life[] = {
	{ "dma", fault_step_dma },
	BEGIN,
	{ "run", fault_step_run, .anew = true },
	{ "channels", fault_step_channels, .runs = true },
	{ "copies", fault_step_copies, .runs = true },
	{ "move there", fault_step_move_there, .runs = true },
	{ "copies there", fault_step_copies, .runs = true },
	{ "late copy", fault_step_late_copy },
	END
};

static const struct story_step postcopy_life[] = {
	BEGIN,
	{ "run", fault_step_run, .runs = true, .anew = true },
	{ "packets", fault_step_packets, .runs = true },
	{ "leave", fault_step_leave, .anew = true },
	{ "arrive", fault_step_arrive, .anew = true },
	{ "run there", fault_step_run, .anew = true },
	{ "packets there", fault_step_packets, .runs = true },
	{ "all is there", fault_step_postcopy_end, .runs = true },
	END
};

static const struct story_step hardware_life[] = {
	{ "hardware", fault_step_hardware },
	BEGIN,
	{ "run", fault_step_run_hardware, .runs = true, .anew = true },
	{ "frame", fault_step_frame, .runs = true, .anew = true },
	{ "log", fault_step_log, .runs = true },
	{ "frame with log", fault_step_frame, .runs = true, .anew = true },
	{ "no log", fault_step_no_log, .runs = true },
	{ "restart", fault_step_restart_ring, .runs = true, .anew = true },
	{ "last frame", fault_step_frame, .runs = true, .anew = true },
	END
};

const struct story fault_stories[] = {
	{
		"device", whole_life, .packets = fault_step_packets,
		.cfg = {
			.queues = 2, .ring_size = 64, .buf_size = 8192, .event_idx = true,
			.regions = 2, .extra_memory = 256 << 10,
			.flags = RTE_VHOST_USER_EXTBUF_SUPPORT,
			.protocol_features = FE_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |
				FE_BIT(FE_PROTOCOL_MEM_SLOTS) | DIRTY_PROTOCOL,
		},
	}, {
		"client", client_life, .packets = fault_step_packets,
		/* files of a real file system, which has to be asked about */
		.cfg = { .ring_size = 64, .client = true, .memory_in = "/tmp" },
	}, {
		"iommu", iommu_life, .packets = fault_step_iommu_packets,
		.cfg = { .ring_size = 1024, .iommu = true, .regions = 2, .format = FAKE_SPLIT },
	}, {
		"async", async_life, .packets = fault_step_copies,
		.cfg = { .ring_size = 64, .flags = RTE_VHOST_USER_ASYNC_COPY },
	}, {
		"postcopy", postcopy_life, .packets = fault_step_packets,
		.is_possible = postcopy_is_possible,
		.cfg = { .ring_size = 64, .protocol_features = POSTCOPY_PROTOCOL },
	}, {
		"truncated", truncated_life, .packets = fault_step_packets, .is_odd = true,
		.cfg = { .ring_size = 64 },
	}, {
		"hardware", hardware_life, .packets = fault_step_frame,
		.cfg = {
			.ring_size = 64, .format = FAKE_SPLIT, .protocol_features = DIRTY_PROTOCOL,
		},
	},
};
const unsigned int fault_nstories = RTE_DIM(fault_stories);
