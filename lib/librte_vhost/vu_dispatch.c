/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The protocol as a table: one row per request that this release serves.  The
 * dispatcher is the same for all of them; a request that is not as its row says
 * never reaches a handler.
 *
 * Requests without a row go to the application's extern handlers, if it has
 * registered any, and are an error otherwise.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "device_change.h"
#include "postcopy.h"
#include "quota.h"
#include "reaper.h"
#include "vhost_log.h"
#include "vu_dispatch.h"
#include "vu_on.h"

/** How many descriptors come with a request. */
enum rule_fds {
	FDS_NONE,
	FDS_ONE,
	FDS_VRING,	/**< one, or none with VU_VRING_NO_FD in the u64 payload */
	FDS_REGIONS,	/**< one per memory region */
	FDS_OPTIONAL,	/**< one, or none */
};

/** The object that a request addresses, and where its payload says so. */
enum rule_target {
	TARGET_DEVICE,
	TARGET_VRING_STATE,	/**< the vring payload.state.index */
	TARGET_VRING_ADDR,		/**< the vring payload.addr.index */
	TARGET_VRING_U64,		/**< the vring in the low bits of payload.u64 */
};

enum rule_reply {
	REPLY_ACK,	/**< only if the frontend asks for one, or as the handler says */
	REPLY_U64,
	REPLY_PAYLOAD,	/**< of the size that the handler leaves in the message */
};

struct rule {
	int (*handle)(struct vu_call *call);
	uint16_t size;			/**< exact payload bytes */
	bool (*size_fits)(const struct vu_message *msg);	/**< if there is no one size */
	enum rule_fds fds;
	enum rule_target target;
	enum rule_reply reply;
	uint64_t needs;			/**< protocol features, all of them */
};

static bool
mem_table_size_fits(const struct vu_message *msg)
{
	const size_t head = offsetof(struct vu_memory, regions);

	/* frontends send the regions in use, or room for more */
	return msg->size >= head && msg->size <= sizeof(struct vu_memory) &&
		(msg->size - head) % sizeof(struct vu_region) == 0 &&
		msg->payload.memory.nregions <= (msg->size - head) / sizeof(struct vu_region);
}

static bool
config_size_fits(const struct vu_message *msg)
{
	const size_t head = offsetof(struct vu_config, region);

	return msg->size >= head && msg->size <= sizeof(struct vu_config) &&
		msg->payload.config.size <= msg->size - head;
}

/* frontends send the members, or the structure as compilers pad it */
static bool
inflight_size_fits(const struct vu_message *msg)
{
	return msg->size == sizeof(struct vu_inflight) ||
		msg->size == RTE_ALIGN_CEIL(sizeof(struct vu_inflight), sizeof(uint64_t));
}

static bool
crypto_session_size_fits(const struct vu_message *msg)
{
	return msg->size == sizeof(struct vu_crypto_session) || msg->size == VU_CRYPTO_SESSION_WIDE;
}

#define PROTOCOL(feature) (1ULL << VHOST_USER_PROTOCOL_F_ ## feature)
#define SIZE_OF(member) sizeof(((struct vu_message *)NULL)->payload.member)

