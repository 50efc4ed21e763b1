/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * VDUSE devices, whose kernel is played by vhost_fake_vduse.c: what the library makes of
 * requests, of ranges that come and go, and of a kernel that says what cannot be.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_mbuf.h>
#include <rte_vhost_numa.h>

#include "device.h"
#include "queue.h"
#include "ring_iova.h"
#include "test.h"
#include "vhost_fake_vduse.h"
#include "vhost_test_log.h"

#define OK VDUSE_REQ_RESULT_OK
#define FAILED VDUSE_REQ_RESULT_FAILED
#define STARTED "new ring0+ ring1+"
#define STOPPED "destroy ring0- ring1-"
#define FRAME 600

static struct fake_vduse vduse;

/** A device that is registered, with one pair; 0 or -1. */
static int
create(void)
{
	return fake_vduse_init(&vduse, (struct fake_config){ .mergeable = true }) == 0 ?
		fake_vduse_register(&vduse, 1) : -1;
}

/** And runs. */
static int
create_running(void)
{
	if (create() < 0 || fake_vduse_run(&vduse) < 0 || !fake_vduse_story_is(&vduse, STARTED))
		return -1;
	fake_vduse_forget_story(&vduse);
	return 0;
}

/** Packets go round: at once, or soon, after translations were learned. */
static bool
traffic_passes(void)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (fake_now_ms() < until) {
		if (fake_round_trip(vduse.fe, 0, FRAME) == FRAME)
			return true;
		usleep(1000);
	}
	return false;
}

/* ---- life ---- */

static int
life_of_a_device(void)
{
	struct log_capture log;

	TEST_ASSERT_SUCCESS(log_begin(&log), "capture");
	TEST_ASSERT_SUCCESS(create(), "start");
	TEST_ASSERT_EQUAL(vduse.nrings, 2, "one pair");
	TEST_ASSERT_EQUAL(vduse.pairs, 1, "of which its configuration space tells");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "the device before its rings");
	TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 0, FRAME), FRAME, "packets");
	TEST_ASSERT(fake_interrupts(&vduse.fe->vqs[0]) > 0 &&
		fake_interrupts(&vduse.fe->vqs[1]) > 0, "interrupts by ioctl");
	fake_vduse_forget_story(&vduse);
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "reset");
	TEST_ASSERT_SUCCESS(strcmp(vduse.story, STOPPED), "stopped before the answer");
	TEST_ASSERT_EQUAL(vduse.kicks, 0, "kicks taken back");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "virtio is now ready for processing."), 1, "log");
	log_free(&log);
	return fake_vduse_fini(&vduse);
}

/* Rings that start in the settle that makes them: the other view is filled next. */
static int
all_rings_read_the_view_in_force(void)
{
	for (unsigned int life = 0; life < 2; life++) {
		TEST_ASSERT_SUCCESS(create_running(), "a device");
		for (unsigned int i = 0; i < 2; i++) {
			const struct vhost_virtqueue *block = vhost_queue_block(
				vhost_device_queue(vhost_device_get(vduse.fe->vid), i));

			TEST_ASSERT_NOT_NULL(block->iova, "ring %u translates", i);
			TEST_ASSERT(block->iova->view == block->net->iotlb,
				"ring %u, life %u", i, life);
		}
		TEST_ASSERT_SUCCESS(fake_vduse_fini(&vduse), "the end");
	}
	return TEST_SUCCESS;
}

static int
driver_comes_again(void)
{
	TEST_ASSERT_SUCCESS(create_running(), "start");
	for (int i = 0; i < 20; i++) {
		TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "reset");
		fake_vq_reset(&vduse.fe->vqs[0]);
		fake_vq_reset(&vduse.fe->vqs[1]);
		fake_vduse_forget_story(&vduse);
		TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
		TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "started again");
		TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 0, FRAME), FRAME, "packets");
	}
	return fake_vduse_fini(&vduse);
}

