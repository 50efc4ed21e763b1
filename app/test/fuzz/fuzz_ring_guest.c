/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Guest memory
 *
 * Two regions, each in a file with guard bytes around it.  The first begins with
 * rings and indirect tables, buffers follow.  Beside the memory there are two
 * copies of it in the fuzzer: what it was when the device began to run, and for
 * each byte whether a descriptor ever allowed the device to write there.  A byte
 * that changed without permission is a finding.
 *
 * That ends where descriptors come from elsewhere: once the guest has written raw
 * bytes over the rings, or has allowed the device to write there, or has made a
 * table of something else, only what lies outside of guest memory is checked.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vu_message.h"

#include "fuzz_ring.h"

#define PAGE		4096u
#define GUARD_BYTE	0xAA

/* Neither ends with a page; both are as aligned as rings have to be. */
#define FIRST_SIZE	0x10030u
#define SECOND_SIZE	0x8018u
#define SECOND_FAR	0x40000000ull
#define UVA_OFFSET	0x7f0000000000ull

#define RING_BYTES	0x1c00u
#define RING_AVAIL	0x1000u
#define RING_USED	0x1300u
#define TABLES_GPA	(CONTROL_GPA + RINGS * RING_BYTES)
#define BUFFERS_GPA	(CONTROL_GPA + CONTROL_BYTES)
#define BUFFER_GAP	8u

static_assert(RINGS * RING_BYTES + TABLE_ENTRIES * sizeof(struct vring_desc) <= CONTROL_BYTES,
	"room for rings and tables");

static struct region {
	uint64_t gpa;
	uint32_t size;
	uint32_t offset;	/**< of the region in its file */
	uint32_t file_size;
	int fd;
	uint8_t *file;
	uint8_t *at;		/**< of the region in the fuzzer's mapping */
	uint8_t *before;	/**< its content when the device began to run */
	uint8_t *writable;	/**< whether the device may write a byte */
} regions[GUEST_REGIONS];

/** As many as can be around a region. */
static uint8_t guard_bytes[4 * PAGE];

/** Nothing is known of what the device may write. */
static bool anything;
/** The device runs: memory may change under it. */
static bool running;
/** The rings are packed. */
static bool packed;
/** Where the next buffer begins. */
static uint64_t next_buffer;
/** Which indirect descriptor is the next to be used. */
static unsigned int next_entry;

struct guest_ring guest_rings[RINGS];

/* ---- memory ---- */

