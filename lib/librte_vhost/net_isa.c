/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_cpuflags.h>
#include <rte_vect.h>

#include "net_isa.h"
#include "vhost_given.h"

struct build {
	enum rte_cpu_flag_t needs;
	uint16_t bits;		/**< of its widest vectors, which the user may not want */
	vq_enqueue_t (*enqueue_select)(const struct vhost_virtqueue *block);
	vq_dequeue_t (*dequeue_select)(const struct vhost_virtqueue *block);
	/* likewise, for guests with an IOMMU */
	vq_enqueue_t (*iova_enqueue_select)(const struct vhost_virtqueue *block);
	vq_dequeue_t (*iova_dequeue_select)(const struct vhost_virtqueue *block);
};

/**
 * The builds, the best first; the last one runs anywhere.  There is none for
 * AVX-512: wide vectors serve in copies, and those of 128 to 1518 bytes took as long
 * with it as with AVX2, or longer.
 */
static const struct build builds[] = {
#if VHOST_BUILD_AVX2
	{ RTE_CPUFLAG_AVX2, RTE_VECT_SIMD_256,
		vhost_net_enqueue_select_avx2, vhost_net_dequeue_select_avx2,
		vhost_net_enqueue_select_iova_avx2, vhost_net_dequeue_select_iova_avx2 },
#endif
	{ .enqueue_select = vhost_net_enqueue_select_plain,
		.dequeue_select = vhost_net_dequeue_select_plain,
		.iova_enqueue_select = vhost_net_enqueue_select_iova,
		.iova_dequeue_select = vhost_net_dequeue_select_iova },
};

/** Which of them this CPU runs; asked once: in a virtual machine the host answers, slowly. */
static bool runs_here[RTE_DIM(builds)];

RTE_INIT(vhost_net_isa_probe)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(builds); i++)
		runs_here[i] = builds[i].bits == 0 ||
			rte_cpu_get_flag_enabled(builds[i].needs) == 1;
}

/** That logs what is written to the guest. */
static const struct build log_build = {
	.enqueue_select = vhost_net_enqueue_select_log,
	.dequeue_select = vhost_net_dequeue_select_log,
	.iova_enqueue_select = vhost_net_enqueue_select_iova_log,
	.iova_dequeue_select = vhost_net_dequeue_select_iova_log,
};

static const struct build *
best_build(const struct vhost_virtqueue *block)
{
	unsigned int i = 0;

	if (block->cfg.format & VQ_LOG)
		return &log_build;
	while (!runs_here[i] || rte_vect_get_max_simd_bitwidth() < builds[i].bits)
		i++;
	VHOST_GIVEN(i < RTE_DIM(builds)); /* the last runs everywhere */
	return &builds[i];
}

vq_enqueue_t
vhost_net_enqueue_select(const struct vhost_virtqueue *block)
{
	const struct build *build = best_build(block);

	return block->cfg.format & VQ_IOVA ? build->iova_enqueue_select(block) :
		build->enqueue_select(block);
}

vq_dequeue_t
vhost_net_dequeue_select(const struct vhost_virtqueue *block)
{
	const struct build *build = best_build(block);

	return block->cfg.format & VQ_IOVA ? build->iova_dequeue_select(block) :
		build->dequeue_select(block);
}
