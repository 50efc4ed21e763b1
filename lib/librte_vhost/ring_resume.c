/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Theory of operation
 *
 * A packed ring has no index in memory.  Frontends ask the backend where it is when
 * they stop it, and know nothing when it was killed: QEMU then tells of the last stop,
 * or of the start.  But the descriptors tell it.
 *
 * The AVAIL bit of a descriptor is that of the lap in which the driver wrote it last,
 * whether or not it was used since.  So these bits change once around the ring, at the
 * place that the driver writes next.  Read from there on, oldest first, are
 *
 *	what was given back		heads are marked as used
 *	the position that is sought
 *	what is on offer, taken or not	not marked as used
 *
 * Two things spoil that picture:
 *
 * - Of several descriptors that go back as one, only the first is marked.  Those behind
 *   it look as if they were on offer.  So we mark the last of them, too
 *   (RING_RESUME_END), and say in it where its first one is.
 * - A burst writes what goes back from the second on, and the first, for which the
 *   driver looks, in the end.  A backend killed in between leaves marks behind a
 *   descriptor that has none.  Those have lost the length that the driver wrote, so they
 *   cannot be served again: they are given back as empty, which drivers drop.  Nobody
 *   has looked at them yet.
 *
 * So a ring is a row of elements: one marked descriptor; or a head, others, and an end
 * that points to the head.  The position is the first element whose head is not marked.
 *
 * The driver goes on meanwhile.  It only turns descriptors in front into newer ones,
 * the head of a chain last, so what is seen in the middle of that has AVAIL bits that
 * change more than once: look again.  (Except where one chain fills the whole ring.)
 *
 * Another backend that was killed leaves no ends.  Its ring is understood as long as
 * its chains have one descriptor each, and mostly found to be unclear otherwise.  Where
 * the frontend tells a position that its marks explain (live migration), that one holds.
 */

#include <stddef.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_cycles.h>

#include "ring_resume.h"

#define WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED (1u << VRING_PACKED_DESC_F_USED)

/** How often a ring is looked at whose driver is writing to it, and how long between. */
#define TRIES 16
#define TRY_US 5

