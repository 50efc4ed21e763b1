/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Two things are peculiar:
 *
 * - Looking at a descriptor must not block.  A file of FUSE or of a network file
 *   system belongs to a server that need not answer fstat(), and every access to
 *   its pages would wait for that server, too.  Such files are recognised from
 *   what the kernel tells by itself, and refused: see file_answers_itself().
 *
 * - Mapping must not allocate pages, or they would land on our node rather than
 *   on the guest's: see vhost_mem_file_map().
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <rte_common.h>

#include "mem_file.h"
#include "mem_guard.h"
#include "vhost_log.h"

/* Looking at a file */

/** File systems without a device of their own that need no server to answer. */
static bool
is_local_fstype(const char *type)
{
	static const char *const local[] = {
		"bcachefs", "btrfs", "hugetlbfs", "overlay", "ramfs", "tmpfs", "zfs",
	};
	unsigned int i;

	for (i = 0; i < RTE_DIM(local); i++)
		if (strcmp(type, local[i]) == 0)
			return true;
	return false;
}

/** Whether a mount of this process is of such a file system; see proc(5). */
static bool
mount_is_local(uint64_t mount_id)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	bool found = false, local = false;
	char *line = NULL;
	size_t room = 0;

	if (mounts == NULL)
		return false;
	while (!found && getline(&line, &room, mounts) > 0) {
		char type[32] = "";
		const char *tail = strstr(line, " - ");

		found = strtoull(line, NULL, 10) == mount_id;
		if (found && tail != NULL && sscanf(tail, " - %31s", type) == 1)
			local = is_local_fstype(type);
	}
	free(line);
	fclose(mounts);
	return local;
}

static bool
is_memory_file(int fd)
{
	/* Only shmem and hugetlbfs have seals. */
	return fcntl(fd, F_GET_SEALS) >= 0;
}

/**
 * Whether operations on the file end without the help of a server: it is on
 * shmem or hugetlbfs, on a block device, or on a mount that we know.
 */
static bool
file_answers_itself(int fd, const struct statx *stx)
{
	return is_memory_file(fd) || stx->stx_dev_major != 0 ||
		((stx->stx_mask & STATX_MNT_ID) != 0 && mount_is_local(stx->stx_mnt_id));
}

static const char *
file_type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFSOCK: return "a socket";
	case S_IFIFO: return "a pipe";
	case S_IFDIR: return "a directory";
	case S_IFCHR: return "a character device";
	case S_IFBLK: return "a block device";
	default: return "no file";
	}
}

/** statx() of a descriptor that never asks a server. */
static int
fd_statx(int fd, struct statx *stx)
{
	memset(stx, 0, sizeof(*stx));
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		STATX_TYPE | STATX_INO | STATX_SIZE | STATX_MNT_ID, stx) < 0 ? -errno : 0;
}

/** Say what cannot be mapped, and why: the value of the caller's return. */
static int
refuse_file(const char *name, const char *what, const char *why, int err)
{
	VHOST_LOG_CONFIG(ERR, "(%s) %s: descriptor is %s\n", name, what, why);
	return -err;
}

int
vhost_mem_file_check(const char *name, const char *what, int fd, struct mem_file *file)
{
	int flags = fcntl(fd, F_GETFL);
	struct statx stx;
	struct statfs fs;

	if (flags < 0)
		return refuse_file(name, what, "missing", EBADF);
	if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) != O_RDWR)
		return refuse_file(name, what, "not open for reading and writing", EACCES);
	if (fd_statx(fd, &stx) < 0)
		return refuse_file(name, what, "one that cannot be looked at", EBADF);
	if (!S_ISREG(stx.stx_mode))
		return refuse_file(name, what, file_type_name(stx.stx_mode), ENODEV);
	if (!file_answers_itself(fd, &stx))
		return refuse_file(name, what, "on a file system that may block", ENODEV);

	*file = (struct mem_file){
		.size = stx.stx_size,
		.page_size = sysconf(_SC_PAGESIZE),
	};
	if (is_memory_file(fd) && fstatfs(fd, &fs) == 0 &&
			fs.f_type == HUGETLBFS_MAGIC) {
		file->hugetlb = true;
		file->page_size = fs.f_bsize;
	}
	return 0;
}

bool
vhost_mem_file_is_same(int fd, int other_fd)
{
	struct statx a, b;

	return fd_statx(fd, &a) == 0 && fd_statx(other_fd, &b) == 0 &&
		a.stx_dev_major == b.stx_dev_major &&
		a.stx_dev_minor == b.stx_dev_minor && a.stx_ino == b.stx_ino;
}

/* Mapping it */

void *
vhost_mem_file_map(int fd, size_t len, int prot, int flags)
{
	/*
	 * Under mlockall(MCL_FUTURE) the kernel populates a new mapping, but not
	 * one that cannot be accessed, and not one that is not locked any more.
	 */
	void *at = mmap(NULL, len, PROT_NONE, MAP_SHARED | flags, fd, 0);

	if (at == MAP_FAILED)
		return NULL;
	munlock(at, len);
	if (mprotect(at, len, prot) == 0)
		return at;
	munmap(at, len);
	return NULL;
}

struct mem_mapping {
	unsigned int refcnt;	/**< control thread only */
	bool broken;		/**< the guard's */
	uint8_t *addr;
	size_t size;
	int fd;			/**< -1 until it belongs to the mapping */
	int guard;		/**< of addr, see mem_guard.h */
};

int
vhost_mem_mapping_create(int fd, size_t size, size_t page_size, struct mem_mapping **out)
{
	struct mem_mapping *mapping = calloc(1, sizeof(*mapping));
	int err = ENOMEM;

	if (mapping == NULL)
		return -err;
	mapping->addr = vhost_mem_file_map(fd, size, PROT_READ | PROT_WRITE, 0);
	if (mapping->addr == NULL) {
		err = errno;
		free(mapping);
		return -err;
	}
	/* What is the guest's has no place in our core dumps; refused is no harm. */
	madvise(mapping->addr, size, MADV_DONTDUMP);
	mapping->guard = vhost_mem_guard_add(mapping->addr, size, page_size, &mapping->broken);
	if (mapping->guard < 0) {
		err = -mapping->guard;
		munmap(mapping->addr, size);
		free(mapping);
		return -err;
	}
	mapping->refcnt = 1;
	mapping->size = size;
	mapping->fd = -1;
	*out = mapping;
	return 0;
}

uint8_t *
vhost_mem_mapping_addr(const struct mem_mapping *mapping)
{
	return mapping->addr;
}

void
vhost_mem_mapping_keep_fd(struct mem_mapping *mapping, int fd)
{
	mapping->fd = fd;
}

void
vhost_mem_mapping_get(struct mem_mapping *mapping)
{
	mapping->refcnt++;
}

void
vhost_mem_mapping_put(struct mem_mapping *mapping)
{
	if (--mapping->refcnt > 0)
		return;
	vhost_mem_guard_remove(mapping->guard);
	munmap(mapping->addr, mapping->size);
	if (mapping->fd >= 0)
		close(mapping->fd);
	free(mapping);
}

bool
vhost_mem_mapping_detach(struct mem_mapping *mapping)
{
	return vhost_mem_guard_replace(mapping->guard);
}

bool
vhost_mem_mapping_is_broken(const struct mem_mapping *mapping)
{
	return __atomic_load_n(&mapping->broken, __ATOMIC_ACQUIRE);
}
