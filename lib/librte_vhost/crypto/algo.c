/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <stddef.h>

#include <linux/virtio_crypto.h>

#include <rte_common.h>

#include "crypto/algo.h"

/* Authenticated encryption has messages of its own, which no frontend sends yet. */

static const struct crypto_cipher ciphers[] = {
	[VIRTIO_CRYPTO_CIPHER_AES_CBC] = { RTE_CRYPTO_CIPHER_AES_CBC, 16, 16 },
	[VIRTIO_CRYPTO_CIPHER_AES_CTR] = { RTE_CRYPTO_CIPHER_AES_CTR, 16, 1 },
	[VIRTIO_CRYPTO_CIPHER_DES_CBC] = { RTE_CRYPTO_CIPHER_DES_CBC, 8, 8 },
	[VIRTIO_CRYPTO_CIPHER_3DES_ECB] = { RTE_CRYPTO_CIPHER_3DES_ECB, 0, 8 },
	[VIRTIO_CRYPTO_CIPHER_3DES_CBC] = { RTE_CRYPTO_CIPHER_3DES_CBC, 8, 8 },
	[VIRTIO_CRYPTO_CIPHER_3DES_CTR] = { RTE_CRYPTO_CIPHER_3DES_CTR, 8, 1 },
};

static const struct crypto_mac macs[] = {
	[VIRTIO_CRYPTO_MAC_HMAC_MD5] = { RTE_CRYPTO_AUTH_MD5_HMAC, 16 },
	[VIRTIO_CRYPTO_MAC_HMAC_SHA1] = { RTE_CRYPTO_AUTH_SHA1_HMAC, 20 },
	[VIRTIO_CRYPTO_MAC_HMAC_SHA_224] = { RTE_CRYPTO_AUTH_SHA224_HMAC, 28 },
	[VIRTIO_CRYPTO_MAC_HMAC_SHA_256] = { RTE_CRYPTO_AUTH_SHA256_HMAC, 32 },
	[VIRTIO_CRYPTO_MAC_HMAC_SHA_384] = { RTE_CRYPTO_AUTH_SHA384_HMAC, 48 },
	[VIRTIO_CRYPTO_MAC_HMAC_SHA_512] = { RTE_CRYPTO_AUTH_SHA512_HMAC, 64 },
};

const struct crypto_cipher *
vhost_crypto_cipher(uint32_t id)
{
	return id < RTE_DIM(ciphers) && ciphers[id].block != 0 ? &ciphers[id] : NULL;
}

const struct crypto_mac *
vhost_crypto_mac(uint32_t id)
{
	return id < RTE_DIM(macs) && macs[id].digest_len != 0 ? &macs[id] : NULL;
}
