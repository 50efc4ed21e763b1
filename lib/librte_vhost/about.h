/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_ABOUT_H
#define VHOST_ABOUT_H

/*
 * Which vhost library is this?  Programs cannot tell it from the packaged one that it
 * takes the place of, so it says so itself: in the log, once, and over telemetry.
 */

#include <stdbool.h>

#define VHOST_NAME "vhost-numa"

/** The release, "22.11.0". */
const char *vhost_about_version(void);

/** Whether it was built with libnuma, that is, can relocate anything. */
bool vhost_about_has_libnuma(void);

/** The file that this code was loaded from: the library, or a program that has it inside. */
const char *vhost_about_file(void);

/** A line in the log, the first time in a process.  Any thread. */
void vhost_about_log(void);

#endif /* VHOST_ABOUT_H */