/** A descriptor behind its address, read once. */
struct entry {
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/** Of a ring and of the place at which its driver writes next: oldest first from there. */
struct row {
	const struct vring_packed_desc *ring;
	uint32_t size;
	uint32_t first;		/**< place of the oldest descriptor */
	bool lap;		/**< AVAIL bit of what the driver writes there next */
};

static struct entry
read_entry(const struct vring_packed_desc *desc)
{
	const uint64_t *behind_addr = (const uint64_t *)desc + 1;
	uint64_t rest = __atomic_load_n(behind_addr, __ATOMIC_ACQUIRE);

	return (struct entry){ .len = rest, .id = rest >> 32, .flags = rest >> 48 };
}

static void
write_entry(struct vring_packed_desc *desc, struct entry entry)
{
	uint64_t *behind_addr = (uint64_t *)desc + 1;
	uint64_t rest = entry.len | (uint64_t)entry.id << 32 | (uint64_t)entry.flags << 48;

	__atomic_store_n(behind_addr, rest, __ATOMIC_RELEASE);
}

static bool
lap_of(struct entry entry)
{
	return (entry.flags & AVAIL) != 0;
}

static bool
is_used(struct entry entry)
{
	return lap_of(entry) == ((entry.flags & USED) != 0);
}

static bool
is_end(struct entry entry)
{
	return is_used(entry) && (entry.flags & RING_RESUME_END);
}

/** Where the driver writes next; false while it is writing. */
static bool
find_driver(struct row *row)
{
	bool lap = lap_of(read_entry(&row->ring[0]));
	bool first_lap = lap;
	uint32_t changes = 0;

	row->first = 0;
	row->lap = !lap;
	for (uint32_t i = 1; i < row->size; i++) {
		if (lap_of(read_entry(&row->ring[i])) == lap)
			continue;
		lap = !lap;
		changes++;
		row->first = i;
		row->lap = first_lap;
	}
	return changes <= 1;
}

/** The n-th of the row; false if it is not of the lap that it was of. */
static bool
read_nth(const struct row *row, uint32_t n, struct entry *entry)
{
	uint32_t to_end = row->size - row->first;
	uint32_t place = n < to_end ? row->first + n : n - to_end;

	*entry = read_entry(&row->ring[place]);
	return lap_of(*entry) == (n < to_end ? !row->lap : row->lap);
}

/** The position of the n-th of the row, up to the driver's own, which is row->size. */
static uint16_t
nth_position(const struct row *row, uint32_t n)
{
	uint32_t to_end = row->size - row->first;

	if (n < to_end)
		return (row->first + n) | (row->lap ? 0 : WRAP);
	return (n - to_end) | (row->lap ? WRAP : 0);
}

#define NOT_FOUND UINT32_MAX

/** How far a row is understood. */
struct parse {
	uint32_t begin;		/**< of the element that is being read */
	uint32_t n;		/**< descriptors of it so far; 0: the next one begins it */
	bool head_used;
	uint32_t used;		/**< the position, or NOT_FOUND */
};

/** An element with that head, which is not marked: the position, or written after it. */
static void
note_unmarked(struct parse *parse, uint32_t head)
{
	if (parse->used == NOT_FOUND)
		parse->used = head;
}

static void
begin_element(struct parse *parse, uint32_t at, uint32_t n, bool head_used)
{
	parse->begin = at;
	parse->n = n;
	parse->head_used = head_used;
}

/** An end behind others: whether its head explains what is between. */
static bool
parse_end(struct parse *parse, uint32_t at, uint32_t distance)
{
	uint32_t head = at - distance, begin = parse->begin;
	bool truncated = distance > at;

	if (distance == 0)
		return false;
	if (truncated) {
		/* the driver wrote over the head, so this is the oldest */
		if (begin != 0 || parse->used != NOT_FOUND || parse->head_used)
			return false;
	} else if (head == begin && parse->n > 0) {
		if (!parse->head_used)
			note_unmarked(parse, begin);
	} else if (head == begin + 1 && parse->n > 1) {
		/* one before it that has no end: given back, or it is the position itself */
		if (!parse->head_used && parse->used != NOT_FOUND)
			return false;
		note_unmarked(parse, parse->head_used ? head : begin);
	} else if (head == begin + 2 && parse->n > 2 && parse->head_used &&
			parse->used == NOT_FOUND) {
		note_unmarked(parse, begin + 1);
	} else {
		return false;
	}
	begin_element(parse, at + 1, 0, false);
	return true;
}

/** A marked descriptor that is no end: whether it can begin an element. */
static bool
parse_head(struct parse *parse, uint32_t at)
{
	/* at most one has no mark although one behind it has: the position */
	uint32_t unmarked = parse->n - (parse->n > 0 && parse->head_used);

	if (unmarked > 1 || (unmarked == 1 && parse->used != NOT_FOUND))
		return false;
	if (unmarked == 1)
		note_unmarked(parse, at - 1);
	begin_element(parse, at, 1, true);
	return true;
}

static bool
parse_next(struct parse *parse, uint32_t at, struct entry entry)
{
	if (is_end(entry))
		return parse_end(parse, at, entry.len);
	if (is_used(entry))
		return parse_head(parse, at);
	if (parse->n == 0)
		begin_element(parse, at, 0, false);
	parse->n++;
	return true;
}

/** What is behind all that was written down: where the last element ends. */
static uint32_t
parse_finish(struct parse *parse)
{
	uint32_t end = parse->begin + (parse->n > 0 && parse->head_used);

	note_unmarked(parse, end);
	return end;
}

/** 1 if the row was understood, 0 if not, -1 if the driver was writing. */
static int
look_once(struct row *row, struct ring_resume *found)
{
	struct parse parse = { .used = NOT_FOUND };
	struct entry entry;
	uint32_t end;

	if (!find_driver(row))
		return -1;
	found->full = true;
	for (uint32_t n = 0; n < row->size; n++) {
		if (!read_nth(row, n, &entry))
			return -1;
		found->full &= !is_used(entry);
		if (!parse_next(&parse, n, entry))
			return 0;
	}
	end = parse_finish(&parse);
	found->used = nth_position(row, parse.used);
	found->end = nth_position(row, end);
	return 1;
}

bool
vhost_ring_resume_look(const struct vring_packed_desc *ring, uint32_t size,
		struct ring_resume *found)
{
	struct row row = { .ring = ring, .size = size };

