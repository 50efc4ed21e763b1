/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Functions whose feature comes in a later release.
 *
 * They are exported so that programs and plug-ins built against DPDK 22.11
 * load; each returns the error that its header documents and changes nothing
 * but its own result parameters.  The release notes list them under "Known
 * issues and limitations" (doc/guides/rel_notes); a feature that arrives takes
 * its functions out of here and off that list.
 */

#include <errno.h>

#include "rte_vhost.h"
#include "rte_vhost_crypto.h"

/*
 * Virtio-crypto: no socket can be started for it, so no device ever belongs to
 * it.
 */

int
rte_vhost_crypto_driver_start(const char *path __rte_unused)
{
	return -1;
}

int
rte_vhost_crypto_create(int vid __rte_unused,
		uint8_t cryptodev_id __rte_unused,
		struct rte_mempool *sess_pool __rte_unused,
		int socket_id __rte_unused)
{
	return -ENOTSUP;
}

int
rte_vhost_crypto_free(int vid __rte_unused)
{
	return -ENOTSUP;
}

int
rte_vhost_crypto_set_zero_copy(int vid __rte_unused,
		enum rte_vhost_crypto_zero_copy option __rte_unused)
{
	return -ENOTSUP;
}

uint16_t
rte_vhost_crypto_fetch_requests(int vid __rte_unused,
		uint32_t qid __rte_unused,
		struct rte_crypto_op **ops __rte_unused,
		uint16_t nb_ops __rte_unused)
{
	return 0;
}

uint16_t
rte_vhost_crypto_finalize_requests(struct rte_crypto_op **ops __rte_unused,
		uint16_t nb_ops __rte_unused, int *callfds __rte_unused,
		uint16_t *nb_callfds)
{
	*nb_callfds = 0;
	return 0;
}