static int
several_pairs_and_a_control_queue(void)
{
	TEST_ASSERT_SUCCESS(fake_vduse_init(&vduse, (struct fake_config){
		.queues = 2, .ctrl_queue = true,
		.features = FE_BIT(VIRTIO_NET_F_MQ) | FE_BIT(VIRTIO_NET_F_CTRL_VQ) }), "fake");
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 2), "start");
	TEST_ASSERT_EQUAL(vduse.nrings, 5, "two pairs and a control queue");
	TEST_ASSERT_EQUAL(vduse.pairs, 2, "two pairs");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, "new ring0+ ring1+ ring2+ ring3+"), "data rings");
	TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 0, FRAME), FRAME, "packets");
	TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 1, FRAME), FRAME, "on the other pair");
	return fake_vduse_fini(&vduse);
}

static int
kernel_without_control_queues(void)
{
	struct log_capture log;

	TEST_ASSERT_SUCCESS(log_begin(&log), "capture");
	TEST_ASSERT_SUCCESS(fake_vduse_init(&vduse, (struct fake_config){ 0 }), "fake");
	vduse.no_ctrl = true;
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 4), "start");
	TEST_ASSERT_EQUAL(vduse.nrings, 2, "one pair");
	TEST_ASSERT_EQUAL(vduse.offered & (FE_BIT(VIRTIO_NET_F_MQ) | FE_BIT(VIRTIO_NET_F_CTRL_VQ)),
		0, "not offered");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "runs");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "one queue pair instead of 4"), 1, "said");
	log_free(&log);
	return fake_vduse_fini(&vduse);
}

static int
driver_that_uses_fewer_rings(void)
{
	TEST_ASSERT_SUCCESS(fake_vduse_init(&vduse, (struct fake_config){ 0 }), "fake");
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 2), "start");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver without MQ");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "two rings");
	TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 0, FRAME), FRAME, "packets");
	return fake_vduse_fini(&vduse);
}

static int
rings_that_are_late(void)
{
	TEST_ASSERT_SUCCESS(create(), "start");
	vduse.rings[1].ready = 0;
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	usleep(10000);
	fake_vduse_describe(&vduse);
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "waited for");
	return fake_vduse_fini(&vduse);
}

static int
ring_goes_on_at_an_index(void)
{
	struct vduse_dev_request request = { .type = VDUSE_GET_VQ_STATE, .vq_state.index = 1 };
	struct vduse_dev_response response;

	TEST_ASSERT_SUCCESS(create_running(), "start");
	for (int i = 0; i < 5; i++)
		TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 0, FRAME), FRAME, "packets");
	TEST_ASSERT_EQUAL(fake_vduse_ask(&vduse, &request, &response), OK, "asked");
	TEST_ASSERT_EQUAL(response.vq_state.split.avail_index, 5, "five packets were sent");
	vduse.rings[0].split.avail_index = 5;
	vduse.rings[1].split.avail_index = 5;
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "reset");
	TEST_ASSERT_EQUAL(fake_vduse_ask(&vduse, &request, &response), OK, "asked when stopped");
	TEST_ASSERT_EQUAL(response.vq_state.split.avail_index, 5, "the same");
	fake_vduse_forget_story(&vduse);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "it starts");
	TEST_ASSERT(traffic_passes(), "goes on");
	return fake_vduse_fini(&vduse);
}

static int
application_unregisters_in_its_callback(void)
{
	TEST_ASSERT_SUCCESS(create(), "start");
	vduse.unregister = true;
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED " destroy"), "all of it, then the end");
	return fake_vduse_fini(&vduse);
}

/* ---- memory ---- */

static int
memory_that_was_taken_back_is_not_touched(void)
{
	struct fake *fe;
	uint8_t before[4096], after[4096];
	struct rte_mbuf *pkt;

	TEST_ASSERT_SUCCESS(create_running(), "start");
	fe = vduse.fe;
	TEST_ASSERT(fake_rx_fill(&fe->vqs[0], 8, 2048, NULL) == 8, "buffers");
	fake_vduse_show_ranges(&vduse, 0);
	TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 0, UINT64_MAX), OK, "taken back");
	TEST_ASSERT(fake_read_guest(fe, fe->vqs[0].slots_gpa, before, sizeof(before)), "look");
	pkt = fake_mbuf(FRAME, 3, 0);
	for (int i = 0; i < 100; i++)
		TEST_ASSERT_EQUAL(rte_vhost_enqueue_burst(fe->vid, 0, &pkt, 1), 0, "nothing sent");
	rte_pktmbuf_free(pkt);
	TEST_ASSERT(fake_read_guest(fe, fe->vqs[0].slots_gpa, after, sizeof(after)), "look again");
	TEST_ASSERT_SUCCESS(memcmp(before, after, sizeof(before)), "nothing written");
	TEST_ASSERT_SUCCESS(strcmp(vduse.story, ""), "rings stay, as far as is told");
	fake_vduse_describe(&vduse);
	TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 0, UINT64_MAX), OK, "and given");
	TEST_ASSERT_EQUAL(fake_backend_send(fe, 0, FRAME, 3) == 1 || traffic_passes(), true,
		"packets again");
	return fake_vduse_fini(&vduse);
}

