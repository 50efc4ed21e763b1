/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_CRYPTO_ALGO_H
#define VHOST_CRYPTO_ALGO_H

/* Which algorithm does the guest mean, and what does it need? */

#include <stdint.h>

#include <rte_crypto_sym.h>

/** A cipher of VIRTIO_CRYPTO_CIPHER_*. */
struct crypto_cipher {
	enum rte_crypto_cipher_algorithm algo;
	uint8_t iv_len;		/**< bytes of the initialisation vector */
	uint8_t block;		/**< the data is a multiple of so many bytes */
};

/** A message authentication code of VIRTIO_CRYPTO_MAC_*. */
struct crypto_mac {
	enum rte_crypto_auth_algorithm algo;
	uint8_t digest_len;	/**< bytes of a whole one; it may be cut */
};

/** NULL for what this release does not have. */
const struct crypto_cipher *vhost_crypto_cipher(uint32_t id);
const struct crypto_mac *vhost_crypto_mac(uint32_t id);

#endif /* VHOST_CRYPTO_ALGO_H */
