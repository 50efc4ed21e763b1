/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */
#ifndef VHOST_FAKE_PRIVATE_H
#define VHOST_FAKE_PRIVATE_H

/* What the files of the fake share among themselves. */

#include "vhost_fake_frontend.h"

/** The list of all fakes, kept under the recorder's lock. */
void fake_list_add(struct fake *fe);
void fake_list_remove(struct fake *fe);

#endif /* VHOST_FAKE_PRIVATE_H */
