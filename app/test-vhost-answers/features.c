/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Features: one line for each bit that is set, so that each difference has a
 * name of its own.
 */

#include <rte_vhost.h>

#include "answers.h"

/** The flags of rte_vhost_driver_register(), alone and in the combinations that applications use. */
static const struct {
	const char *name;
	uint64_t flags;
	bool crypto;
} registrations[] = {
	{ "none", 0 },
	{ "iommu", RTE_VHOST_USER_IOMMU_SUPPORT },
	{ "postcopy", RTE_VHOST_USER_POSTCOPY_SUPPORT },
	{ "extbuf", RTE_VHOST_USER_EXTBUF_SUPPORT },
	{ "linearbuf", RTE_VHOST_USER_LINEARBUF_SUPPORT },
	{ "linearbuf_extbuf", RTE_VHOST_USER_LINEARBUF_SUPPORT | RTE_VHOST_USER_EXTBUF_SUPPORT },
	{ "async", RTE_VHOST_USER_ASYNC_COPY },
	{ "async_linearbuf", RTE_VHOST_USER_ASYNC_COPY | RTE_VHOST_USER_LINEARBUF_SUPPORT },
	{ "async_iommu", RTE_VHOST_USER_ASYNC_COPY | RTE_VHOST_USER_IOMMU_SUPPORT },
	{ "async_postcopy", RTE_VHOST_USER_ASYNC_COPY | RTE_VHOST_USER_POSTCOPY_SUPPORT },
	{ "iommu_postcopy", RTE_VHOST_USER_IOMMU_SUPPORT | RTE_VHOST_USER_POSTCOPY_SUPPORT },
	{ "compliant", RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS },
	{ "stats", RTE_VHOST_USER_NET_STATS_ENABLE },
	{ "unknown", RTE_BIT64(40) },
	{ "crypto", 0, true },
};

static void
answer_mask(uint64_t mask, const char *registration, const char *question)
{
	for (unsigned int bit = 0; bit < 64; bit++)
		if (mask & RTE_BIT64(bit))
			answer(1, "features/%s/%s/bit%u", registration, question, bit);
}

/** The two questions of an application. */
static void
answer_application(const struct fake *fe, const char *registration)
{
	uint64_t features = 0, protocol = 0;
	uint32_t queues = 0;

	answer(rte_vhost_driver_get_features(fe->path, &features),
		"features/%s/driver_get_features/result", registration);
	answer_mask(features, registration, "driver_get_features");
	answer(rte_vhost_driver_get_protocol_features(fe->path, &protocol),
		"features/%s/driver_get_protocol_features/result", registration);
	answer_mask(protocol, registration, "driver_get_protocol_features");
	answer(rte_vhost_driver_get_queue_num(fe->path, &queues),
		"features/%s/driver_get_queue_num/result", registration);
	answer(queues, "features/%s/driver_get_queue_num/pairs", registration);
}

/** The three questions of a frontend. */
static bool
answer_frontend(struct fake *fe, const char *registration)
{
	static const struct {
		enum fake_request request;
		const char *name;
	} masks[] = {
		{ FE_GET_FEATURES, "GET_FEATURES" },
		{ FE_GET_PROTOCOL_FEATURES, "GET_PROTOCOL_FEATURES" },
	};
	uint64_t value;

	for (unsigned int i = 0; i < RTE_DIM(masks); i++) {
		if (fake_ask_u64(fe, masks[i].request, &value) != 0)
			return false;
		answer_mask(value, registration, masks[i].name);
	}
	if (fake_ask_u64(fe, FE_GET_QUEUE_NUM, &value) != 0)
		return false;
	answer(value, "features/%s/GET_QUEUE_NUM/pairs", registration);
	return true;
}

/** A socket that cannot be registered with these flags is an answer, too. */
static bool
answer_registration(unsigned int i)
{
	const char *name = registrations[i].name;
	struct fake *fe = fake_start(.flags = registrations[i].flags,
		.crypto = registrations[i].crypto, .until = FAKE_CONNECTED);
	bool good;

	answer(fe != NULL, "features/%s/registers", name);
	if (fe == NULL)
		return true;
	answer_application(fe, name);
	good = answer_frontend(fe, name);
	return fake_stop(fe) == 0 && good;
}

bool
answer_features(void)
{
	for (unsigned int i = 0; i < RTE_DIM(registrations); i++)
		if (!answer_registration(i)) {
			fprintf(stderr, "features: %s failed\n", registrations[i].name);
			return false;
		}
	return true;
}
