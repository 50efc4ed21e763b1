/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef TEST_VHOST_HOSTILE_H
#define TEST_VHOST_HOSTILE_H

/*
 * A device that misbehaves and one that does not.  Whatever the first does, it
 * may lose its own connection and nothing else: the second carries packets
 * before and after.
 */

#include "test.h"
#include "vhost_fake_backend.h"
#include "vhost_fake_frontend.h"

struct two {
	struct fake *bad, *good;
};

/** Start the bad one with this configuration, the good one with a plain one. */
static inline bool
two_start(struct two *t, const struct fake_config *bad)
{
	t->good = fake_start(.mergeable = true);
	t->bad = fake_start_config(bad);
	return t->good != NULL && t->bad != NULL &&
		fake_round_trip(t->good, 0, 64) == 64;
}

#define two_start(t, ...) \
	two_start(t, &(const struct fake_config){ __VA_ARGS__ })

/** Is the good one unharmed?  Stops both. */
static inline int
two_end(struct two *t)
{
	bool served = fake_round_trip(t->good, 0, 700) == 700 &&
		fake_is_served(t->good);
	int bad = fake_stop(t->bad), good = fake_stop(t->good);

	if (!served)
		printf("the other device is not served any more\n");
	return bad == 0 && good == 0 && served ? TEST_SUCCESS : TEST_FAILED;
}

/* ---- rings that lie ---- */

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

/* Addresses in the tables of lies, see hostile_address(). */
#define GOOD (1ULL << 62)	/* plus an offset into a good buffer */
#define END (1ULL << 61)	/* plus an offset back from the region's end */
#define UNMAPPED 0x7f0000000000ULL

/** The address that is meant. */
uint64_t hostile_address(struct fake *fe, uint64_t buffer, uint64_t addr);

/** More rounds than the ring has room for. */
#define HOSTILE_ROUNDS 40
/** So many bursts in both directions. */
void hostile_bursts(struct fake *fe, unsigned int rounds);

/**
 * The end of every case: nothing was hurt, and the bad one carries packets again
 * after its driver has stopped it, forgotten all and started it.
 */
int hostile_recover(struct two *t);

/** The cases that are the same for all ring formats. */
#define NB_HOSTILE_CASES 12
extern const struct test_case hostile_cases[NB_HOSTILE_CASES];

#endif /* TEST_VHOST_HOSTILE_H */
