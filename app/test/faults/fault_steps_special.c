/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Steps of lives with something special: see fault_life.h. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_vhost.h>
#include <rte_vhost_async.h>

#include "test.h"
#include "vhost_fake_dma.h"
#include "vhost_soft_vdpa.h"

#include "fault_life.h"

/* ---- memory that goes, doorbells of another kind ---- */

/** Guest 0 sleeps at a pipe. */
int
fault_step_pipe(struct life *life)
{
	int ends[2], ret;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	ret = fake_call_fd(life->fe, FE_SET_VRING_CALL, 0, ends[1]);
	close(ends[0]);
	close(ends[1]);
	return ret == FAKE_ACK ? 0 : -1;
}

/** Files of the guest lose their pages while we use them: the guest goes, and nobody else. */
int
fault_step_truncate(struct life *life)
{
	struct fake *fe = life->fe;
	struct fake_region *r = &fe->regions[0];
	struct rte_mbuf *m;
	uint16_t n;

	if (ftruncate(r->fd, 0) < 0)
		return -1;
	n = rte_vhost_dequeue_burst(fe->vid, 1, fake_pool(), &m, 1);
	if (n > 0)
		rte_pktmbuf_free(m);
	if (ftruncate(r->fd, r->map_len) < 0)
		return -1;
	fake_guards_paint(fe);
	if (!fake_is_closed(fe))
		fault_wrong(life, "a guest without its memory stays");
	return 0;
}

/* ---- an IOMMU ---- */

int
fault_step_channel(struct life *life)
{
	fake_iommu_fini(&life->iommu);
	return fake_iommu_init(&life->iommu, life->fe);
}

int
fault_step_run_iommu(struct life *life)
{
	return fake_iommu_run(&life->iommu);
}

/** Buffers need not be asked for. */
int
fault_step_map_buffers(struct life *life)
{
	const struct fake *fe = life->fe;
	const struct fake_mem_region *r = &fe->regions[fe->nregions - 1].wire;

	return fake_iommu_map(&life->iommu, r->gpa + fe->iova, r->size, r->gpa, FAKE_BOTH) ==
		FAKE_ACK ? 0 : -1;
}

/** Tell that a page of descriptors is where another one would be. */
static int
map_scattered(struct life *life, unsigned int i)
{
	const struct fake_vq *vq = &life->fe->vqs[0];

	return fake_iommu_map(&life->iommu, vq->desc_gpa + vq->fe->iova + i * 4096, 4096,
		vq->desc_gpa + (SIGHT_PAGES - 1 - i) * 4096, FAKE_BOTH) == FAKE_ACK ? 0 : -1;
}

/** The driver sees the pages last to first, and so shall we. */
int
fault_step_scatter(struct life *life)
{
	struct fake_vq *vq = &life->fe->vqs[0];

	if (life->sight == NULL)
		life->sight = mmap(NULL, SIGHT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < SIGHT_PAGES; i++) {
		uint8_t *at = life->sight + i * 4096;
		uint8_t *page = fake_va(vq->fe, vq->desc_gpa + (SIGHT_PAGES - 1 - i) * 4096, 4096);

		if (mremap(page, 0, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at ||
				map_scattered(life, i) < 0)
			return -1;
	}
	vq->desc = (struct vring_desc *)life->sight;
	return 0;
}

/** A page of the ring is taken back for a moment. */
int
fault_step_unmap_and_map(struct life *life)
{
	struct fake *fe = life->fe;

	if (fake_iommu_unmap(&life->iommu, fe->vqs[0].desc_gpa + fe->iova + 4096, 4096) != FAKE_ACK)
		return -1;
	return map_scattered(life, 1);
}

/** Answers in between: packets ask for what they need of the rings. */
int
fault_step_iommu_packets(struct life *life)
{
	struct fake *fe = life->fe;
	uint64_t until = fake_now_ms() + fake_patience_ms();
	struct rte_mbuf *m = fake_mbuf(200, 5, 0);
	static uint8_t pkt[2048];
	uint16_t sent = 0;

	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	while (m != NULL && sent == 0 && fake_now_ms() < until) {
		fake_iommu_answer(&life->iommu);
		sent = rte_vhost_enqueue_burst(fe->vid, 0, &m, 1);
	}
	rte_pktmbuf_free(m);
	return sent == 1 && fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt)) == 200 ? 0 : -1;
}