static int
ranges_that_change_under_traffic(void)
{
	TEST_ASSERT_SUCCESS(create_running(), "start");
	for (int i = 0; i < 50; i++) {
		TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 0, UINT64_MAX), OK, "update");
		TEST_ASSERT(traffic_passes(), "packets");
	}
	return fake_vduse_fini(&vduse);
}

/** Two ranges instead of one, cut at a page: the second begins there. */
static void
cut_memory(uint64_t gpa)
{
	struct fake_vduse_range *first = &vduse.ranges[0], *second = &vduse.ranges[1];
	uint64_t at = RTE_ALIGN_FLOOR(gpa + vduse.fe->iova, UINT64_C(4096));

	*second = *first;
	second->entry.offset += at - first->entry.start;
	second->entry.start = at;
	first->entry.last = at - 1;
	fake_vduse_show_ranges(&vduse, 2);
}

static int
range_that_comes_later_is_asked_for(void)
{
	TEST_ASSERT_SUCCESS(create(), "start");
	cut_memory(vduse.fe->vqs[1].slots_gpa);
	fake_vduse_show_ranges(&vduse, 1);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "rings are known");
	TEST_ASSERT(fake_tx_send(&vduse.fe->vqs[1], NULL, "0123456789abcdef", 16, NULL), "a packet");
	TEST_ASSERT(fake_backend_receive(vduse.fe, 0) == NULL, "of which nobody knows where it is");
	fake_vduse_show_ranges(&vduse, 2);
	for (uint64_t until = fake_now_ms() + fake_patience_ms(); fake_now_ms() < until; usleep(1000)) {
		struct rte_mbuf *pkt = fake_backend_receive(vduse.fe, 0);

		if (pkt == NULL)
			continue;
		TEST_ASSERT_EQUAL(pkt->pkt_len, 16, "whole");
		rte_pktmbuf_free(pkt);
		return fake_vduse_fini(&vduse);
	}
	return TEST_FAILED;
}

/** Memory of the kernel's own: neighbours are one region, mapped from their offset on. */
static int
memory_of_the_kernels_own(void)
{
	struct rte_vhost_memory *mem = NULL;

	TEST_ASSERT_SUCCESS(create(), "start");
	vduse.domain = true;
	cut_memory(vduse.fe->vqs[1].desc_gpa);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "runs");
	TEST_ASSERT_EQUAL(fake_round_trip(vduse.fe, 0, FRAME), FRAME, "packets");
	TEST_ASSERT_SUCCESS(rte_vhost_get_mem_table(vduse.fe->vid, &mem), "table");
	TEST_ASSERT_EQUAL(mem->nregions, 1, "one region");
	free(mem);
	for (int i = 0; i < 5; i++) {
		TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 0, UINT64_MAX), OK, "update");
		TEST_ASSERT(traffic_passes(), "packets");
	}
	return fake_vduse_fini(&vduse);
}

static int
rings_follow_their_ranges(void)
{
	struct rte_vhost_numa_report *report;

	TEST_ASSERT_SUCCESS(create_running(), "start");
	TEST_ASSERT_SUCCESS(rte_vhost_numa_report(vduse.fe->vid, &report), "report");
	TEST_ASSERT(report->queues[0].ring_node >= 0, "a ring's node is known when it starts");
	TEST_ASSERT_EQUAL(report->queues[0].node, report->queues[0].ring_node, "the queue is there");
	free(report);
	return fake_vduse_fini(&vduse);
}

/* ---- hostile ---- */

struct bad_ring {
	const char *name;
	struct vduse_vq_info info;	/**< zero members are as they should be */
	bool no_size;
};