static const struct rule rules[] = {
	[VU_GET_FEATURES] = { vhost_vu_on_get_features, .reply = REPLY_U64 },
	[VU_SET_FEATURES] = { vhost_vu_on_set_features, SIZE_OF(u64) },
	[VU_SET_OWNER] = { vhost_vu_on_set_owner },
	[VU_RESET_OWNER] = { vhost_vu_on_reset_owner },
	[VU_SET_MEM_TABLE] = { vhost_vu_on_set_mem_table,
		.size_fits = mem_table_size_fits, .fds = FDS_REGIONS },
	[VU_SET_LOG_BASE] = { vhost_vu_on_set_log_base, SIZE_OF(log), .fds = FDS_ONE,
		.reply = REPLY_U64, .needs = PROTOCOL(LOG_SHMFD) },
	[VU_SET_LOG_FD] = { vhost_vu_on_set_log_fd, .fds = FDS_ONE },
	[VU_SET_VRING_NUM] = { vhost_vu_on_set_vring_num, SIZE_OF(state),
		.target = TARGET_VRING_STATE },
	[VU_SET_VRING_ADDR] = { vhost_vu_on_set_vring_addr, SIZE_OF(addr),
		.target = TARGET_VRING_ADDR },
	[VU_SET_VRING_BASE] = { vhost_vu_on_set_vring_base, SIZE_OF(state),
		.target = TARGET_VRING_STATE },
	[VU_GET_VRING_BASE] = { vhost_vu_on_get_vring_base, SIZE_OF(state),
		.target = TARGET_VRING_STATE, .reply = REPLY_PAYLOAD },
	[VU_SET_VRING_KICK] = { vhost_vu_on_set_vring_kick, SIZE_OF(u64),
		.fds = FDS_VRING, .target = TARGET_VRING_U64 },
	[VU_SET_VRING_CALL] = { vhost_vu_on_set_vring_call, SIZE_OF(u64),
		.fds = FDS_VRING, .target = TARGET_VRING_U64 },
	[VU_SET_VRING_ERR] = { vhost_vu_on_set_vring_err, SIZE_OF(u64),
		.fds = FDS_VRING, .target = TARGET_VRING_U64 },
	[VU_GET_PROTOCOL_FEATURES] = { vhost_vu_on_get_protocol_features, .reply = REPLY_U64 },
	[VU_SET_PROTOCOL_FEATURES] = { vhost_vu_on_set_protocol_features, SIZE_OF(u64) },
	[VU_GET_QUEUE_NUM] = { vhost_vu_on_get_queue_num, .reply = REPLY_U64 },
	[VU_SET_VRING_ENABLE] = { vhost_vu_on_set_vring_enable, SIZE_OF(state),
		.target = TARGET_VRING_STATE },
	[VU_SEND_RARP] = { vhost_vu_on_send_rarp, SIZE_OF(u64), .needs = PROTOCOL(RARP) },
	[VU_NET_SET_MTU] = { vhost_vu_on_net_set_mtu, SIZE_OF(u64), .needs = PROTOCOL(NET_MTU) },
	[VU_SET_SLAVE_REQ_FD] = { vhost_vu_on_set_slave_req_fd, .fds = FDS_ONE,
		.needs = PROTOCOL(SLAVE_REQ) },
	[VU_IOTLB_MSG] = { vhost_vu_on_iotlb_msg, SIZE_OF(iotlb) },
	[VU_GET_CONFIG] = { vhost_vu_on_get_config, .size_fits = config_size_fits,
		.reply = REPLY_PAYLOAD },
	[VU_SET_CONFIG] = { vhost_vu_on_set_config, .size_fits = config_size_fits },
	[VU_CRYPTO_CREATE_SESS] = { vhost_vu_on_crypto_create_session,
		.size_fits = crypto_session_size_fits, .reply = REPLY_PAYLOAD,
		.needs = PROTOCOL(CRYPTO_SESSION) },
	[VU_CRYPTO_CLOSE_SESS] = { vhost_vu_on_crypto_close_session, SIZE_OF(u64),
		.needs = PROTOCOL(CRYPTO_SESSION) },
	[VU_POSTCOPY_ADVISE] = { vhost_vu_on_postcopy_advise, .reply = REPLY_PAYLOAD,
		.needs = PROTOCOL(PAGEFAULT) },
	[VU_POSTCOPY_LISTEN] = { vhost_vu_on_postcopy_listen, .needs = PROTOCOL(PAGEFAULT) },
	[VU_POSTCOPY_END] = { vhost_vu_on_postcopy_end, .reply = REPLY_U64,
		.needs = PROTOCOL(PAGEFAULT) },
	[VU_GET_INFLIGHT_FD] = { vhost_vu_on_get_inflight_fd, .size_fits = inflight_size_fits,
		.reply = REPLY_PAYLOAD, .needs = PROTOCOL(INFLIGHT_SHMFD) },
	[VU_SET_INFLIGHT_FD] = { vhost_vu_on_set_inflight_fd, .size_fits = inflight_size_fits,
		.fds = FDS_ONE, .needs = PROTOCOL(INFLIGHT_SHMFD) },
	[VU_GET_MAX_MEM_SLOTS] = { vhost_vu_on_get_max_mem_slots, .reply = REPLY_U64,
		.needs = PROTOCOL(CONFIGURE_MEM_SLOTS) },
	[VU_ADD_MEM_REG] = { vhost_vu_on_add_mem_reg, SIZE_OF(slot), .fds = FDS_ONE,
		.needs = PROTOCOL(CONFIGURE_MEM_SLOTS) },
	[VU_REM_MEM_REG] = { vhost_vu_on_rem_mem_reg, SIZE_OF(slot), .fds = FDS_OPTIONAL,
		.needs = PROTOCOL(CONFIGURE_MEM_SLOTS) },
	[VU_SET_STATUS] = { vhost_vu_on_set_status, SIZE_OF(u64) },
	[VU_GET_STATUS] = { vhost_vu_on_get_status, .reply = REPLY_U64 },
};

