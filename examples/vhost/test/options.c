/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include "../options.h"

/* The parts under test do not read arguments. */
struct options options;
