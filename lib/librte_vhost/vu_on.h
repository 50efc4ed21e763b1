/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_VU_ON_H
#define VHOST_VU_ON_H

/*
 * The handlers of vu_dispatch.c's table, one per request.  A handler only sees
 * calls that are well-formed: size, number of descriptors and vring index have
 * been checked.  It edits wishes, says in call->request what the settle has to do
 * besides, and never touches running state; the dispatcher settles afterwards,
 * replies, and closes the descriptors nobody took.
 *
 * A handler returns 0, or a negative errno after one log line that says why.
 */

#include <stdbool.h>

#include "device.h"
#include "settle.h"
#include "vu_message.h"

/** One request being served. */
struct vu_call {
	struct vhost_device *dev;	/**< control lock held */
	struct vu_message *msg;		/**< the request; a replying handler writes the answer here */
	uint32_t vring;			/**< that the request names, if it names one */
	struct queue_wish *wish;	/**< of that vring, NULL if the request names none */
	const struct vhost_queue *queue;	/**< of that vring, NULL while no settle has built it */
	struct settle_request request;	/**< of the settle that follows */
	/** Complete the answer once reality is as asked for; NULL: nothing to do. */
	int (*settled)(struct vu_call *call);
	bool acked;			/**< the acknowledgement is on its way already */
	int ack_result;			/**< what sending it came to */
	bool reply;			/**< the message holds an answer, whatever its row says */
	int reply_fd;			/**< sent with the answer; -1: none */
	bool close_reply_fd;		/**< and closed then: it is not the device's */
	bool vital;			/**< if this fails the connection ends, whoever would hear of it */
};

/** Whose memory it is that the call is about. */
static inline struct mem_owner
vu_owner(const struct vu_call *call)
{
	const struct vhost_device *dev = call->dev;

	return (struct mem_owner){
		.name = dev->driver.path, .quota = dev->driver.quota, .sock = dev->link->fd,
	};
}

/* vu_on_device.c */
int vhost_vu_on_get_features(struct vu_call *call);
int vhost_vu_on_set_features(struct vu_call *call);
int vhost_vu_on_get_protocol_features(struct vu_call *call);
int vhost_vu_on_set_protocol_features(struct vu_call *call);
int vhost_vu_on_set_owner(struct vu_call *call);
int vhost_vu_on_reset_owner(struct vu_call *call);
int vhost_vu_on_get_queue_num(struct vu_call *call);
int vhost_vu_on_send_rarp(struct vu_call *call);
int vhost_vu_on_net_set_mtu(struct vu_call *call);
int vhost_vu_on_set_slave_req_fd(struct vu_call *call);
int vhost_vu_on_get_config(struct vu_call *call);
int vhost_vu_on_set_config(struct vu_call *call);
int vhost_vu_on_set_status(struct vu_call *call);
int vhost_vu_on_get_status(struct vu_call *call);

/* vu_on_crypto.c */
int vhost_vu_on_crypto_create_session(struct vu_call *call);
int vhost_vu_on_crypto_close_session(struct vu_call *call);

/* vu_on_inflight.c */
int vhost_vu_on_get_inflight_fd(struct vu_call *call);
int vhost_vu_on_set_inflight_fd(struct vu_call *call);

/* vu_on_iotlb.c */
int vhost_vu_on_iotlb_msg(struct vu_call *call);

/* vu_on_memory.c */
int vhost_vu_on_set_mem_table(struct vu_call *call);
int vhost_vu_on_get_max_mem_slots(struct vu_call *call);
int vhost_vu_on_add_mem_reg(struct vu_call *call);
int vhost_vu_on_rem_mem_reg(struct vu_call *call);

/* vu_on_migration.c */
int vhost_vu_on_set_log_base(struct vu_call *call);
int vhost_vu_on_set_log_fd(struct vu_call *call);
int vhost_vu_on_postcopy_advise(struct vu_call *call);
int vhost_vu_on_postcopy_listen(struct vu_call *call);
int vhost_vu_on_postcopy_ack(struct vu_call *call);
int vhost_vu_on_postcopy_end(struct vu_call *call);

/* vu_on_queue.c */
int vhost_vu_on_set_vring_num(struct vu_call *call);
int vhost_vu_on_set_vring_addr(struct vu_call *call);
int vhost_vu_on_set_vring_base(struct vu_call *call);
int vhost_vu_on_get_vring_base(struct vu_call *call);
int vhost_vu_on_set_vring_kick(struct vu_call *call);
int vhost_vu_on_set_vring_call(struct vu_call *call);
int vhost_vu_on_set_vring_err(struct vu_call *call);
int vhost_vu_on_set_vring_enable(struct vu_call *call);

#endif /* VHOST_VU_ON_H */
