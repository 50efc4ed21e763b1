/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_IOTLB_H
#define VHOST_MEM_IOTLB_H

/*
 * What an I/O virtual address of a guest means, as far as its IOMMU has told (virtio
 * 1.2, 6: VIRTIO_F_ACCESS_PLATFORM; vhost-user, "IOMMU support").
 *
 * The table holds what the frontend said, in its addresses.  It belongs to the control
 * side.  Bursts read views: immutable, in our addresses, on their node.
 *
 * Who translates gets one piece at a time: neighbours by IOVA need not be neighbours in
 * memory.
 */

#include <stdbool.h>
#include <stdint.h>

struct mem_map;

/** Translations that a table holds; one more makes another one go. */
#define MEM_IOTLB_MAX 8192

/* What may be done with memory, as in messages. */
#define MEM_IOTLB_READ	1u
#define MEM_IOTLB_WRITE	2u

/** Granularity of what is asked for. */
#define MEM_IOTLB_PAGE UINT64_C(4096)

/** A translation; iova + size and uva + size do not exceed 2^64, size is not 0. */
struct mem_iotlb_entry {
	uint64_t iova;
	uint64_t size;
	uint64_t uva;		/**< the frontend's address of the first byte */
	uint32_t access;	/**< MEM_IOTLB_* */
};

/** Addresses whose translation has gone, or is another one. */
struct mem_iotlb_gone {
	bool any;
	uint64_t first;
	uint64_t last;
};

/** All that the frontend said and has not taken back. */
struct mem_iotlb;

struct mem_iotlb *vhost_mem_iotlb_create(void);

/** NULL is allowed. */
void vhost_mem_iotlb_destroy(struct mem_iotlb *tlb);

/** Whether an entry is one at all, and of memory that the map has some of. */
bool vhost_mem_iotlb_entry_is_valid(const struct mem_iotlb_entry *entry,
		const struct mem_map *map);

/** Whether a translation had better stay when the table is full. */
typedef bool (*mem_iotlb_precious_t)(const struct mem_iotlb_entry *entry, const void *arg);

/** Add a translation, in place of what there was for these addresses. */
void vhost_mem_iotlb_update(struct mem_iotlb *tlb, const struct mem_iotlb_entry *entry,
		mem_iotlb_precious_t precious, const void *arg);

/** Forget the addresses first to last. */
void vhost_mem_iotlb_invalidate(struct mem_iotlb *tlb, uint64_t first, uint64_t last,
		mem_iotlb_precious_t precious, const void *arg);

/**
 * The frontend's address of iova.
 *
 * @param access  all that is needed
 * @param[in,out] len  bytes wanted, cut to what the translation has from there
 * @return false if there is no translation
 */
bool vhost_mem_iotlb_uva(const struct mem_iotlb *tlb, uint64_t iova, uint32_t access,
		uint64_t *len, uint64_t *uva);

/** Whether views do not say what the table says. */
bool vhost_mem_iotlb_has_changed(const struct mem_iotlb *tlb);

/** What views must not say any more; views that are filled from here on say what the table says. */
struct mem_iotlb_gone vhost_mem_iotlb_published(struct mem_iotlb *tlb);

/** A translation as bursts see it. */
struct iotlb_range {
	uint64_t iova;
	uint64_t size;
	uintptr_t host;		/**< our address of the first byte */
	uint32_t access;
};

/** In the order of their addresses, none with two translations. */
struct iotlb_view {
	uint32_t n;
	struct iotlb_range ranges[MEM_IOTLB_MAX];
};

/** Fill a view, which nobody reads: what the table says of memory that the map has. */
void vhost_mem_iotlb_fill(const struct mem_iotlb *tlb, const struct mem_map *map,
		struct iotlb_view *view);

/** The translation of an address, or NULL. */
const struct iotlb_range *vhost_iotlb_view_find(const struct iotlb_view *view, uint64_t iova);

#endif /* VHOST_MEM_IOTLB_H */
