/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef VHOST_MEM_DAX_H
#define VHOST_MEM_DAX_H

/*
 * Character devices that are memory: persistent or far memory that the kernel hands
 * out directly ("device DAX", /dev/dax0.0).  A guest's NVDIMM may be one.
 *
 * The device's own size is 0 and its pages are of one size; both are in sysfs, which
 * the kernel answers by itself.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "mem_file.h"

/** Where sysfs is; tests have made-up ones. */
#define VHOST_SYSFS "/sys"

/**
 * Whether a character device is memory.
 *
 * @param[out] file  its size and page size, if it is; else untouched
 */
bool vhost_mem_dax_look(const char *sysfs, dev_t device, struct mem_file *file);

#endif /* VHOST_MEM_DAX_H */