static_assert(RTE_DIM(rules) == VU_REQUEST_MAX, "a row for the last request");

static bool
any_size_fits(const struct vu_message *msg)
{
	(void)msg;
	return true;
}

/**
 * The frontend's second message of a request that the first one did not complete;
 * the handler refuses any other one.
 */
static const struct rule acknowledgement = { vhost_vu_on_postcopy_ack,
	.size_fits = any_size_fits };

/** A backend of the application's own may serve crypto sessions by its extern handlers. */
static bool
is_for_another_backend(struct vhost_device *dev, uint32_t request)
{
	return (request == VU_CRYPTO_CREATE_SESS || request == VU_CRYPTO_CLOSE_SESS) &&
		!vhost_crypto_serves(dev);
}

static const struct rule *
find_rule(struct vhost_device *dev, uint32_t request)
{
	if (request >= RTE_DIM(rules) || rules[request].handle == NULL ||
			is_for_another_backend(dev, request))
		return NULL;
	return vhost_postcopy_awaited(dev->postcopy) == VU_NONE ? &rules[request] : &acknowledgement;
}

static bool
size_is_right(const struct rule *rule, const struct vu_message *msg)
{
	return rule->size_fits != NULL ? rule->size_fits(msg) : msg->size == rule->size;
}

static int
expected_fds(const struct rule *rule, const struct vu_message *msg)
{
	switch (rule->fds) {
	case FDS_ONE:
		return 1;
	case FDS_VRING:
		return msg->payload.u64 & VU_VRING_NO_FD ? 0 : 1;
	case FDS_REGIONS:
		return msg->payload.memory.nregions;
	case FDS_OPTIONAL:
		return msg->nfds > 0 ? 1 : 0;
	default:
		return 0;
	}
}

/** Whether the request is as its row says; the reason is logged if not. */
static int
check_form(const struct vhost_device *dev, const struct rule *rule, const struct vu_message *msg)
{
	const char *name = vhost_vu_request_name(msg->request);

	if (!size_is_right(rule, msg)) {
		VHOST_LOG_CONFIG(ERR, "(%s) %s: unexpected payload of %u bytes\n",
			dev->driver.path, name, msg->size);
		return -EPROTO;
	}
	if (msg->nfds != expected_fds(rule, msg)) {
		VHOST_LOG_CONFIG(ERR, "(%s) %s: %d descriptors, %d expected\n",
			dev->driver.path, name, msg->nfds, expected_fds(rule, msg));
		return -EPROTO;
	}
	if ((dev->wish.protocol_features & rule->needs) != rule->needs) {
		VHOST_LOG_CONFIG(ERR, "(%s) %s: protocol feature was not negotiated\n",
			dev->driver.path, name);
		return -EPROTO;
	}
	return 0;
}

/** The vring that a request addresses, or -1. */
static int
addressed_vring(const struct rule *rule, const struct vu_message *msg)
{
	switch (rule->target) {
	case TARGET_VRING_STATE:
		return RTE_MIN(msg->payload.state.index, (uint32_t)INT32_MAX);
	case TARGET_VRING_ADDR:
		return RTE_MIN(msg->payload.addr.index, (uint32_t)INT32_MAX);
	case TARGET_VRING_U64:
		return msg->payload.u64 & VU_VRING_INDEX_MASK;
	default:
		return -1;
	}
}

static int
refuse_vring(const struct vhost_device *dev, int index)
{
	VHOST_LOG_CONFIG(ERR, "(%s) invalid vring index: %d\n", dev->driver.path, index);
	vhost_quota_refused(dev->driver.quota, QUOTA_VRINGS);
	return -EINVAL;
}

/** Drivers have tables as long as the hardware has vrings; a control queue is ours. */
static bool
hardware_may_have(const struct vhost_device *dev, uint32_t index)
{
	const uint32_t bound = dev->driver.vdpa_vrings;

	return bound == 0 || index < bound ||
		(index == bound && vhost_device_has(dev, VIRTIO_NET_F_CTRL_VQ));
}

