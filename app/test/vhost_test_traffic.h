/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_TEST_TRAFFIC_H
#define VHOST_TEST_TRAFFIC_H

/*
 * Packets that never stop.
 *
 * One thread is the guest's driver: on each queue pair it sends numbered packets
 * and expects them back.  Another one polls as an application does, checks what
 * it dequeues and enqueues it again.  Both know which number comes next and what
 * is in it, so a packet that is lost, duplicated, reordered or damaged in either
 * direction is an error at once.
 *
 * Only for running devices whose recorder is the fake's own.  While it flows,
 * nobody else may touch the rings or poll.
 */

#include <stdbool.h>
#include <stdint.h>

struct fake;
struct traffic;

/** Let packets flow on the first pairs; NULL on failure.  One at a time. */
struct traffic *traffic_start(struct fake *fe, unsigned int pairs);

/** Packets that came back so far; atomic. */
uint64_t traffic_flown(const struct traffic *t);

/** Wait until more packets came back: 0, or -1 when they do not. */
int traffic_wait(struct traffic *t, uint64_t more);

/**
 * Send no more, wait until all are back, end the threads.
 *
 * @return 0; -1, after a line of output, if anything was wrong
 */
int traffic_stop(struct traffic *t);

/** For a suite's check, before fake_check(): stop what a failed case left. */
void traffic_abandon(void);

#endif /* VHOST_TEST_TRAFFIC_H */
