/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "test.h"
#include "vhost_fake_dirty.h"

#define RING_LOG 1	/* fake_addr.flags: the log address counts */

/** Bytes of a log that has a bit for all of guest memory. */
static uint64_t
size_for(const struct fake *fe)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < fe->nregions; i++) {
		const struct fake_mem_region *r = &fe->regions[i].wire;

		end = RTE_MAX(end, r->gpa + r->size);
	}
	return RTE_ALIGN_CEIL(end / DIRTY_PAGE / 8 + 1, 8);
}

int
dirty_create(struct fake *fe, struct fake_dirty *d, uint64_t size, uint64_t offset)
{
	*d = (struct fake_dirty){
		.fe = fe, .size = size != 0 ? size : size_for(fe), .offset = offset,
	};
	d->map_len = RTE_ALIGN_CEIL(offset + d->size + 64, DIRTY_PAGE);
	d->fd = syscall(SYS_memfd_create, "fake-dirty", MFD_CLOEXEC);
	if (d->fd < 0 || ftruncate(d->fd, d->map_len) < 0)
		return -1;
	d->map = mmap(NULL, d->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (d->map == MAP_FAILED) {
		close(d->fd);
		return -1;
	}
	d->bits = d->map + offset;
	memset(d->map, FAKE_GUARD_BYTE, d->map_len);
	memset(d->bits, 0, d->size);
	return 0;
}

bool
dirty_guards_intact(const struct fake_dirty *d)
{
	for (size_t i = 0; i < d->map_len; i++) {
		if (i == d->offset)
			i += d->size;
		if (d->map[i] != FAKE_GUARD_BYTE) {
			printf("fake: byte %zu of the log's file changed\n", i);
			return false;
		}
	}
	return true;
}

int
dirty_destroy(struct fake_dirty *d)
{
	bool intact = dirty_guards_intact(d);

	for (unsigned int i = 0; i < FE_MAX_REGIONS; i++)
		free(d->before[i]);
	munmap(d->map, d->map_len);
	close(d->fd);
	return intact ? 0 : -1;
}

enum fake_verdict
dirty_send_base(struct fake *fe, uint64_t size, uint64_t offset, int fd)
{
	const struct fake_dirty_base base = { size, offset };
	struct fake_msg reply;
	uint64_t result;
	int rc;

	rc = fake_send(fe, FE_SET_LOG_BASE, fe->reply_ack ? FE_NEED_REPLY : 0, &base,
		sizeof(base), &fd, fd >= 0);
	if (rc < 0)
		return FAKE_CLOSED;
	rc = fake_recv(fe, &reply, NULL, NULL);
	if (rc <= 0)
		return rc == -ETIMEDOUT ? FAKE_TIMEOUT : FAKE_CLOSED;
	if (reply.request != FE_SET_LOG_BASE)
		return FAKE_TIMEOUT;
	memcpy(&result, reply.payload, sizeof(result));
	return reply.size == sizeof(result) && result == 0 ? FAKE_ACK : FAKE_NACK;
}

int
dirty_switch(struct fake *fe, bool on)
{
	/* not the fake's own, which threads with traffic look at */
	if (fake_call_u64(fe, FE_SET_FEATURES, fe->features | (on ? DIRTY_FEATURE : 0)) != FAKE_ACK)
		return -1;
	for (unsigned int i = 0; i < fe->nvrings; i++) {
		struct fake_addr addr = fake_addr_of(fe, i);

		addr.flags = on ? RING_LOG : 0;
		addr.log = fe->vqs[i].used_gpa;
		if (fake_call(fe, FE_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0) != FAKE_ACK)
			return -1;
	}
	return 0;
}

int
dirty_start(struct fake_dirty *d)
{
	if (dirty_send_base(d->fe, d->size, d->offset, d->fd) != FAKE_ACK)
		return -1;
	return dirty_switch(d->fe, true);
}

bool
dirty_is_set(const struct fake_dirty *d, uint64_t gpa)
{
	uint64_t page = gpa / DIRTY_PAGE;

	return page / 8 < d->size && (__atomic_load_n(&d->bits[page / 8],
			__ATOMIC_ACQUIRE) & 1 << page % 8) != 0;
}

unsigned int
dirty_clear(struct fake_dirty *d)
{
	unsigned int n = 0;

	for (uint64_t i = 0; i < d->size; i++)
		n += __builtin_popcount(__atomic_exchange_n(&d->bits[i], 0, __ATOMIC_ACQ_REL));
	return n;
}

int
dirty_begin(struct fake_dirty *d)
{
	for (unsigned int i = 0; i < d->fe->nregions; i++) {
		const struct fake_region *r = &d->fe->regions[i];

		if (d->before[i] == NULL)
			d->before[i] = malloc(r->wire.size);
		if (d->before[i] == NULL)
			return -1;
		memcpy(d->before[i], r->va, r->wire.size);
	}
	dirty_clear(d);
	return 0;
}

/** Does the page of this address touch [start, start + len)? */
static bool
page_touches(uint64_t gpa, uint64_t start, uint64_t len)
{
	uint64_t page = gpa / DIRTY_PAGE;

	return page >= start / DIRTY_PAGE && page <= (start + len - 1) / DIRTY_PAGE;
}

/** May the backend write there when it serves the ring? */
static bool
may_write(const struct fake_vq *vq, uint64_t gpa, bool to_guest)
{
	bool packed = vq->fe->cfg.format == FAKE_PACKED;

	if (page_touches(gpa, vq->used_gpa, packed ? 4 : 6 + 8 * vq->size))
		return true;
	if (packed && page_touches(gpa, vq->desc_gpa, 16 * vq->size))
		return true;
	return to_guest && page_touches(gpa, vq->slots_gpa, vq->size * vq->slot_stride);
}

static bool
changed(const struct fake_region *r, const uint8_t *before, uint64_t from, uint64_t to)
{
	return memcmp(r->va + from, before + from, to - from) != 0;
}

int
dirty_check(struct fake_dirty *d, unsigned int pair, bool to_guest)
{
	const struct fake_vq *vq = &d->fe->vqs[2 * pair + !to_guest];

	for (unsigned int i = 0; i < d->fe->nregions; i++) {
		const struct fake_region *r = &d->fe->regions[i];

		for (uint64_t from = 0, to; from < r->wire.size; from = to) {
			uint64_t gpa = r->wire.gpa + from;
			bool set = dirty_is_set(d, gpa);

			to = RTE_MIN(r->wire.size, from + DIRTY_PAGE - gpa % DIRTY_PAGE);
			if (!set && changed(r, d->before[i], from, to)) {
				printf("fake: %#" PRIx64 " changed without a bit\n", gpa);
				return -1;
			}
			if (set && !may_write(vq, gpa, to_guest)) {
				printf("fake: %#" PRIx64 " has a bit for no reason\n", gpa);
				return -1;
			}
		}
	}
	return 0;
}
