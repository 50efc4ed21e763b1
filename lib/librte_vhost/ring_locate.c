/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A ring has three parts, each in one piece of our memory.  Without an IOMMU their
 * addresses are the frontend's.  With one they are IOVAs, of which several translations
 * may have a part each: these have to be neighbours in memory as well.
 */

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "ring.h"
#include "ring_locate.h"

#include "rte_vhost.h"

/** Parts of a ring, and the word that is to be logged with it. */
enum ring_part {
	PART_DESC,
	PART_AVAIL,
	PART_USED,
	PART_LOG,
	RING_PARTS
};

/** A part as the frontend describes it. */
struct part {
	uint64_t addr;
	size_t bytes;		/**< 0: there is none */
	size_t align;
	uint32_t access;	/**< MEM_IOTLB_* that we need */
};

/** Whether the address to be logged is an IOVA that has to be looked up. */
static bool
logs_by_iova(const struct queue_wish *wish, unsigned int format)
{
	return (format & VQ_IOVA) && (format & VQ_LOG) && wish->log_ring;
}

static struct part
ring_part(const struct queue_wish *wish, unsigned int format, enum ring_part part)
{
	const struct ring_areas areas = ring_areas(wish->size, format);
	const uint32_t both = MEM_IOTLB_READ | MEM_IOTLB_WRITE;

	switch (part) {
	case PART_DESC:
		return (struct part){ wish->desc_uva, areas.desc.bytes, areas.desc.align,
			format & VQ_PACKED ? both : MEM_IOTLB_READ };
	case PART_AVAIL:
		return (struct part){ wish->avail_uva, areas.avail.bytes, areas.avail.align,
			MEM_IOTLB_READ };
	case PART_USED:
		return (struct part){ wish->used_uva, areas.used.bytes, areas.used.align, both };
	default:
		return (struct part){ wish->log_gpa,
			logs_by_iova(wish, format) ? areas.used.bytes : 0, 1, MEM_IOTLB_WRITE };
	}
}

/** Add a piece behind n others, or to the last one: how many there are then. */
static unsigned int
add_piece(struct window_piece *pieces, unsigned int n, uint8_t *host, size_t len)
{
	if (n > 0 && pieces[n - 1].host + pieces[n - 1].len == host) {
		pieces[n - 1].len += len;
		return n;
	}
	pieces[n] = (struct window_piece){ host, len };
	return n + 1;
}

/** Where a part is whose address is an IOVA: pieces of memory, how many; 0: not known. */
static unsigned int
find_pieces(const struct ring_memory_map *memory, const struct part *part,
		struct window_piece *pieces)
{
	uint64_t done = 0, len, uva;
	unsigned int n = 0;
	uint8_t *host;

	while (done < part->bytes) {
		len = part->bytes - done;
		if (!vhost_mem_iotlb_uva(memory->iotlb, part->addr + done, part->access, &len, &uva))
			return 0;
		host = vhost_mem_map_from_uva(memory->map, uva, len);
		/* smaller pieces than pages are not mapped side by side */
		if (host == NULL || n == RING_WINDOW_PIECES)
			return 0;
		n = add_piece(pieces, n, host, len);
		done += len;
	}
	return n;
}

/** Our address of a part whose address is an IOVA; NULL unless it is known and one piece. */
static uint8_t *
translate_iova(const struct ring_memory_map *memory, const struct part *part)
{
	struct window_piece pieces[RING_WINDOW_PIECES];
	unsigned int n = find_pieces(memory, part, pieces);

	if (n > 1)
		return memory->windows != NULL ?
			vhost_ring_window(memory->windows, memory->map, pieces, n) : NULL;
	/* together they have to be in one region as well, not only side by side */
	return n == 1 && vhost_mem_map_region(memory->map, pieces[0].host, part->bytes) != NULL ?
		pieces[0].host : NULL;
}

/**
 * Our address of a part of a ring; NULL unless it lies within one region and is
 * aligned (2.7, 2.8), here: a region may begin anywhere in its file.
 */
static void *
translate_part(const struct ring_memory_map *memory, const struct part *part)
{
	void *host = memory->iotlb != NULL ? translate_iova(memory, part) :
		vhost_mem_map_from_uva(memory->map, part->addr, part->bytes);

	return ((uintptr_t)host & (part->align - 1)) == 0 ? host : NULL;
}

/** Our addresses of the ring's parts; false unless there can be such a ring. */
static bool
translate_ring(const struct queue_wish *wish, const struct ring_memory_map *memory,
		struct vq_cfg *cfg)
{
	const struct part desc = ring_part(wish, cfg->format, PART_DESC);
	const struct part avail = ring_part(wish, cfg->format, PART_AVAIL);
	const struct part used = ring_part(wish, cfg->format, PART_USED);

	cfg->desc = translate_part(memory, &desc);
	cfg->avail = translate_part(memory, &avail);
	cfg->used = translate_part(memory, &used);
	return cfg->desc != NULL && cfg->avail != NULL && cfg->used != NULL &&
		ring_size_is_valid(wish->size, cfg->format);
}