static const struct bad_ring bad_rings[] = {
	{ "ring_of_no_descriptors", .no_size = true },
	{ "ring_of_three", { .num = 3 } },
	{ "ring_of_2048", { .num = 2048 } },
	{ "ring_of_65536", { .num = 65536 } },
	{ "ring_of_4294967295", { .num = UINT32_MAX } },
	{ "descriptors_nowhere", { .desc_addr = 0x1000 } },
	{ "descriptors_that_wrap", { .desc_addr = UINT64_MAX - 15 } },
	{ "descriptors_unaligned", { .desc_addr = FAKE_IOVA + 0x10001 } },
	{ "used_ring_that_wraps", { .device_addr = UINT64_MAX - 1 } },
	{ "driver_area_nowhere", { .driver_addr = 0xffffffff00000000 } },
};

static int
bad_ring_does_not_start(const void *arg)
{
	const struct bad_ring *bad = arg;
	struct vduse_vq_info *info;

	TEST_ASSERT_SUCCESS(create(), "start");
	info = &vduse.rings[1];
	info->num = bad->no_size ? 0 : bad->info.num != 0 ? bad->info.num : info->num;
	if (bad->info.desc_addr != 0)
		info->desc_addr = bad->info.desc_addr;
	if (bad->info.driver_addr != 0)
		info->driver_addr = bad->info.driver_addr;
	if (bad->info.device_addr != 0)
		info->device_addr = bad->info.device_addr;
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	usleep(20000);
	TEST_ASSERT(fake_vduse_story_is(&vduse, ""), "the device does not start");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "reset");
	fake_vduse_describe(&vduse);
	fake_vduse_forget_story(&vduse);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "with a good ring it does");
	TEST_ASSERT(traffic_passes(), "packets");
	return fake_vduse_fini(&vduse);
}

/** After a reset all is given back, and the driver starts with memory that is in order. */
static int
recovers(unsigned int fds)
{
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "reset");
	TEST_ASSERT(fake_wait_fds(fds) <= fds, "descriptors");
	fake_vduse_describe(&vduse);
	fake_vduse_forget_story(&vduse);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "it runs");
	return fake_vduse_fini(&vduse);
}

struct bad_range {
	const char *name;
	struct vduse_iotlb_entry entry;	/**< instead of the true one */
	bool closed_file;		/**< true, but of no memory */
};

#define RANGE(from, to, at, access) \
	{ .start = (from), .last = (to), .offset = (at), .perm = (access) }

static const struct bad_range bad_ranges[] = {
	{ "range_that_ends_before_it_begins", RANGE(0x2000, 0x1000, 0, 3) },
	{ "range_of_all_there_is", RANGE(0, UINT64_MAX, 0, 3) },
	{ "range_without_access", RANGE(0, 0xffff, 0, 0) },
	{ "range_with_unknown_access", RANGE(0, 0xffff, 0, 7) },
	{ "range_whose_file_wraps", RANGE(0, 0xffff, UINT64_MAX - 0xfff, 3) },
	{ "range_behind_its_file", RANGE(0, UINT64_C(1) << 40, 0, 3) },
	{ "range_at_the_end", RANGE(UINT64_MAX - 0xfff, UINT64_MAX, 0, 3) },
	{ "range_of_a_socket", { 0 }, .closed_file = true },
};

static int
bad_range_is_left_out(const void *arg)
{
	const struct bad_range *bad = arg;
	unsigned int fds;

	TEST_ASSERT_SUCCESS(create(), "start");
	if (bad->closed_file)
		vduse.ranges[0].fd = vduse.sock;
	else
		vduse.ranges[0].entry = bad->entry;
	fds = fake_count_fds();
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	usleep(20000);
	TEST_ASSERT(fake_vduse_story_is(&vduse, ""), "the device does not start");
	return recovers(fds);
}

/** Ranges that a map has no room for are left out, and looked for no longer than a while. */
static int
more_ranges_than_a_map_has(void)
{
	struct vduse_iotlb_entry whole;
	unsigned int fds;

	TEST_ASSERT_SUCCESS(create(), "start");
	whole = vduse.ranges[0].entry;
	for (unsigned int i = 0; i < FAKE_VDUSE_RANGES; i++) {
		vduse.ranges[i].fd = vduse.ranges[0].fd;
		vduse.ranges[i].entry = (struct vduse_iotlb_entry){
			.start = i * 0x2000, .last = i * 0x2000 + 0xfff, .offset = whole.offset,
			.perm = VDUSE_ACCESS_RW,
		};
	}
	vduse.ranges[5].entry = whole;
	vduse.nranges = FAKE_VDUSE_RANGES;
	fds = fake_count_fds();
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	usleep(20000);
	return recovers(fds);
}

