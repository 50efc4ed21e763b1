/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_eal.h>
#include <rte_memory.h>
#include <rte_vfio.h>

#include "mem_iova.h"

static bool
eal_physical(void)
{
	return rte_eal_iova_mode() == RTE_IOVA_PA;
}

static rte_iova_t
eal_of(const void *host)
{
	rte_iova_t iova = rte_mem_virt2iova(host);

	return iova != RTE_BAD_IOVA ? iova : 0;
}

static bool
eal_has_vfio(void)
{
	return rte_vfio_is_enabled("vfio");
}

static int
eal_map(const void *host, size_t size)
{
	return rte_vfio_container_dma_map(RTE_VFIO_DEFAULT_CONTAINER_FD, (uintptr_t)host,
		(uintptr_t)host, size);
}

static void
eal_unmap(const void *host, size_t size)
{
	rte_vfio_container_dma_unmap(RTE_VFIO_DEFAULT_CONTAINER_FD, (uintptr_t)host,
		(uintptr_t)host, size);
}

static const struct vhost_iova_ops eal_ops = {
	.physical = eal_physical,
	.of = eal_of,
	.has_vfio = eal_has_vfio,
	.map = eal_map,
	.unmap = eal_unmap,
};

static const struct vhost_iova_ops *ops = &eal_ops;

void
vhost_iova_set_ops(const struct vhost_iova_ops *other)
{
	ops = other != NULL ? other : &eal_ops;
}

bool
vhost_iova_is_physical(void)
{
	return ops->physical();
}

bool
vhost_iova_needs_map(void)
{
	/* physical addresses need no IOMMU */
	return !ops->physical() && ops->has_vfio();
}

int
vhost_iova_map(const void *host, size_t size)
{
	return ops->map(host, size);
}

void
vhost_iova_unmap(const void *host, size_t size)
{
	ops->unmap(host, size);
}

rte_iova_t
vhost_iova_of(struct mem_iova_cache *cache, const void *host)
{
	uintptr_t at = (uintptr_t)host, page = RTE_ALIGN_FLOOR(at, (uintptr_t)IOVA_PAGE);
	unsigned int i = page / IOVA_PAGE % RTE_DIM(cache->entries);

	if (cache->entries[i].page != page) {
		rte_iova_t iova = ops->of((const void *)page);

		/* one that is not there yet may come */
		if (iova == 0)
			return 0;
		cache->entries[i].page = page;
		cache->entries[i].iova = iova;
	}
	return cache->entries[i].iova + (at - page);
}
