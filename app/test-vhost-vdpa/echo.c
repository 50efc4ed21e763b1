/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <netinet/ip_icmp.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>

#include "echo.h"

/** Whoever is asked for. */
static const struct rte_ether_addr here = { { 0x02, 0, 0, 0, 0, 0x01 } };

static uint32_t
answer_arp(struct rte_arp_hdr *arp, uint32_t len)
{
	rte_be32_t wanted = arp->arp_data.arp_tip;

	if (len < sizeof(*arp) || arp->arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
		return 0;
	arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_tha = arp->arp_data.arp_sha;
	arp->arp_data.arp_tip = arp->arp_data.arp_sip;
	arp->arp_data.arp_sha = here;
	arp->arp_data.arp_sip = wanted;
	return len;
}

/** A request becomes a reply: its checksum changes by as much as its type. */
static uint32_t
answer_ping(struct rte_ipv4_hdr *ip, uint32_t len)
{
	struct rte_icmp_hdr *icmp = (struct rte_icmp_hdr *)(ip + 1);
	uint32_t sum;
	rte_be32_t to;

	if (len < sizeof(*ip) + sizeof(*icmp) || ip->version_ihl != RTE_IPV4_VHL_DEF ||
			ip->next_proto_id != IPPROTO_ICMP || icmp->icmp_type != ICMP_ECHO)
		return 0;
	to = ip->dst_addr;
	ip->dst_addr = ip->src_addr;
	ip->src_addr = to;
	icmp->icmp_type = ICMP_ECHOREPLY;
	sum = rte_be_to_cpu_16(icmp->icmp_cksum) + (ICMP_ECHO << 8);
	icmp->icmp_cksum = rte_cpu_to_be_16((sum & 0xffff) + (sum >> 16));
	return len;
}

uint32_t
echo_turn(uint8_t *frame, uint32_t len)
{
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)frame;
	uint8_t *rest = frame + sizeof(*ether);
	uint32_t left = len - sizeof(*ether), answer = 0;

	if (len < sizeof(*ether))
		return 0;
	if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
		answer = answer_arp((struct rte_arp_hdr *)rest, left);
	else if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		answer = answer_ping((struct rte_ipv4_hdr *)rest, left);
	if (answer == 0)
		return 0;
	ether->dst_addr = ether->src_addr;
	ether->src_addr = here;
	return sizeof(*ether) + answer;
}