static int
requests_that_are_none(void)
{
	struct vduse_dev_request request = { .type = 99 };
	struct vduse_dev_response response;

	TEST_ASSERT_SUCCESS(create_running(), "start");
	TEST_ASSERT_EQUAL(fake_vduse_ask(&vduse, &request, &response), FAILED, "unknown");
	request = (struct vduse_dev_request){ .type = VDUSE_GET_VQ_STATE, .vq_state.index = 2 };
	TEST_ASSERT_EQUAL(fake_vduse_ask(&vduse, &request, &response), FAILED, "no such ring");
	request.vq_state.index = UINT32_MAX;
	TEST_ASSERT_EQUAL(fake_vduse_ask(&vduse, &request, &response), FAILED, "no ring at all");
	TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 2, 1), FAILED, "no range");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0xff), OK, "all bits, it runs already");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, FAKE_VDUSE_RUNNING), OK, "again");
	TEST_ASSERT(fake_vduse_story_is(&vduse, ""), "nothing happens");
	TEST_ASSERT(traffic_passes(), "packets");
	return fake_vduse_fini(&vduse);
}

static int
requests_before_and_after_a_driver(void)
{
	TEST_ASSERT_SUCCESS(create(), "start");
	TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 0, UINT64_MAX), OK, "nothing to forget");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "nothing to stop");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "runs");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "stop");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "stop once more");
	TEST_ASSERT_EQUAL(fake_vduse_update(&vduse, 0, UINT64_MAX), OK, "nothing any more");
	return fake_vduse_fini(&vduse);
}

static int
features_that_were_not_offered(void)
{
	TEST_ASSERT_SUCCESS(create(), "start");
	vduse.features |= FE_BIT(VIRTIO_F_RING_PACKED);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	usleep(20000);
	TEST_ASSERT(fake_vduse_story_is(&vduse, ""), "does not start");
	TEST_ASSERT_EQUAL(fake_vduse_status(&vduse, 0), OK, "reset");
	vduse.features = FE_BIT(VIRTIO_F_VERSION_1);
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver that goes round the IOMMU");
	usleep(20000);
	TEST_ASSERT(fake_vduse_story_is(&vduse, ""), "does not start either");
	return fake_vduse_fini(&vduse);
}

/* ---- the next backend ---- */

/** The backend goes while the device is on the bus, as if it had been killed. */
static int
leave(void)
{
	vduse.on_bus = true;
	fake_vduse_forget_story(&vduse);
	return rte_vhost_driver_unregister(FAKE_VDUSE_PATH);
}

static int
next_backend_goes_on(void)
{
	TEST_ASSERT_SUCCESS(create_running(), "start");
	for (int i = 0; i < 10; i++) {
		TEST_ASSERT(traffic_passes(), "packets");
		TEST_ASSERT(fake_rx_fill(&vduse.fe->vqs[0], 1, 2048, NULL) == 1, "a buffer is left");
		TEST_ASSERT_SUCCESS(leave(), "unregister");
		TEST_ASSERT(vduse.exists, "the device stays");
		fake_vduse_forget_story(&vduse);
		TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 1), "the next");
		TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "runs at once");
		TEST_ASSERT_EQUAL(fake_backend_send(vduse.fe, 0, FRAME, i), 1, "where it was");
		TEST_ASSERT(fake_rx_take(&vduse.fe->vqs[0], NULL, (uint8_t[4096]){ 0 }, 4096) == FRAME,
			"into the buffer that was left");
	}
	return fake_vduse_fini(&vduse);
}

static int
next_backend_before_a_driver(void)
{
	TEST_ASSERT_SUCCESS(create(), "start");
	TEST_ASSERT_SUCCESS(leave(), "unregister");
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 1), "the next");
	usleep(20000);
	TEST_ASSERT(fake_vduse_story_is(&vduse, ""), "waits");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "runs");
	return fake_vduse_fini(&vduse);
}

