/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef OPTIONS_H
#define OPTIONS_H

/*
 * What the user asked for.  Read once, before anything else starts, and
 * constant from then on.
 */

#include <stdbool.h>
#include <stdint.h>

#include <rte_lcore.h>

#define OPTIONS_MAX_SOCKETS 128
#define OPTIONS_MAX_AFFINITIES 64
#define OPTIONS_MAX_QUEUES 8
#define OPTIONS_NAME_LEN 64

/** Where packets from one guest to another go. */
enum vm2vm_mode {
	VM2VM_OFF,	/**< nowhere: guests reach ports only */
	VM2VM_SOFTWARE,	/**< through this switch */
	VM2VM_HARDWARE,	/**< through the NIC, which switches between its VMDq pools */
};

/** How receive queues are given to lcores. */
enum rxq_assign {
	ASSIGN_ROUNDROBIN,	/**< as many queues to each */
	ASSIGN_CYCLES,		/**< as much measured work to each */
};

/** A receive queue that the user has put on an lcore. */
struct affinity {
	char name[OPTIONS_NAME_LEN];	/**< of the guest or port */
	unsigned int queue;
	unsigned int lcore;
};

struct options {
	const char *sockets[OPTIONS_MAX_SOCKETS];
	unsigned int n_sockets;
	bool client;
	int16_t dmas[OPTIONS_MAX_SOCKETS][2];	/**< by enum dma_direction; DMA_NONE */

	uint64_t port_mask;
	bool promiscuous;
	enum vm2vm_mode vm2vm;

	bool rx_retry;
	uint32_t rx_retry_delay;	/**< microseconds between two attempts */
	uint32_t rx_retry_num;		/**< attempts after the first */

	bool mergeable;
	bool tx_csum;
	bool tso;
	bool gro;
	uint32_t queues;		/**< queue pairs of a guest that are used */

	uint32_t total_mbufs;
	bool pmd_lcores[RTE_MAX_LCORE];	/**< which lcores may poll */
	uint32_t pmd_sleep_max;		/**< microseconds an idle lcore may sleep */
	enum rxq_assign rxq_assign;
	struct affinity affinities[OPTIONS_MAX_AFFINITIES];
	unsigned int n_affinities;

	uint32_t mac_age;		/**< seconds */
	uint32_t mac_entries;

	uint32_t stats;			/**< seconds between two tables, 0: none */
	bool interactive;
};

extern struct options options;

/**
 * Read the program's own arguments, those behind EAL's "--".
 *
 * @return
 *   0, or -1 after one line that says what is wrong, and one of usage.
 */
int options_parse(int argc, char **argv);

/** Print the usage: a rte_usage_hook_t. */
void options_show(const char *program);

#endif /* OPTIONS_H */