/* ---- asynchronous copies ---- */

int
fault_step_dma(struct life *life)
{
	if (life->dma < 0)
		life->dma = fake_dma_create(FAKE_DMA_HELD, 1, 256);
	return rte_vhost_async_dma_configure(life->dma, 0);
}

int
fault_step_channels(struct life *life)
{
	for (unsigned int q = 0; q < life->fe->nvrings; q++)
		if (rte_vhost_async_get_inflight(life->fe->vid, q) < 0 &&
				rte_vhost_async_channel_register(life->fe->vid, q) < 0)
			return -1;
	return 0;
}

static int
submit(struct life *life, uint32_t seed)
{
	struct fake *fe = life->fe;
	struct rte_mbuf *m = fake_mbuf(400, seed, 0);

	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	if (rte_vhost_submit_enqueue_burst(fe->vid, 0, &m, 1, life->dma, 0) == 1)
		return 0;
	rte_pktmbuf_free(m);
	return -1;
}

/** Packets to the guest, all of which are done. */
int
fault_step_copies(struct life *life)
{
	struct fake *fe = life->fe;
	static uint8_t pkt[2048];
	struct rte_mbuf *m;

	if (submit(life, 7) < 0)
		return -1;
	fake_dma_run(life->dma, 0, UINT32_MAX);
	if (rte_vhost_poll_enqueue_completed(fe->vid, 0, &m, 1, life->dma, 0) != 1)
		return -1;
	rte_pktmbuf_free(m);
	return fake_rx_take(&fe->vqs[0], NULL, pkt, sizeof(pkt)) == 400 ? 0 : -1;
}

/** A copy that is still under way when the guest goes. */
int
fault_step_late_copy(struct life *life)
{
	return submit(life, 8);
}

/* ---- postcopy ---- */

int
fault_step_leave(struct life *life)
{
	if (postcopy_leave(&life->postcopy, life->fe) < 0)
		return -1;
	life->runs = false;
	return 0;
}

int
fault_step_arrive(struct life *life)
{
	if (fault_step_connect(life) < 0 || fault_step_negotiate(life) < 0 ||
			postcopy_advise(&life->postcopy) < 0 ||
			postcopy_listen(&life->postcopy) < 0 ||
			postcopy_table(&life->postcopy) < 0 ||
			postcopy_acknowledge(&life->postcopy, false) < 0)
		return -1;
	return 0;
}

int
fault_step_postcopy_end(struct life *life)
{
	return postcopy_finish(&life->postcopy);
}

/* ---- hardware ---- */

int
fault_step_hardware(struct life *life)
{
	const struct soft_vdpa_config cfg = { .pairs = 1 };

	life->soft = soft_vdpa_create("fault_soft", &cfg);
	return life->soft != NULL ? 0 : -1;
}

/** A frame that it sends back. */
int
fault_step_frame(struct life *life)
{
	struct fake *fe = life->fe;
	uint64_t until = fake_now_ms() + fake_patience_ms();
	uint8_t sent[200], got[256];
	int len = -1;

	fake_pattern(sent, sizeof(sent), 3);
	fake_rx_fill(&fe->vqs[0], 1, 2048, NULL);
	if (!fake_tx_send(&fe->vqs[1], NULL, sent, sizeof(sent), NULL))
		return -1;
	while (len == -1 && fake_now_ms() < until) {
		usleep(200);
		len = fake_rx_take(&fe->vqs[0], NULL, got, sizeof(got));
	}
	fake_tx_reap(&fe->vqs[1]);
	return len == sizeof(sent) && memcmp(sent, got, sizeof(sent)) == 0 ? 0 : -1;
}

/** What starts is told behind the last acknowledgement. */
int
fault_step_run_hardware(struct life *life)
{
	return fake_run(life->fe) == 0 && fake_is_served(life->fe) &&
		soft_vdpa_is_running(life->soft) ? 0 : -1;
}