static int
next_backend_that_is_another(void)
{
	struct log_capture log;

	TEST_ASSERT_SUCCESS(fake_vduse_init(&vduse, (struct fake_config){ 0 }), "fake");
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 2), "start");
	TEST_ASSERT_SUCCESS(leave(), "unregister");
	TEST_ASSERT_SUCCESS(log_begin(&log), "capture");
	TEST_ASSERT_EQUAL(fake_vduse_register(&vduse, 3), -1, "with more queues");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(FAKE_VDUSE_PATH), "unregister");
	log_end(&log);
	TEST_ASSERT_EQUAL(log_count(&log, "it has other features or queues"), 1, "said");
	log_free(&log);
	fake_vduse_leave_bus(&vduse);
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 3), "off the bus it is made anew");
	TEST_ASSERT_EQUAL(vduse.nrings, 7, "as wanted");
	return fake_vduse_fini(&vduse);
}

/** What an earlier backend's file says: another device's, cut, or there is none. */
static int
file_that_is_no_use(void)
{
	char path[160];

	TEST_ASSERT_SUCCESS(create_running(), "start");
	TEST_ASSERT_SUCCESS(leave(), "unregister");
	snprintf(path, sizeof(path), "%s/vduse/fake0", getenv("RUNTIME_DIRECTORY"));
	TEST_ASSERT_SUCCESS(truncate(path, 10), "cut");
	TEST_ASSERT_EQUAL(fake_vduse_register(&vduse, 1), -1, "refused");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(FAKE_VDUSE_PATH), "unregister");
	TEST_ASSERT_SUCCESS(unlink(path), "none");
	TEST_ASSERT_EQUAL(fake_vduse_register(&vduse, 1), -1, "refused");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(FAKE_VDUSE_PATH), "unregister");
	TEST_ASSERT_SUCCESS(symlink("/etc/passwd", path), "a link");
	TEST_ASSERT_EQUAL(fake_vduse_register(&vduse, 1), -1, "refused");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_unregister(FAKE_VDUSE_PATH), "unregister");
	fake_vduse_leave_bus(&vduse);
	fake_vduse_forget_story(&vduse);
	TEST_ASSERT_SUCCESS(fake_vduse_register(&vduse, 1), "off the bus it is made anew");
	TEST_ASSERT_SUCCESS(fake_vduse_run(&vduse), "driver");
	TEST_ASSERT(fake_vduse_story_is(&vduse, STARTED), "runs");
	return fake_vduse_fini(&vduse);
}

/* ---- what is told clearly ---- */

/** Start fails with that in one line of the log. */
static int
fails_with(int error, const char *text)
{
	struct log_capture log;
	int ret;

	vduse.control_error = error;
	TEST_ASSERT_SUCCESS(log_begin(&log), "capture");
	ret = fake_vduse_register(&vduse, 1);
	rte_vhost_driver_unregister(FAKE_VDUSE_PATH);
	log_end(&log);
	TEST_ASSERT_EQUAL(ret, -1, "fails");
	TEST_ASSERT_EQUAL(log_count(&log, text), 1, "says %s: %s", text, log.text);
	TEST_ASSERT_EQUAL(log_count(&log, "\n"), 1, "in one line: %s", log.text);
	log_free(&log);
	return 0;
}

static int
trouble_is_told(void)
{
	TEST_ASSERT_SUCCESS(fake_vduse_init(&vduse, (struct fake_config){ 0 }), "fake");
	TEST_ASSERT_SUCCESS(fails_with(ENOENT, "the kernel has no VDUSE (modprobe vduse)"), "module");
	TEST_ASSERT_SUCCESS(fails_with(EACCES, "this user may not"), "permission");
	TEST_ASSERT_SUCCESS(fails_with(EBUSY, "another process serves it"), "busy");
	vduse.control_error = 0;
	return fake_vduse_fini(&vduse);
}