/** Naming a vring is a wish: it, and all below, shall exist. */
static int
address_vring(struct vu_call *call, const struct rule *rule)
{
	struct vhost_device *dev = call->dev;
	int index = addressed_vring(rule, call->msg);

	if (index < 0)
		return 0;
	if (!hardware_may_have(dev, index)) {
		VHOST_LOG_CONFIG(ERR, "(%s) invalid vring index: %d, the hardware has %u\n",
			dev->driver.path, index, dev->driver.vdpa_vrings);
		return -EINVAL;
	}
	if (index >= VHOST_MAX_VRINGS ||
			(uint64_t)index >= vhost_quota_limit(dev->driver.quota, QUOTA_VRINGS))
		return refuse_vring(dev, index);
	vhost_wish_vring(&dev->wish, index);
	call->vring = index;
	call->wish = &dev->wish.queues[index];
	call->queue = vhost_device_queue(dev, index);
	return 0;
}

/** Descriptors that go along with an answer. */
struct reply_fds {
	unsigned int n;
	int fds[VU_MAX_FDS];
};

static int
send_reply(struct vhost_device *dev, struct vu_message *msg, const struct reply_fds *fds)
{
	int ret;

	msg->flags = VU_VERSION | VU_REPLY;
	ret = vhost_vu_send(dev->link, msg, fds->fds, fds->n);
	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) cannot reply to %s: %s\n", dev->driver.path,
			vhost_vu_request_name(msg->request), strerror(-ret));
	return ret;
}

static int
send_ack(struct vhost_device *dev, struct vu_message *msg, bool failed)
{
	const struct reply_fds none = { 0 };

	msg->payload.u64 = failed;
	msg->size = SIZE_OF(u64);
	return send_reply(dev, msg, &none);
}

static void
acknowledge_early(void *arg)
{
	struct vu_call *call = arg;

	call->acked = true;
	call->ack_result = send_ack(call->dev, call->msg, false);
}

/**
 * The driver of hardware that starts may ask the frontend something, which may read no
 * question while it waits for us.  So it gets its acknowledgement before, unless there
 * is somebody who may still say no.
 */
static bool
acks_early(const struct vu_call *call, const struct rule *rule)
{
	return call->dev->driver.vdpa != NULL && (call->msg->flags & VU_NEED_REPLY) &&
		rule->reply == REPLY_ACK && !call->reply && call->settled == NULL &&
		call->dev->extern_ops.post_msg_handle == NULL;
}

/** Edit the wishes and settle. */
static int
handle_and_settle(struct vu_call *call, const struct rule *rule)
{
	int ret;

	ret = address_vring(call, rule);
	if (ret == 0)
		ret = rule->handle(call);
	if (ret == 0 && acks_early(call, rule)) {
		call->request.in_force = acknowledge_early;
		call->request.arg = call;
	}
	if (ret == 0)
		ret = vhost_device_change(call->dev, &call->request);
	return ret;
}

/** Make the wishes of a message come true, or have them as they were. */
static int
serve_builtin(struct vu_call *call, const struct rule *rule)
{
	struct vhost_device *dev = call->dev;
	struct device_wish before;
	int ret;

	ret = check_form(dev, rule, call->msg);
	if (ret < 0)
		return ret;
	vhost_wish_keep(&dev->wish, &before);
	ret = handle_and_settle(call, rule);
	if (ret < 0) {
		vhost_wish_restore(&dev->wish, &before, dev->driver.quota);
		return ret;
	}
	vhost_wish_forget(&before);
	if (call->settled != NULL)
		ret = call->settled(call);
	if (ret == 0 && rule->reply == REPLY_U64)
		call->msg->size = SIZE_OF(u64);
	return ret;
}

