/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_eal.h>
#include <rte_memory.h>

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

static const struct vhost_iova_ops eal_ops = {
	.physical = eal_physical,
	.of = eal_of,
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