static int
names_that_are_none(void)
{
	char longest[300] = "/dev/vduse/";

	TEST_ASSERT_EQUAL(rte_vhost_driver_register("/dev/vduse/", 0), -1, "empty");
	TEST_ASSERT_EQUAL(rte_vhost_driver_register("/dev/vduse/control", 0), -1, "control");
	TEST_ASSERT_EQUAL(rte_vhost_driver_register("/dev/vduse/..", 0), -1, "folder");
	TEST_ASSERT_EQUAL(rte_vhost_driver_register("/dev/vduse/a/b", 0), -1, "path");
	memset(longest + 11, 'x', 256);
	TEST_ASSERT_EQUAL(rte_vhost_driver_register(longest, 0), -1, "long");
	longest[11 + 255] = '\0';
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(longest, 0), "as long as it may be");
	return rte_vhost_driver_unregister(longest);
}

static int
numbers_of_queue_pairs(void)
{
	uint32_t pairs;

	TEST_ASSERT_EQUAL(rte_vhost_driver_set_max_queue_num(FAKE_VDUSE_PATH, 1), -1, "unknown");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_register(FAKE_VDUSE_PATH, 0), "register");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_queue_num(FAKE_VDUSE_PATH, &pairs), "ask");
	TEST_ASSERT_EQUAL(pairs, 128, "unless something is said");
	TEST_ASSERT_EQUAL(rte_vhost_driver_set_max_queue_num(FAKE_VDUSE_PATH, 129), -1, "many");
	TEST_ASSERT_EQUAL(rte_vhost_driver_set_max_queue_num(FAKE_VDUSE_PATH, 0), -1, "none");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_set_max_queue_num(FAKE_VDUSE_PATH, 7), "seven");
	TEST_ASSERT_SUCCESS(rte_vhost_driver_get_queue_num(FAKE_VDUSE_PATH, &pairs), "ask");
	TEST_ASSERT_EQUAL(pairs, 7, "as was said");
	return rte_vhost_driver_unregister(FAKE_VDUSE_PATH);
}

static int
check(void)
{
	fake_vduse_abandon();
	return fake_check();
}

static const struct test_case fixed_cases[] = {
	TEST_CASE(life_of_a_device),
	TEST_CASE(all_rings_read_the_view_in_force),
	TEST_CASE(driver_comes_again),
	TEST_CASE(several_pairs_and_a_control_queue),
	TEST_CASE(kernel_without_control_queues),
	TEST_CASE(driver_that_uses_fewer_rings),
	TEST_CASE(rings_that_are_late),
	TEST_CASE(ring_goes_on_at_an_index),
	TEST_CASE(application_unregisters_in_its_callback),
	TEST_CASE(memory_that_was_taken_back_is_not_touched),
	TEST_CASE(ranges_that_change_under_traffic),
	TEST_CASE(range_that_comes_later_is_asked_for),
	TEST_CASE(memory_of_the_kernels_own),
	TEST_CASE(rings_follow_their_ranges),
	TEST_CASE(more_ranges_than_a_map_has),
	TEST_CASE(requests_that_are_none),
	TEST_CASE(requests_before_and_after_a_driver),
	TEST_CASE(features_that_were_not_offered),
	TEST_CASE(next_backend_goes_on),
	TEST_CASE(next_backend_before_a_driver),
	TEST_CASE(next_backend_that_is_another),
	TEST_CASE(file_that_is_no_use),
	TEST_CASE(trouble_is_told),
	TEST_CASE(names_that_are_none),
	TEST_CASE(numbers_of_queue_pairs),
};

static int
test_vhost_vduse(void)
{
	static struct test_case cases[RTE_DIM(bad_rings) + RTE_DIM(bad_ranges) +
		RTE_DIM(fixed_cases)];
	struct test_case *at = cases;
	struct test_suite suite = {
		.name = "vhost VDUSE",
		.setup = fake_setup,
		.check = check,
		.teardown = fake_teardown,
		TEST_SUITE_CASES(cases),
	};

	for (unsigned int i = 0; i < RTE_DIM(bad_rings); i++)
		*at++ = (struct test_case)TEST_CASE_WITH(bad_ring_does_not_start, bad_rings[i].name,
			&bad_rings[i]);
	for (unsigned int i = 0; i < RTE_DIM(bad_ranges); i++)
		*at++ = (struct test_case)TEST_CASE_WITH(bad_range_is_left_out, bad_ranges[i].name,
			&bad_ranges[i]);
	memcpy(at, fixed_cases, sizeof(fixed_cases));
	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_vduse_autotest, test_vhost_vduse);
