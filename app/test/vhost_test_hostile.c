/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* What the suites of lying rings share. */

#include <rte_mbuf.h>

#include "test_vhost_hostile.h"

uint64_t
hostile_address(struct fake *fe, uint64_t buffer, uint64_t addr)
{
	const struct fake_region *last = &fe->regions[fe->nregions - 1];

	if (addr >> 63)
		return addr;	/* on purpose at the end of the address space */
	if (addr & GOOD)
		return buffer + (addr & ~GOOD);
	if (addr & END)
		return last->wire.gpa + last->wire.size - (addr & ~END);
	return addr;
}

void
hostile_bursts(struct fake *fe, unsigned int rounds)
{
	struct rte_mbuf *in[8], *out[32];

	for (unsigned int i = 0; i < RTE_DIM(in); i++)
		in[i] = fake_mbuf(i & 4 ? 1500 : 64, i, 0);	/* batches of one kind */
	while (rounds-- > 0) {
		unsigned int n;

		fake_enqueue_burst(fe->vid, 0, in, RTE_DIM(in));
		n = fake_dequeue_burst(fe->vid, 1, fake_pool(), out,
			RTE_DIM(out));
		rte_pktmbuf_free_bulk(out, n);
	}
	rte_pktmbuf_free_bulk(in, RTE_DIM(in));
}

/** What every driver does after an accident. */
static int
driver_recovers(struct fake *fe)
{
	for (unsigned int q = 0; q < fe->nvrings; q++) {
		if (fake_stop_vring(fe, q) < 0)
			return -1;
		fake_vq_reset(&fe->vqs[q]);
	}
	if (fake_run(fe) < 0)
		return -1;
	return fake_round_trip(fe, 0, 200) == 200 ? 0 : -1;
}

int
hostile_recover(struct two *t)
{
	TEST_ASSERT(fake_guards_intact(t->bad), "nothing outside was written");
	TEST_ASSERT_SUCCESS(driver_recovers(t->bad), "after a driver reset");
	return two_end(t);
}
