/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Two things are peculiar:
 *
 * - Looking at a descriptor must not block.  A file of FUSE or of a network file
 *   system belongs to a server that need not answer fstat(), and every access to
 *   its pages would wait for that server, too.  What is memory is known by its
 *   seals and asks nobody; of everything else the file system is asked for in a
 *   way that nobody waits for: see mem_fs.c.  It is the danger that is recognised,
 *   not the harmless: a kind of file that nobody has heard of is accepted.
 *
 * - Mapping must not allocate pages, or they would land on our node rather than
 *   on the guest's, nor reserve them: see vhost_mem_file_map().
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <rte_common.h>

#include "fd_kind.h"
#include "mem_dax.h"
#include "mem_file.h"
#include "mem_fs.h"
#include "mem_guard.h"
#include "mem_iova.h"
#include "quota.h"
#include "reaper.h"
#include "vhost_log.h"

/* Looking at a file */

static const char *
file_type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFSOCK: return "a socket";
	case S_IFIFO: return "a pipe";
	case S_IFDIR: return "a directory";
	case S_IFCHR: return "a character device that is no memory";
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
		STATX_TYPE | STATX_INO | STATX_SIZE, stx) < 0 ? -errno : 0;
}

/** What is wrong with how a descriptor was opened, or NULL. */
static const char *
access_fault(int fd, int *err)
{
	int flags = fcntl(fd, F_GETFL);

	*err = flags < 0 ? EBADF : EACCES;
	if (flags < 0)
		return "missing";
	if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) != O_RDWR)
		return "not open for reading and writing";
	return NULL;
}

/**
 * Memory of the kernel's: shmem or hugetlbfs, whose size of pages it tells.  Huge pages
 * that were taken for others could not be unmapped.
 *
 * @return what is wrong, or NULL
 */
static const char *
memory_file_fault(int fd, struct mem_file *file)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return "of a file system that cannot be looked at";
	file->hugetlb = fs.f_type == HUGETLBFS_MAGIC;
	if (file->hugetlb)
		file->page_size = fs.f_bsize;
	return NULL;
}

/** What keeps a file from being mapped, or NULL; *file is complete then. */
static const char *
file_fault(const struct mem_owner *owner, int fd, const struct statx *stx,
		struct mem_file *file)
{
	dev_t device = makedev(stx->stx_rdev_major, stx->stx_rdev_minor);

	*file = (struct mem_file){
		.size = stx->stx_size, .page_size = sysconf(_SC_PAGESIZE),
	};
	if (S_ISCHR(stx->stx_mode) && vhost_mem_dax_look(VHOST_SYSFS, device, file))
		return NULL;
	if (!S_ISREG(stx->stx_mode))
		return file_type_name(stx->stx_mode);
	if (vhost_fd_kind(fd) != FD_MEMORY)
		return vhost_mem_fs_fault(vhost_mem_fs_ask(owner, fd));
	return memory_file_fault(fd, file);
}

/** Say what cannot be mapped, and why: the value of the caller's return. */
static int
refuse_file(const struct mem_owner *owner, const char *what, const char *why, int err)
{
	VHOST_LOG_CONFIG(ERR, "(%s) %s: descriptor is %s\n", owner->name, what, why);
	return -err;
}

int
vhost_mem_file_check(const struct mem_owner *owner, const char *what, int fd,
		struct mem_file *file)
{
	const char *fault;
	struct statx stx;
	int err;

