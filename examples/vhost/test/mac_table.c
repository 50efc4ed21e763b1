/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <rte_malloc.h>

#include "../mac_table.h"
#include "../vport.h"
#include "switch_test.h"

#define LIMIT 256
/* What a guest may have of it. */
#define SHARE (LIMIT / 8)

static uint16_t guest, other, port;

static int
test_learning(void)
{
	struct mac_table_counts counts;
	uint32_t generation = mac_table_generation();
	int failed = 0;

	CHECK(mac_table_find(0x1234) == VPORT_NONE, "not known yet");
	CHECK(mac_table_learn(0x1234, guest, 1), "room for one");
	CHECK(mac_table_find(0x1234) == guest, "%u", mac_table_find(0x1234));
	CHECK(mac_table_generation() == generation, "what others know still holds");

	CHECK(!mac_table_learn(0x1234, other, 1), "once a second only");
	CHECK(mac_table_learn(0x1234, other, 2), "in the next it moves");
	CHECK(mac_table_find(0x1234) == other, "%u", mac_table_find(0x1234));
	CHECK(mac_table_generation() != generation, "now others have to ask again");

	mac_table_count(&counts);
	CHECK(counts.entries == 1 && counts.learned == 1 && counts.moved == 1 &&
			counts.refused == 1, "%u entries", counts.entries);
	mac_table_forget(VPORT_NONE);
	CHECK(mac_table_find(0x1234) == VPORT_NONE, "forgotten");
	return failed;
}

static int
test_ageing(void)
{
	int failed = 0;

	mac_table_learn(1, guest, 10);
	mac_table_learn(2, guest, 10);
	mac_table_learn(2, guest, 15);
	mac_table_age(20, 10);
	CHECK(mac_table_find(1) == guest, "ten seconds are not too long");
	mac_table_age(21, 10);
	CHECK(mac_table_find(1) == VPORT_NONE, "eleven are");
	CHECK(mac_table_find(2) == guest, "and that one was heard of");
	mac_table_forget(VPORT_NONE);
	return failed;
}

/** A guest that makes up addresses takes no room from others. */
static int
test_shares(void)
{
	struct mac_table_counts counts;
	int failed = 0;

	for (uint64_t key = 1; key <= 10 * LIMIT; key++)
		mac_table_learn(key << 8, guest, 1);
	mac_table_count(&counts);
	CHECK(counts.entries == SHARE, "%u", counts.entries);
	CHECK(mac_table_learn(7, other, 1), "another guest");
	for (uint64_t key = 1; key <= LIMIT; key++)
		mac_table_learn(key << 16 | 1, port, 1);
	mac_table_count(&counts);
	CHECK(counts.entries == SHARE + 1 + LIMIT / 2, "%u", counts.entries);

	mac_table_forget(guest);
	mac_table_count(&counts);
	CHECK(counts.entries == 1 + LIMIT / 2, "%u", counts.entries);
	CHECK(mac_table_learn(11 << 8, guest, 1), "there is room again");
	mac_table_forget(VPORT_NONE);
	return failed;
}

/** Room is used again and again. */
static int
test_churn(void)
{
	int failed = 0;

	for (uint32_t now = 1; now < 1000; now++) {
		for (uint64_t key = 0; key < SHARE; key++)
			CHECK(mac_table_learn(now * SHARE + key, guest, now), "second %u", now);
		mac_table_age(now + 2, 1);
	}
	return failed;
}

int
test_mac_table(void)
{
	struct rte_rcu_qsbr *readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), 64);
	int failed = 0;

	rte_rcu_qsbr_init(readers, 1);
	guest = vport_claim(VPORT_GUEST, "guest")->id;
	other = vport_claim(VPORT_GUEST, "other")->id;
	port = vport_claim(VPORT_ETHDEV, "port")->id;
	CHECK(mac_table_create(LIMIT, readers) == 0, "no memory");
	if (failed == 0)
		failed = test_learning() + test_ageing();
	mac_table_free();
	CHECK(mac_table_create(LIMIT, readers) == 0, "no memory");
	if (failed == 0)
		failed = test_shares() + test_churn();
	mac_table_free();
	rte_free(readers);
	return failed;
}
