/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mem_dax.h"

/** A device's folder in sysfs. */
static void
device_folder(const char *sysfs, dev_t device, char *folder, size_t room)
{
	snprintf(folder, room, "%s/dev/char/%u:%u", sysfs, major(device), minor(device));
}

static bool
is_dax(const char *folder)
{
	char link[PATH_MAX], target[PATH_MAX];
	const char *subsystem;
	ssize_t len;

	snprintf(link, sizeof(link), "%s/subsystem", folder);
	len = readlink(link, target, sizeof(target) - 1);
	if (len <= 0)
		return false;
	target[len] = '\0';
	subsystem = strrchr(target, '/');
	return strcmp(subsystem != NULL ? subsystem + 1 : target, "dax") == 0;
}

/** A number in a device's folder, 0 if there is none. */
static uint64_t
read_number(const char *folder, const char *name)
{
	char path[PATH_MAX], text[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	return strtoull(text, NULL, 0);
}

/** Kernels before 5.10 tell the alignment of the region that devices are cut from. */
static uint64_t
read_page_size(const char *folder)
{
	uint64_t align = read_number(folder, "align");

	return align != 0 ? align : read_number(folder, "device/dax_region/align");
}

bool
vhost_mem_dax_look(const char *sysfs, dev_t device, struct mem_file *file)
{
	char folder[PATH_MAX / 2];
	uint64_t size, page_size;

	device_folder(sysfs, device, folder, sizeof(folder));
	if (!is_dax(folder))
		return false;
	size = read_number(folder, "size");
	page_size = read_page_size(folder);
	if (size == 0 || (page_size & (page_size - 1)) != 0 ||
			page_size < (uint64_t)sysconf(_SC_PAGESIZE))
		return false;
	*file = (struct mem_file){ .size = size, .page_size = page_size };
	return true;
}
