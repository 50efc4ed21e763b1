/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * A cryptodev that can do anything and does nothing: what the library asks of one is
 * answered here (the linker's --wrap), operations are the fuzzer's to process.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cryptodev.h>

#include "fuzz_env.h"

#define WRAP(type, name, ...) \
	type __wrap_ ## name(__VA_ARGS__); \
	type __wrap_ ## name(__VA_ARGS__)

/** Sessions that were made and not freed. */
static unsigned int sessions;

unsigned int
fuzz_cryptodev_sessions(void)
{
	return sessions;
}

WRAP(unsigned int, rte_cryptodev_is_valid_dev, uint8_t dev)
{
	return dev == 0;
}

WRAP(void, rte_cryptodev_info_get, uint8_t dev __rte_unused, struct rte_cryptodev_info *info)
{
	memset(info, 0, sizeof(*info));
}

WRAP(const struct rte_cryptodev_symmetric_capability *, rte_cryptodev_sym_capability_get,
		uint8_t dev __rte_unused, const struct rte_cryptodev_sym_capability_idx *idx)
{
	static const struct rte_cryptodev_symmetric_capability any;

	return idx->type == RTE_CRYPTO_SYM_XFORM_NOT_SPECIFIED ? NULL : &any;
}

WRAP(int, rte_cryptodev_sym_capability_check_cipher,
		const struct rte_cryptodev_symmetric_capability *capability __rte_unused,
		uint16_t key_size __rte_unused, uint16_t iv_size __rte_unused)
{
	return 0;
}

WRAP(int, rte_cryptodev_sym_capability_check_auth,
		const struct rte_cryptodev_symmetric_capability *capability __rte_unused,
		uint16_t key_size __rte_unused, uint16_t digest_size __rte_unused,
		uint16_t iv_size __rte_unused)
{
	return 0;
}

/** The keys are read, so that the address sanitizer sees their lengths. */
WRAP(void *, rte_cryptodev_sym_session_create, uint8_t dev __rte_unused,
		struct rte_crypto_sym_xform *xforms, struct rte_mempool *pool __rte_unused)
{
	uint8_t *session = malloc(1);

	FUZZ_CHECK(session != NULL, "no memory");
	*session = 0;
	for (const struct rte_crypto_sym_xform *x = xforms; x != NULL; x = x->next) {
		bool cipher = x->type == RTE_CRYPTO_SYM_XFORM_CIPHER;
		const uint8_t *key = cipher ? x->cipher.key.data : x->auth.key.data;
		uint16_t len = cipher ? x->cipher.key.length : x->auth.key.length;

		for (uint16_t i = 0; i < len; i++)
			*session ^= key[i];
	}
	sessions++;
	return session;
}

WRAP(int, rte_cryptodev_sym_session_free, uint8_t dev __rte_unused, void *session)
{
	sessions--;
	free(session);
	return 0;
}

/** The library waits for who polls the cryptodev, in steps of a millisecond; here that is nobody. */
int __real_usleep(useconds_t us);

WRAP(int, usleep, useconds_t us)
{
	return us == 1000 ? 0 : __real_usleep(us);
}