/** Whether an IOVA of a part and its size exceed 2^64. */
static bool
ring_wraps(const struct queue_wish *wish, unsigned int format)
{
	for (unsigned int i = 0; i < RING_PARTS; i++) {
		const struct part part = ring_part(wish, format, i);

		if (part.bytes != 0 && part.bytes - 1 > UINT64_MAX - part.addr)
			return true;
	}
	return false;
}

bool
vhost_ring_fits(const struct queue_wish *wish, uint64_t features,
		const struct ring_memory_map *memory)
{
	struct vq_cfg cfg = { .format = ring_format(features) };

	if (!wish->has_addr || wish->size == 0)
		return true;
	if (memory->iotlb != NULL)
		return ring_size_is_valid(wish->size, cfg.format) && !ring_wraps(wish, cfg.format);
	return memory->map != NULL && translate_ring(wish, memory, &cfg);
}

/** The guest's address of something at ours. */
static uint64_t
guest_address(const struct mem_map *map, const void *host)
{
	const struct mem_region *region = vhost_mem_map_region(map, host, 1);

	return region->gpa + ((const uint8_t *)host - region->host);
}

/** How writes to a ring that was translated are logged; false if that is not known yet. */
static bool
shape_log(const struct queue_wish *wish, const struct ring_memory_map *memory,
		struct vq_cfg *cfg)
{
	const struct part part = ring_part(wish, cfg->format, PART_LOG);
	uint64_t gpa = wish->log_gpa;
	const uint8_t *host;

	/* pages that are apart have no one address of the guest's to be logged by */
	if (vhost_mem_map_region(memory->map, cfg->desc, 1) == NULL ||
			(part.bytes == 0 && vhost_mem_map_region(memory->map, cfg->used, 1) == NULL))
		return false;
	if (part.bytes != 0) {
		host = translate_iova(memory, &part);
		if (host == NULL)
			return false;
		gpa = guest_address(memory->map, host);
	}
	cfg->log = (struct vq_log_cfg){
		/* one that wraps is not logged */
		.ring = wish->log_ring &&
			gpa <= UINT64_MAX - ring_areas(wish->size, cfg->format).used.bytes,
		.device_gpa = gpa,
		.desc_gpa = guest_address(memory->map, cfg->desc),
	};
	return true;
}

/**
 * Whether SET_VRING_CALL need not be waited for.  The kick starts a ring, and a guest
 * that polls has no interrupt to tell of.  But most frontends send the call descriptor
 * right behind the kick, and applications that notify by themselves would be told of
 * the ring twice: so a ring waits for it that has had one before, or that is not
 * enabled yet, as frontends enable rings last.
 */
static bool
call_is_settled(const struct queue_wish *wish, uint64_t features)
{
	bool enabled = wish->enabled ||
		(features & (1ULL << VHOST_USER_F_PROTOCOL_FEATURES)) == 0;

	return wish->callfd != QUEUE_FD_UNSET || (enabled && !wish->knows_call);
}

static bool
ring_is_started(const struct queue_wish *wish, uint64_t features)
{
	return wish->has_addr && wish->size != 0 && wish->kickfd != QUEUE_FD_UNSET &&
		call_is_settled(wish, features);
}

void
vhost_ring_locate(const struct queue_wish *wish, uint64_t features,
		const struct ring_memory_map *memory, struct vq_cfg *cfg)
{
	if (memory->map == NULL || !ring_is_started(wish, features))
		return;
	if (translate_ring(wish, memory, cfg) &&
			(!(cfg->format & VQ_LOG) || shape_log(wish, memory, cfg))) {
		cfg->size = wish->size;
		return;
	}
	cfg->desc = NULL;
	cfg->avail = NULL;
	cfg->used = NULL;
	cfg->untranslated = memory->iotlb != NULL;
}

bool
vhost_ring_is_within(const struct queue_wish *wish, uint64_t features, uint64_t first,
		uint64_t last)
{
	const unsigned int format = ring_format(features);

	if (!wish->has_addr || wish->size == 0)
		return false;
	for (unsigned int i = 0; i < RING_PARTS; i++) {
		const struct part part = ring_part(wish, format, i);

		if (part.bytes != 0 && part.addr <= last && part.addr + (part.bytes - 1) >= first)
			return true;
	}
	return false;
}

/** Where a search for missing pages has arrived: a part, and bytes of it. */
#define AT_PART(at)	((at) >> 48)
#define AT_BYTES(at)	((at) & (UINT64_MAX >> 16))

bool
vhost_ring_missing(const struct queue_wish *wish, uint64_t features,
		const struct ring_memory_map *memory, uint64_t *at, uint64_t *page,
		uint32_t *access)
{
	const unsigned int format = ring_format(features);
	uint64_t done = AT_BYTES(*at), len, uva;

	for (uint64_t i = AT_PART(*at); i < RING_PARTS; i++, done = 0) {
		const struct part part = ring_part(wish, format, i);

		for (; done < part.bytes; done += len) {
			len = part.bytes - done;
			if (vhost_mem_iotlb_uva(memory->iotlb, part.addr + done, part.access, &len,
					&uva))
				continue;
			*page = RTE_ALIGN_FLOOR(part.addr + done, MEM_IOTLB_PAGE);
			*access = part.access;
			*at = i << 48 | (done + MEM_IOTLB_PAGE - (part.addr + done) % MEM_IOTLB_PAGE);
			return true;
		}
	}
	return false;
}
