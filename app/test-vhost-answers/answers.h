/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef ANSWERS_H
#define ANSWERS_H

/* One answer is a line, "name value"; names with slashes, so that they group. */

#include <rte_common.h>

#include "vhost_fake_frontend.h"

/** Say a line; the name is a format. */
#define answer(value, ...) answer_line((long long)(value), __VA_ARGS__)
void answer_line(long long value, const char *format, ...) __rte_format_printf(2, 3);

/** What is offered, to frontends and to the application. */
bool answer_features(void);

/** What in-flight tracking records and tells. */
bool answer_inflight(void);

/** What is counted, for every scenario told to every kind of device. */
bool answer_statistics(void);

/** What the driver of a vDPA device is asked, and what its functions answer. */
bool answer_vdpa(void);

/** What functions answer that cannot do what they are asked. */
bool answer_errors(void);

/** Bytes that a buffer of the guest's may have in a scenario. */
#define STORY_BUFFER 9216

/** Something that happens to a device, see scenarios.c. */
struct scenario {
	const char *name;
	void (*tell)(struct fake *fe);
	bool event_idx;		/**< only for devices with event idx */
	bool mergeable;		/**< only for devices that merge buffers */
};

extern const struct scenario scenarios[];
extern const unsigned int nb_scenarios;

/** Packets that the bursts of a scenario moved, by ring. */
extern unsigned int scenario_moved[2];

#endif /* ANSWERS_H */