static void
create_region(struct region *r, uint32_t size)
{
	r->size = size;
	r->file_size = RTE_ALIGN_CEIL(3 * PAGE + size, PAGE);
	r->fd = memfd_create("fuzz-guest", MFD_CLOEXEC);
	FUZZ_CHECK(r->fd >= 0 && ftruncate(r->fd, r->file_size) == 0, "errno %d", errno);
	r->file = mmap(NULL, r->file_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	FUZZ_CHECK(r->file != MAP_FAILED, "errno %d", errno);
	r->before = malloc(size);
	r->writable = malloc(size);
	FUZZ_CHECK(r->before != NULL && r->writable != NULL, "%u bytes", size);
}

void
guest_create(void)
{
	memset(guard_bytes, GUARD_BYTE, sizeof(guard_bytes));
	create_region(&regions[0], FIRST_SIZE);
	create_region(&regions[1], SECOND_SIZE);
}

static void
reset_region(struct region *r, uint64_t gpa, uint32_t offset)
{
	r->gpa = gpa;
	r->offset = offset;
	r->at = r->file + offset;
	memset(r->file, GUARD_BYTE, r->file_size);
	memset(r->at, 0, r->size);
	memset(r->writable, 0, r->size);
}

static bool
guards_intact(const struct region *r)
{
	uint32_t end = r->offset + r->size;

	return memcmp(r->file, guard_bytes, r->offset) == 0 &&
		memcmp(r->file + end, guard_bytes, r->file_size - end) == 0;
}

/** The part of a range that lies in a region, as offsets. */
static bool
clip(const struct region *r, uint64_t gpa, uint64_t len, uint32_t *from, uint32_t *to)
{
	uint64_t end = gpa + len < gpa ? UINT64_MAX : gpa + len;

	if (gpa >= r->gpa + r->size || end <= r->gpa)
		return false;
	*from = RTE_MAX(gpa, r->gpa) - r->gpa;
	*to = RTE_MIN(end, r->gpa + r->size) - r->gpa;
	return true;
}

static bool
touches_control(uint64_t gpa, uint64_t len)
{
	uint32_t from, to;

	return clip(&regions[0], gpa, len, &from, &to) && from < CONTROL_BYTES;
}

static void
allow(uint64_t gpa, uint64_t len)
{
	uint32_t from, to;

	for (int i = 0; i < GUEST_REGIONS; i++)
		if (clip(&regions[i], gpa, len, &from, &to))
			memset(regions[i].writable + from, 1, to - from);
}

/** Write without a thought about what it means. */
static void
write_plain(uint64_t gpa, const void *bytes, uint64_t len)
{
	uint32_t from, to;

	for (int i = 0; i < GUEST_REGIONS; i++) {
		struct region *r = &regions[i];
		const uint8_t *src = bytes;

		if (!clip(r, gpa, len, &from, &to))
			continue;
		src += r->gpa + from - gpa;
		memcpy(r->at + from, src, to - from);
		if (running)
			memcpy(r->before + from, src, to - from);
	}
}

void
guest_write(uint64_t gpa, const void *bytes, uint64_t len)
{
	anything = anything || touches_control(gpa, len);
	write_plain(gpa, bytes, len);
}

static uint64_t
desc_gpa(const struct guest_ring *gr, uint32_t i)
{
	return gr->gpa + i % gr->size * sizeof(struct vring_desc);
}

static uint16_t
packed_flags(const struct guest_ring *gr, uint32_t i)
{
	struct vring_packed_desc desc;

	memcpy(&desc, regions[0].at + (desc_gpa(gr, i) - MEMORY_GPA), sizeof(desc));
	return desc.flags;
}

/**
 * Whether a chain of a packed ring goes on in a descriptor that was not made available with
 * it.  It may be used by then: its address is what it was, maybe a table's, but its length
 * and its flag of a buffer to write to are the device's.  That does the guest alone harm.
 */
static bool
has_torn_chain(const struct guest_ring *gr)
{
	const uint16_t available = 1u << VRING_PACKED_DESC_F_AVAIL;
	const uint16_t used = 1u << VRING_PACKED_DESC_F_USED;

	for (uint32_t i = 0; i < gr->size; i++) {
		uint16_t flags = packed_flags(gr, i), next = packed_flags(gr, i + 1);
		uint16_t mark = flags & (available | used);
		uint16_t turned = i + 1 == gr->size ? available | used : 0;

		if ((flags & VRING_DESC_F_NEXT) && (mark == available || mark == used) &&
				((next & (available | used)) != (mark ^ turned) ||
				(next & VRING_DESC_F_INDIRECT)))
			return true;
	}
	return false;
}

void
guest_before(void)
{
	for (unsigned int i = 0; packed && i < RINGS; i++)
		anything = anything || has_torn_chain(&guest_rings[i]);
	for (int i = 0; i < GUEST_REGIONS; i++)
		memcpy(regions[i].before, regions[i].at, regions[i].size);
	running = true;
	faults_begin();
}

void
guest_truncate(unsigned int region)
{
	/* at least the page that the file's head is in is left */
	if (ftruncate(regions[region].fd, PAGE) < 0)
		abort();
}

/** Files are as long as they were; what was in them is gone. */
static void
mend_files(void)
{
	for (int i = 0; i < GUEST_REGIONS; i++) {
		struct region *r = &regions[i];

		FUZZ_CHECK(ftruncate(r->fd, r->file_size) == 0, "errno %d", errno);
		reset_region(r, r->gpa, r->offset);
	}
	anything = true;
}

static void
check_region(const struct region *r)
{
	FUZZ_CHECK(guards_intact(r), "written outside of guest memory");
	if (anything || memcmp(r->before, r->at, r->size) == 0)
		return;
	for (uint32_t i = 0; i < r->size; i++)
		FUZZ_CHECK(r->before[i] == r->at[i] || r->writable[i],
			"guest address 0x%" PRIx64 " was written", r->gpa + i);
}

void
guest_after(void)
{
	running = false;
	if (faults_end())
		mend_files();
	for (int i = 0; i < GUEST_REGIONS; i++)
		check_region(&regions[i]);
}

bool
guest_is_sound(void)
{
	return !anything;
}

void
guest_table(struct vu_memory *table, int *fds)
{
	*table = (struct vu_memory){ .nregions = GUEST_REGIONS };
	for (int i = 0; i < GUEST_REGIONS; i++) {
		const struct region *r = &regions[i];

		table->regions[i] = (struct vu_region){
			.gpa = r->gpa, .size = r->size, .uva = guest_uva(r->gpa),
			.mmap_offset = r->offset,
		};
		fds[i] = r->fd;
	}
}

uint64_t
guest_uva(uint64_t gpa)
{
	return gpa + UVA_OFFSET;
}

uint64_t
guest_take_gpa(struct fuzz_input *in)
{
	uint8_t kind = fuzz_u8(in);
	const struct region *r = &regions[kind >> 2 & 1];

	switch (kind % 8) {
	case 0:
	case 1:
	case 2:
		return BUFFERS_GPA + fuzz_u16(in) % (FIRST_SIZE - CONTROL_BYTES);
	case 3:
	case 4:
		return regions[1].gpa + fuzz_u16(in) % SECOND_SIZE;
	case 5:
		return r->gpa + r->size - fuzz_u8(in);
	case 6:
		return CONTROL_GPA + fuzz_u16(in) % CONTROL_BYTES;
	default:
		return fuzz_u64(in);
	}
}

/* ---- the driver ---- */

/** What a descriptor lets the device do. */
static void
note_desc(struct vring_desc desc)
{
	if (desc.flags & VRING_DESC_F_INDIRECT) {
		uint64_t offset = desc.addr - TABLES_GPA;

		anything = anything || offset % sizeof(desc) != 0 ||
			offset + desc.len > TABLE_ENTRIES * sizeof(desc);
		return;
	}
	if (!(desc.flags & VRING_DESC_F_WRITE))
		return;
	anything = anything || touches_control(desc.addr, desc.len);
	allow(desc.addr, desc.len);
}

/** Write a descriptor in the format of the rings. */
static void
write_desc(uint64_t gpa, struct vring_desc desc)
{
	const struct vring_packed_desc other = { desc.addr, desc.len, desc.next, desc.flags };

	if (packed)
		write_plain(gpa, &other, sizeof(other));
	else
		write_plain(gpa, &desc, sizeof(desc));
}

void
guest_set_desc(unsigned int ring, uint16_t i, struct vring_desc desc)
{
	note_desc(desc);
	write_desc(desc_gpa(&guest_rings[ring], i), desc);
}

void
guest_set_entry(uint16_t i, struct vring_desc desc)
{
	struct vring_desc meant = desc;

	/* with packed rings the queue decides on the direction, see ring_packed.h */
	if (packed)
		meant.flags = VRING_DESC_F_WRITE;
	note_desc(meant);
	write_desc(TABLES_GPA + (i % TABLE_ENTRIES) * sizeof(desc), desc);
}

void
guest_set_avail_idx(unsigned int ring, uint16_t idx)
{
	guest_rings[ring].avail_idx = idx;
	write_plain(guest_rings[ring].avail_gpa + offsetof(struct vring_avail, idx), &idx,
		sizeof(idx));
}

void
guest_set_interrupts(unsigned int ring, uint16_t value)
{
	const struct guest_ring *gr = &guest_rings[ring];
	const struct vring_packed_desc_event event = { value, value % 4 };

	if (packed) {
		write_plain(gr->avail_gpa, &event, sizeof(event));
		return;
	}
	write_plain(gr->avail_gpa + offsetof(struct vring_avail, flags), &value, sizeof(value));
	write_plain(gr->avail_gpa + offsetof(struct vring_avail, ring) +
		gr->size * sizeof(value), &value, sizeof(value));
}

/** The flags of an available descriptor, of so many that a packed ring has had. */
static uint16_t
available_mark(const struct guest_ring *gr, uint32_t count)
{
	return count / gr->size % 2 == 0 ? 1u << VRING_PACKED_DESC_F_AVAIL :
		1u << VRING_PACKED_DESC_F_USED;
}

/** Make a descriptor of a packed ring available on this lap, whatever is in it. */
static void
offer_packed(const struct guest_ring *gr, uint16_t i)
{
	uint16_t mark = available_mark(gr, gr->next_desc);

	write_plain(desc_gpa(gr, i) + offsetof(struct vring_packed_desc, flags), &mark,
		sizeof(mark));
}

void
guest_offer(unsigned int ring, uint16_t head)
{
	const struct guest_ring *gr = &guest_rings[ring];

	if (packed) {
		offer_packed(gr, head);
		return;
	}
	write_plain(gr->avail_gpa + offsetof(struct vring_avail, ring) +
		gr->avail_idx % gr->size * sizeof(head), &head, sizeof(head));
	guest_set_avail_idx(ring, gr->avail_idx + 1);
}

/** A buffer of the guest's that no other descriptor has, until they run out. */
static uint64_t
take_buffer(uint32_t len)
{
	uint64_t gpa = next_buffer;
	uint64_t end = BUFFERS_GPA + FIRST_SIZE - CONTROL_BYTES;

	if (gpa + len > end)
		gpa = BUFFERS_GPA;
	next_buffer = gpa + len + BUFFER_GAP;
	return gpa;
}

static void
describe_buffers(struct guest_chain *chain, unsigned int nread, uint32_t first_len, uint32_t len)
{
	for (unsigned int i = 0; i < chain->n; i++) {
		uint32_t n = i == 0 ? first_len : len;

		chain->desc[i] = (struct vring_desc){
			.addr = take_buffer(n),
			.len = n,
			.flags = (i < nread ? 0 : VRING_DESC_F_WRITE) |
				(i + 1 < chain->n ? VRING_DESC_F_NEXT : 0),
		};
	}
}

/** Put the next descriptor into the ring, of the chain with that head. */
static void
place_desc(unsigned int ring, struct vring_desc desc, uint16_t head)
{
	struct guest_ring *gr = &guest_rings[ring];
	uint32_t at = gr->next_desc++;

	if (packed) {
		desc.flags |= available_mark(gr, at);
		desc.next = head;
	} else {
		desc.next = (at + 1) % gr->size;
	}
	guest_set_desc(ring, at % gr->size, desc);
}

/** Put a chain into the ring itself. */
static void
place_direct(unsigned int ring, const struct guest_chain *chain, uint16_t head)
{
	for (unsigned int i = 0; i < chain->n; i++)
		place_desc(ring, chain->desc[i], head);
}

/** Put a chain into the tables, and one descriptor into the ring. */
static void
place_indirect(unsigned int ring, struct guest_chain *chain, uint16_t head)
{
	struct vring_desc table = {
		.len = chain->n * sizeof(table),
		.flags = VRING_DESC_F_INDIRECT,
	};

	if (next_entry + chain->n > TABLE_ENTRIES)
		next_entry = 0;
	table.addr = TABLES_GPA + next_entry * sizeof(table);
	for (unsigned int i = 0; i < chain->n; i++) {
		chain->desc[i].next = i + 1;
		guest_set_entry(next_entry++, chain->desc[i]);
	}
	place_desc(ring, table, head);
}

void
guest_make_chain(unsigned int ring, unsigned int nread, unsigned int nwrite,
		uint32_t first_len, uint32_t len, bool indirect)
{
	struct guest_ring *gr = &guest_rings[ring];
	struct guest_chain *chain = &gr->last;
	uint16_t head = gr->next_desc % gr->size;

	chain->n = RTE_MIN(nread + nwrite, CHAIN_MAX);
	describe_buffers(chain, nread, first_len, len);
	if (indirect && chain->n <= TABLE_ENTRIES)
		place_indirect(ring, chain, head);
	else
		place_direct(ring, chain, head);
	if (!packed)
		guest_offer(ring, head);
}

void
guest_fill_chain(unsigned int ring, const void *bytes, uint32_t len)
{
	const struct guest_chain *chain = &guest_rings[ring].last;
	const uint8_t *src = bytes;

	for (unsigned int i = 0; i < chain->n && len > 0; i++) {
		uint32_t n = RTE_MIN(len, chain->desc[i].len);

		guest_write(chain->desc[i].addr, src, n);
		src += n;
		len -= n;
	}
}

static void
reset_ring(unsigned int ring, uint16_t size, bool overlaps)
{
	struct guest_ring *gr = &guest_rings[ring];
	uint64_t gpa = CONTROL_GPA + ring * RING_BYTES;

	*gr = (struct guest_ring){
		.size = size,
		.gpa = gpa,
		.avail_gpa = gpa + (overlaps ? 0x30 : RING_AVAIL),
		.used_gpa = gpa + (overlaps ? 0x10 : RING_USED),
	};
	gr->used = (struct vring_used *)(regions[0].at + (gr->used_gpa - MEMORY_GPA));
	if (packed)
		allow(gr->gpa, size * sizeof(struct vring_packed_desc));
	allow(gr->used_gpa, packed ? sizeof(struct vring_packed_desc_event) :
		sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) +
		sizeof(uint16_t));
	anything = anything || overlaps;
}

