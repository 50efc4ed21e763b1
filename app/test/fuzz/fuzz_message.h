/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef FUZZ_MESSAGE_H
#define FUZZ_MESSAGE_H

/* Between the files of fuzz_message. */

#include "device.h"
#include "vu_message.h"

#include "fuzz_env.h"

struct rte_vdpa_device;

/** One more than the library takes in one message. */
#define MAX_FDS (VU_MAX_FDS + 1)

/* ---- fuzz_message_fds.c: descriptors to hand over ---- */

/** Files that may become guest memory; all that the frontend holds at once. */
#define MAX_FILES 16

/** A new descriptor of the kind that the input names, the caller's; never fails. */
int fds_make(struct fuzz_input *in);

/** Likewise, always one that can be a doorbell. */
int fds_make_eventfd(void);

/** Likewise, a file of that size; its number among the files of this input. */
int fds_make_file(uint64_t size, unsigned int *number);

/** One end of a pair of sockets whose other end stays with the frontend. */
int fds_make_channel(void);

/** The frontend's end of the last channel, or -1. */
int fds_last_channel(void);

/** Another descriptor of a file, or -1 if there is no such file. */
int fds_dup_file(unsigned int number);

/** Change the size of a file: how a guest takes memory away. */
void fds_resize_file(unsigned int number, uint64_t size);

/** Write to a file what a guest would; behind its end nothing happens. */
void fds_write_file(unsigned int number, uint64_t offset, const void *bytes, size_t len);

/** Write to all eventfds that the frontend made: the guest kicks. */
void fds_kick(void);

/** Close all that the frontend holds; proves that no file is mapped. */
void fds_end(void);

/* ---- fuzz_message_app.c: the application and its vDPA driver ---- */

/** What the application and the driver do, from the input. */
struct app_config {
	uint8_t refuses;	/**< APP_REFUSES_* */
	bool extern_ops;	/**< has handlers of its own */
};

#define APP_REFUSES_CONNECTION	0x01u
#define APP_REFUSES_DEVICE	0x02u
#define APP_REFUSES_CONF	0x04u
#define APP_REFUSES_CONFIG	0x08u
#define APP_HAS_NO_FD		0x10u

extern const struct rte_vhost_device_ops app_ops;

void app_begin(const struct app_config *config);

/** The device is gone: the application must have been told in order. */
void app_check_gone(void);

/** Vrings that the hardware has. */
#define APP_HARDWARE_VRINGS 8
struct rte_vdpa_device *app_vdpa(uint32_t type);

/** Ask everything there is to ask about the device. */
void app_ask(int vid);

/** Do one of the things that an application does at any time. */
void app_act(int vid, struct fuzz_input *in);

/** Bursts on one queue. */
void app_burst(int vid, struct fuzz_input *in);

#endif /* FUZZ_MESSAGE_H */