	for (unsigned int i = 0; i < TRIES; i++) {
		int ret = look_once(&row, found);

		if (ret >= 0)
			return ret > 0;
		rte_delay_us_block(TRY_US);
	}
	return false;
}

/* Positions */

static uint32_t
place_of(uint16_t at)
{
	return at & ~WRAP;
}

static uint16_t
plus(uint32_t size, uint16_t at, uint32_t n)
{
	uint32_t place = place_of(at) + n;
	uint16_t wrap = at & WRAP;

	return place < size ? place | wrap : (place - size) | (wrap ^ WRAP);
}

/** How many places from one to the other; more than there are if that is not ahead. */
static uint32_t
distance(uint32_t size, uint16_t from, uint16_t to)
{
	uint32_t places = place_of(to) - place_of(from);

	return (from ^ to) & WRAP ? places + size : places;
}

static uint16_t
used_mark(uint16_t at)
{
	return at & WRAP ? AVAIL | USED : 0;
}

/* Finishing */

/** How many of the next n places are one element, and the id by which it goes back. */
static uint32_t
measure_element(const struct vring_packed_desc *ring, uint32_t size, uint16_t at, uint32_t n,
		uint16_t *id)
{
	struct entry entry = read_entry(&ring[place_of(at)]);

	*id = entry.id;
	for (uint32_t i = 1; i < n; i++) {
		entry = read_entry(&ring[place_of(plus(size, at, i))]);
		if (!is_used(entry))
			continue;
		if (!is_end(entry) || entry.len != i)
			break;
		*id = entry.id;
		return i + 1;
	}
	return 1;
}

void
vhost_ring_resume_finish(struct vring_packed_desc *ring, uint32_t size,
		const struct ring_resume *found)
{
	uint32_t n = distance(size, found->used, found->end);
	struct entry first = { .flags = used_mark(found->used) };
	uint32_t at, places;

	if (n == 0 || n > size)
		return;
	at = measure_element(ring, size, found->used, n, &first.id);
	for (; at < n; at += places) {
		uint16_t position = plus(size, found->used, at);
		struct entry entry = { .flags = used_mark(position) };

		places = measure_element(ring, size, position, n - at, &entry.id);
		write_entry(&ring[place_of(position)], entry);
	}
	write_entry(&ring[place_of(found->used)], first);
}

/* Deciding */

/**
 * Whether another backend than ours may have stopped at a position: those before it are
 * the rest of what went back last, for which it left no mark.
 */
static bool
is_behind_rest(const struct vring_packed_desc *ring, uint32_t size, bool in_order,
		const struct ring_resume *found, uint16_t at)
{
	uint32_t n = distance(size, found->used, at);
	struct entry entry, head;

	if (n == 0 || n > size || found->used != found->end)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t position = plus(size, found->used, i);

		entry = read_entry(&ring[place_of(position)]);
		if (is_used(entry) || lap_of(entry) != ((position & WRAP) != 0))
			return false;
	}
	if (entry.flags & VRING_DESC_F_NEXT)
		return false;
	/* its head may be gone; but only who keeps the order leaves so much behind */
	if (found->full)
		return in_order;
	head = read_entry(&ring[place_of(plus(size, found->used, size - 1))]);
	return head.id == entry.id;
}

enum ring_resumed
vhost_ring_resume(struct vring_packed_desc *ring, uint32_t size, bool in_order, uint16_t *avail,
		uint16_t *used)
{
	struct ring_resume found;

	if (!vhost_ring_resume_look(ring, size, &found))
		return RING_UNCLEAR;
	if (found.used == *used && found.end == *used)
		return RING_AS_TOLD;
	if (is_behind_rest(ring, size, in_order, &found, *used))
		return RING_AS_TOLD;
	vhost_ring_resume_finish(ring, size, &found);
	*avail = found.end;
	*used = found.end;
	return RING_ADOPTED;
}
