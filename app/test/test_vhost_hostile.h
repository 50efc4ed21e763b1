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

#endif /* TEST_VHOST_HOSTILE_H */