static enum rte_vhost_msg_result
run_extern(struct vu_call *call, rte_vhost_msg_handle handler)
{
	if (handler == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	return handler(call->dev->vid, call->msg);
}

/** Whether the result of a handler of the application ends the matter for us. */
static bool
is_handled(enum rte_vhost_msg_result result)
{
	return result == RTE_VHOST_MSG_RESULT_OK || result == RTE_VHOST_MSG_RESULT_REPLY;
}

/**
 * Run whoever serves the request: the application before us, else we, and the
 * application after either.
 *
 * @param[out] reply  whether the message now holds an answer to send
 */
static int
serve(struct vu_call *call, bool *reply)
{
	const struct rte_vhost_user_extern_ops *extern_ops = &call->dev->extern_ops;
	const struct rule *rule = find_rule(call->dev, call->msg->request);
	enum rte_vhost_msg_result before, after;
	int ret;

	before = run_extern(call, extern_ops->pre_msg_handle);
	*reply = before == RTE_VHOST_MSG_RESULT_REPLY;
	if (before == RTE_VHOST_MSG_RESULT_ERR)
		return -EINVAL;
	if (!is_handled(before) && rule != NULL) {
		ret = serve_builtin(call, rule);
		if (ret < 0)
			return ret;
		*reply = rule->reply != REPLY_ACK || call->reply;
	}
	after = run_extern(call, extern_ops->post_msg_handle);
	if (after == RTE_VHOST_MSG_RESULT_ERR)
		return -EINVAL;
	*reply = *reply || after == RTE_VHOST_MSG_RESULT_REPLY;
	if (rule != NULL || is_handled(before) || is_handled(after))
		return 0;
	VHOST_LOG_CONFIG(ERR, "(%s) vhost message (req: %u) was not handled.\n",
		call->dev->driver.path, call->msg->request);
	return -ENOTSUP;
}

/**
 * Take out of a message that holds an answer the descriptors that a handler of the
 * application put there: sent along, and still the application's.  What came with the
 * request stays in the message, to be closed.
 *
 * @param asked  VU_MAX_FDS that came with the request
 */
static void
take_extern_fds(struct vu_message *msg, const int *asked, struct reply_fds *reply)
{
	int i;

	for (i = 0; i < RTE_MIN(msg->nfds, VU_MAX_FDS); i++) {
		if (msg->fds[i] < 0 || msg->fds[i] == asked[i])
			continue;
		reply->fds[reply->n++] = msg->fds[i];
		msg->fds[i] = -1;
	}
}

/** Say how a message ended. */
static void
log_result(const char *path, const char *name, int ret, bool reply)
{
	if (ret < 0)
		VHOST_LOG_CONFIG(ERR, "(%s) processing %s failed.\n", path, name);
	else
		VHOST_LOG_CONFIG(DEBUG, "(%s) processing %s succeeded%s.\n", path, name,
			reply ? " and needs reply" : "");
}

/** Serve a request and answer it, once, if it has an answer or wants one. */
static int
serve_and_answer(struct vu_call *call)
{
	struct vu_message *msg = call->msg;
	const uint32_t request = msg->request;
	const bool need_ack = msg->flags & VU_NEED_REPLY;
	struct reply_fds fds = { 0 };
	int asked[VU_MAX_FDS], ret;
	bool reply;

	memcpy(asked, msg->fds, sizeof(asked));
	ret = serve(call, &reply);
	log_result(call->dev->driver.path, vhost_vu_request_name(request), ret, ret == 0 && reply);
	if (ret == 0 && reply)
		take_extern_fds(msg, asked, &fds);
	if (call->reply_fd >= 0)
		fds = (struct reply_fds){ .n = 1, .fds = { call->reply_fd } };
	vhost_vu_close_fds(msg, call->dev->driver.quota);
	/* an extern handler may have changed what it was given */
	msg->request = request;
	if (call->acked)
		return call->ack_result;
	if (ret == 0 && reply)
		return send_reply(call->dev, msg, &fds);
	if (ret < 0 && call->vital)
		return ret;
	return need_ack ? send_ack(call->dev, msg, ret < 0) : ret;
}

/** Say what came; there are as many IOTLB messages as packets. */
static void
log_request(const char *path, uint32_t request)
{
	const char *name = vhost_vu_request_name(request);

	if (request == VU_IOTLB_MSG)
		VHOST_LOG_CONFIG(DEBUG, "(%s) read message %s\n", path, name);
	else
		VHOST_LOG_CONFIG(INFO, "(%s) read message %s\n", path, name);
}

int
vhost_vu_dispatch(struct vhost_device *dev, struct vu_message *msg)
{
	struct vu_call call = { .dev = dev, .msg = msg, .reply_fd = -1 };
	int ret;

	log_request(dev->driver.path, msg->request);
	vhost_device_lock(dev);
	ret = serve_and_answer(&call);
	if (call.close_reply_fd)
		vhost_reap(dev->driver.quota, call.reply_fd);
	vhost_device_unlock(dev);
	return ret;
}