	fault = access_fault(fd, &err);
	if (fault != NULL)
		return refuse_file(owner, what, fault, err);
	if (fd_statx(fd, &stx) < 0)
		return refuse_file(owner, what, "one that cannot be looked at", EBADF);
	fault = file_fault(owner, fd, &stx, file);
	return fault == NULL ? 0 : refuse_file(owner, what, fault, ENODEV);
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

static void *
map_at(int fd, uint64_t offset, size_t len, int prot, int flags)
{
	/*
	 * Under mlockall(MCL_FUTURE) the kernel populates a new mapping, but not
	 * one that cannot be accessed, and not one that is not locked any more.
	 */
	void *at = mmap(NULL, len, PROT_NONE, MAP_SHARED | flags, fd, offset);

	if (at == MAP_FAILED)
		return NULL;
	munlock(at, len);
	if (mprotect(at, len, prot) == 0)
		return at;
	munmap(at, len);
	return NULL;
}

void *
vhost_mem_file_map(int fd, size_t len, int prot, int flags)
{
	return map_at(fd, 0, len, prot, flags);
}

struct mem_mapping {
	unsigned int refcnt;	/**< atomic */
	bool broken;		/**< the guard's */
	bool reached;		/**< VFIO devices find it at our address */
	uint8_t *addr;
	size_t size;		/**< bytes, taken from the quota */
	int fd;			/**< -1 until it belongs to the mapping */
	int guard;		/**< of addr, see mem_guard.h */
	struct vhost_quota *quota;	/**< a reference, or NULL */
};

/** Map and guard: 0, or a negative errno and nothing is mapped. */
static int
mapping_open(struct mem_mapping *mapping, int fd, uint64_t offset, size_t page_size)
{
	mapping->addr = map_at(fd, offset, mapping->size, PROT_READ | PROT_WRITE, MAP_NORESERVE);
	if (mapping->addr == NULL)
		return -errno;
	/* What is the guest's has no place in our core dumps; refused is no harm. */
	madvise(mapping->addr, mapping->size, MADV_DONTDUMP);
	mapping->guard = vhost_mem_guard_add(mapping->addr, mapping->size, page_size,
		&mapping->broken);
	if (mapping->guard >= 0)
		return 0;
	munmap(mapping->addr, mapping->size);
	return mapping->guard;
}

/** The bytes are taken. */
static int
mapping_create(const struct mem_owner *owner, int fd, uint64_t offset, size_t size,
		size_t page_size, struct mem_mapping **out)
{
	struct mem_mapping *mapping = calloc(1, sizeof(*mapping));
	int ret;

	if (mapping == NULL)
		return -ENOMEM;
	mapping->refcnt = 1;
	mapping->size = size;
	mapping->fd = -1;
	ret = mapping_open(mapping, fd, offset, page_size);
	if (ret < 0) {
		free(mapping);
		return ret;
	}
	mapping->quota = vhost_quota_get(owner->quota);
	*out = mapping;
	return 0;
}

int
vhost_mem_mapping_create_at(const struct mem_owner *owner, int fd, uint64_t offset,
		size_t size, size_t page_size, struct mem_mapping **out)
{
	int ret;

	if (!vhost_quota_take(owner->quota, QUOTA_MAPPED_BYTES, size))
		return -EDQUOT;
	ret = mapping_create(owner, fd, offset, size, page_size, out);
	if (ret < 0)
		vhost_quota_give(owner->quota, QUOTA_MAPPED_BYTES, size);
	return ret;
}

int
vhost_mem_mapping_create(const struct mem_owner *owner, int fd, size_t size,
		size_t page_size, struct mem_mapping **out)
{
	return vhost_mem_mapping_create_at(owner, fd, 0, size, page_size, out);
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
	__atomic_fetch_add(&mapping->refcnt, 1, __ATOMIC_RELAXED);
}

void
vhost_mem_mapping_reach(struct mem_mapping *mapping)
{
	if (mapping->reached || !vhost_iova_needs_map())
		return;
	mapping->reached = vhost_iova_map(mapping->addr, mapping->size) == 0;
	if (!mapping->reached)
		VHOST_LOG_CONFIG(INFO, "guest memory of %zu bytes is not mapped for VFIO devices, "
			"which does not matter if none copies for vhost\n", mapping->size);
}

void
vhost_mem_mapping_put(struct mem_mapping *mapping)
{
	if (__atomic_sub_fetch(&mapping->refcnt, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (mapping->reached)
		vhost_iova_unmap(mapping->addr, mapping->size);
	vhost_mem_guard_remove(mapping->guard);
	munmap(mapping->addr, mapping->size);
	vhost_reap(mapping->quota, mapping->fd);
	vhost_quota_give(mapping->quota, QUOTA_MAPPED_BYTES, mapping->size);
	vhost_quota_put(mapping->quota);
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

int
vhost_mem_mapping_guard(struct mem_mapping *mapping, void *start, size_t len, size_t page_size)
{
	return vhost_mem_guard_add(start, len, page_size, &mapping->broken);
}