/* ---- what the guest does while the device runs ---- */

#define MAX_CHANGES 4

static struct change {
	uint8_t after;		/**< moments to let pass */
	uint8_t len;
	uint8_t bytes[16];
	uint64_t gpa;
} changes[MAX_CHANGES];
static unsigned int nchanges;

static void
on_moment(void)
{
	struct change *c = &changes[0];

	if (nchanges == 0 || c->after-- > 0)
		return;
	guest_write(c->gpa, c->bytes, c->len);
	nchanges--;
	memmove(changes, changes + 1, nchanges * sizeof(*c));
}

void
guest_plan_change(struct fuzz_input *in)
{
	struct change *c;

	if (nchanges == MAX_CHANGES)
		return;
	c = &changes[nchanges++];
	c->after = fuzz_u8(in) % 64;
	c->gpa = guest_take_gpa(in);
	c->len = fuzz_u8(in) % (sizeof(c->bytes) + 1);
	fuzz_take(in, c->bytes, c->len);
}

/** Layout bits: adjacent regions, how rings lie (3), where the first region is (4). */
void
guest_reset(struct fuzz_input *in, bool is_packed)
{
	uint8_t layout = fuzz_u8(in);
	uint16_t size = 1u << fuzz_u8(in) % 9;

	packed = is_packed;
	/* only split rings need a power of two */
	if (packed && size > 2 && (layout & 8))
		size--;
	reset_region(&regions[0], MEMORY_GPA, PAGE + (layout >> 4) * 16);
	reset_region(&regions[1], layout & 1 ? MEMORY_GPA + FIRST_SIZE : SECOND_FAR,
		PAGE + 48);
	anything = false;
	running = false;
	next_buffer = BUFFERS_GPA;
	next_entry = 0;
	nchanges = 0;
	for (unsigned int i = 0; i < RINGS; i++)
		reset_ring(i, size, (layout & 6) == 2);
	/* the guest may not be caught in memory that is taken away */
	fuzz_hook = faults_are_wanted() ? NULL : on_moment;
}
