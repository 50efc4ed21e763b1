/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * What kinds of files are accepted as memory of a guest, wherever they are mounted,
 * that nobody waits for those that are not, and who is told of their mappings.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem_dax.h"
#include "mem_file.h"
#include "mem_fs.h"
#include "mem_iova.h"
#include "quota.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_fake_fuse.h"

#define PAGE 4096ULL
#define BYTES (64 * PAGE)

static const struct mem_owner nobody = { .name = "test", .sock = -1 };

/* ---- decisions on made-up answers ---- */

static int
types_of_file_systems_are_judged(void)
{
	static const struct {
		const char *name;
		uint64_t type;
		enum mem_fs fs;
	} types[] = {
		{ "ext4", 0xef53, MEM_FS_LOCAL }, { "xfs", 0x58465342, MEM_FS_LOCAL },
		{ "btrfs", 0x9123683e, MEM_FS_LOCAL }, { "overlay", 0x794c7630, MEM_FS_LOCAL },
		{ "ramfs", 0x858458f6, MEM_FS_LOCAL }, { "zfs", 0x2fc12fc1, MEM_FS_LOCAL },
		{ "secretmem", 0x5345434d, MEM_FS_LOCAL }, { "9p", 0x01021997, MEM_FS_LOCAL },
		{ "one that is yet to come", 0x12345678, MEM_FS_LOCAL },
		{ "fuse", 0x65735546, MEM_FS_SERVED }, { "nfs", 0x6969, MEM_FS_SERVED },
		{ "cifs", 0xff534d42, MEM_FS_SERVED }, { "smb2", 0xfe534d42, MEM_FS_SERVED },
		{ "ceph", 0x00c36400, MEM_FS_SERVED }, { "smb", 0x517b, MEM_FS_SERVED },
		{ "afs", 0x5346414f, MEM_FS_SERVED }, { "kafs", 0x6b414653, MEM_FS_SERVED },
		{ "coda", 0x73757245, MEM_FS_SERVED }, { "ncp", 0x564c, MEM_FS_SERVED },
		{ "orangefs", 0x20030528, MEM_FS_SERVED }, { "lustre", 0x0bd00bd0, MEM_FS_SERVED },
		{ "gpfs", 0x47504653, MEM_FS_SERVED }, { "autofs", 0x187, MEM_FS_SERVED },
		{ "proc", 0x9fa0, MEM_FS_SYSTEM }, { "sysfs", 0x62656572, MEM_FS_SYSTEM },
		{ "debugfs", 0x64626720, MEM_FS_SYSTEM }, { "tracefs", 0x74726163, MEM_FS_SYSTEM },
	};

	for (unsigned int i = 0; i < RTE_DIM(types); i++)
		TEST_ASSERT_EQUAL(vhost_mem_fs_judge(types[i].type, false), types[i].fs,
			"%s", types[i].name);
	TEST_ASSERT_EQUAL(vhost_mem_fs_judge(0x65735546, true), MEM_FS_LOCAL, "virtiofs");
	TEST_ASSERT_NULL(vhost_mem_fs_fault(MEM_FS_LOCAL), "can be mapped");
	for (int fs = MEM_FS_SERVED; fs <= MEM_FS_SILENT; fs++)
		TEST_ASSERT_NOT_NULL(vhost_mem_fs_fault(fs), "cannot");
	return TEST_SUCCESS;
}

static int
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done ? 0 : -1;
}

static int
virtiofs_is_found_among_mounts(void)
{
	static const char *const mounts =
		"21 26 0:20 / /proc rw,relatime - proc proc rw\n"
		"36 26 0:41 / /mnt/a rw,relatime shared:5 master:2 - virtiofs tag rw\n"
		"37 26 0:42 / /mnt/b rw - fuse.virtiofs nothing rw\n"
		"38 26 0:43 /virtiofs /mnt/virtiofs rw - fuse - virtiofs\n"
		"39 26 1:41 / /mnt/c rw - ext4 /dev/ram0 rw\n"
		"nonsense\n";
	char path[PATH_MAX];

	fake_new_path(path, sizeof(path));
	TEST_ASSERT_SUCCESS(write_text(path, mounts), "mounts");
	TEST_ASSERT(vhost_mem_fs_is_virtiofs(path, 0, 41), "a mount of it");
	TEST_ASSERT(!vhost_mem_fs_is_virtiofs(path, 0, 42), "a name that is like it");
	TEST_ASSERT(!vhost_mem_fs_is_virtiofs(path, 0, 43), "a folder of that name");
	TEST_ASSERT(!vhost_mem_fs_is_virtiofs(path, 0, 20), "something else");
	TEST_ASSERT(!vhost_mem_fs_is_virtiofs(path, 1, 41), "something else");
	TEST_ASSERT(!vhost_mem_fs_is_virtiofs(path, 0, 99), "nobody has mounted it");
	unlink(path);
	TEST_ASSERT(!vhost_mem_fs_is_virtiofs(path, 0, 41), "no mounts at all");
	return TEST_SUCCESS;
}

/** Files of a device in a made-up sysfs; NULL: there is none. */
struct sysfs {
	const char *subsystem, *size, *align, *region_align;
};

static void
put(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
	if (text != NULL && write_text(path, text) < 0)
		printf("%s: %s\n", path, strerror(errno));
}

/** Make up a sysfs that knows a device 252:7; its folder. */
static void
sysfs_make(const char *root, const struct sysfs *sysfs)
{
	static const char *const folders[] = {
		"", "/dev", "/dev/char", "/dev/char/252:7", "/dev/char/252:7/device",
		"/dev/char/252:7/device/dax_region",
	};
	char path[PATH_MAX], link[PATH_MAX + 16];

	for (unsigned int i = 0; i < RTE_DIM(folders); i++) {
		snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		mkdir(path, 0700);
	}
	put(path, "align", sysfs->region_align);
	snprintf(path, sizeof(path), "%s/dev/char/252:7", root);
	put(path, "size", sysfs->size);
	put(path, "align", sysfs->align);
	snprintf(link, sizeof(link), "%s/subsystem", path);
	unlink(link);
	if (sysfs->subsystem != NULL && symlink(sysfs->subsystem, link) < 0)
		printf("%s: %s\n", link, strerror(errno));
}

static void
sysfs_remove(const char *root)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	if (system(command) != 0)
		printf("%s stays\n", root);
}

static int
dax_devices_are_memory(void)
{
	static char longest[PATH_MAX];	/* that a link can be */
	static const struct {
		const char *what;
		struct sysfs sysfs;
		uint64_t size, page_size;	/* 0: no memory */
	} devices[] = {
		{ "a DAX device", { "../../bus/dax", "1073741824\n", "2097152\n" },
			1 << 30, 2 << 20 },
		{ "of an older kernel", { "../../class/dax", "4194304\n", NULL, "4096\n" },
			4 << 20, 4096 },
		{ "whose subsystem is far away", { longest, "4194304\n", "4096\n" }, 4 << 20, 4096 },
		{ "of a size with much behind it", { "dax", "4194304 or so, as far as anybody knows\n",
			"4096\n" }, 4 << 20, 4096 },
		{ "of another kind", { "../../class/mem", "4194304\n", "4096\n" }, 0, 0 },
		{ "of a kind with a like name", { "../../bus/daxes", "4096\n", "4096\n" }, 0, 0 },
		{ "of no kind", { NULL, "4194304\n", "4096\n" }, 0, 0 },
		{ "without a size", { "dax", NULL, "4096\n" }, 0, 0 },
		{ "without pages", { "dax", "4194304\n" }, 0, 0 },
		{ "of odd pages", { "dax", "4194304\n", "12288\n" }, 0, 0 },
		{ "of bytes", { "dax", "4194304\n", "1\n" }, 0, 0 },
		{ "of nonsense", { "dax", "much\n", "more\n" }, 0, 0 },
	};
	char root[PATH_MAX / 2];

	memset(longest, '.', sizeof(longest) - 1);
	memcpy(longest + sizeof(longest) - sizeof("/dax"), "/dax", sizeof("/dax"));
	fake_new_path(root, sizeof(root));
	for (unsigned int i = 0; i < RTE_DIM(devices); i++) {
		struct mem_file file = { 0 };

		sysfs_make(root, &devices[i].sysfs);
		TEST_ASSERT_EQUAL(vhost_mem_dax_look(root, makedev(252, 7), &file),
			devices[i].size != 0, "%s", devices[i].what);
		TEST_ASSERT_EQUAL(file.size, devices[i].size, "%s", devices[i].what);
		TEST_ASSERT_EQUAL(file.page_size, devices[i].page_size, "%s", devices[i].what);
		TEST_ASSERT(!vhost_mem_dax_look(root, makedev(252, 8), &file), "another one");
	}
	sysfs_remove(root);
	return TEST_SUCCESS;
}

/* ---- files that there are here ---- */

/** Check a file, map it, and find in the mapping what was written to it; takes the file. */
static int
is_memory(int fd, const char *what)
{
	struct mem_mapping *mapping;
	struct mem_file file;
	uint8_t *at;

	TEST_ASSERT_SUCCESS(ftruncate(fd, BYTES), "%s: %s", what, strerror(errno));
	TEST_ASSERT_SUCCESS(vhost_mem_file_check(&nobody, what, fd, &file), "%s", what);
	TEST_ASSERT_EQUAL(file.size, BYTES, "%s", what);
	TEST_ASSERT_SUCCESS(vhost_mem_mapping_create(&nobody, fd, BYTES, file.page_size,
		&mapping), "%s", what);
	at = vhost_mem_mapping_addr(mapping);
	at[BYTES - 1] = 7;
	TEST_ASSERT_EQUAL(at[BYTES - 1], 7, "%s", what);
	TEST_ASSERT(!vhost_mem_mapping_is_broken(mapping), "%s", what);
	vhost_mem_mapping_put(mapping);
	close(fd);
	return TEST_SUCCESS;
}

static int
disk_files_are_memory(void)
{
	char path[] = "/var/tmp/vhost-test-file-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return TEST_SKIPPED;
	unlink(path);
	return is_memory(fd, "a file on a disk");
}

static int
secret_memory_is_memory(void)
{
#ifdef SYS_memfd_secret
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd >= 0)
		return is_memory(fd, "memfd_secret()");
#endif
	return TEST_SKIPPED;
}

/** Mount an overlay in this process's own namespace, on a folder that is there. */
static int
overlay_mount(const char *dir)
{
	char options[3 * PATH_MAX];

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("test", dir, "tmpfs", 0, NULL) < 0 || chdir(dir) < 0 ||
			mkdir("lower", 0700) < 0 || mkdir("upper", 0700) < 0 ||
			mkdir("work", 0700) < 0 || mkdir("merged", 0700) < 0)
		return -1;
	snprintf(options, sizeof(options), "lowerdir=lower,upperdir=upper,workdir=work");
	return mount("test", "merged", "overlay", 0, options);
}

/** A descriptor of another process, taken over; it does not go on before. */
static int
take_fd(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return taken;
}

static int
files_of_another_mount_namespace_are_memory(void)
{
	char dir[PATH_MAX];
	int ends[2], fd = -1;
	pid_t child;

	fake_new_path(dir, sizeof(dir));
	TEST_ASSERT(mkdir(dir, 0700) == 0 && pipe(ends) == 0, "surroundings");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (overlay_mount(dir) == 0)
			fd = open("merged/ram", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		_exit(write(ends[1], &fd, sizeof(fd)) == sizeof(fd) && pause() ? 0 : 1);
	}
	if (read(ends[0], &fd, sizeof(fd)) == sizeof(fd) && fd >= 0)
		fd = take_fd(child, fd);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	rmdir(dir);
	return fd < 0 ? TEST_SKIPPED : is_memory(fd, "a file of an overlay elsewhere");
}

/* ---- file systems of those who mean no good ---- */

static struct rte_vhost_limits_usage
usage_of(struct vhost_quota *quota)
{
	struct rte_vhost_limits_usage usage;

	vhost_quota_usage(quota, &usage);
	return usage;
}

static int
check(struct vhost_quota *quota, int fd)
{
	const struct mem_owner owner = { .name = "test", .quota = quota, .sock = -1 };
	struct mem_file file;

	return vhost_mem_file_check(&owner, "memory", fd, &file);
}

static int
fuse_is_refused_although_it_answers(void)
{
	struct fake_fuse fuse;

	if (fake_fuse_start(&fuse, false) < 0)
		return TEST_SKIPPED;
	for (int i = 0; i < 20; i++)
		TEST_ASSERT_EQUAL(check(NULL, fuse.fd), -ENODEV, "round %d", i);
	fake_fuse_stop(&fuse);
	close(fuse.fd);
	return TEST_SUCCESS;
}

/** Wait until no thread asks any more. */
static bool
all_came_back(struct vhost_quota *quota)
{
	uint64_t until = fake_now_ms() + fake_patience_ms();

	while (usage_of(quota).closing_fds > 0 && fake_now_ms() < until)
		usleep(1000);
	return usage_of(quota).closing_fds == 0;
}

/** Whether there comes a time when nobody doubts the owner any more. */
static bool
is_asked_again(struct vhost_quota *quota, int fd)
{
	uint64_t until = fake_now_ms() + 2 * MEM_FS_PATIENCE_MS * MEM_FS_DOUBT +
		fake_patience_ms();
	int ret;

	while ((ret = check(quota, fd)) < 0 && fake_now_ms() < until)
		usleep(50000);
	return ret == 0;
}

static int
silent_file_system_holds_up_its_owner_only(void)
{
	struct vhost_quota *bad = vhost_quota_create("bad"), *good = vhost_quota_create("good");
	int disk = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct fake_fuse fuse;
	uint64_t start;

	if (disk < 0 || fake_fuse_start(&fuse, true) < 0)
		return TEST_SKIPPED;
	start = fake_now_ms();
	TEST_ASSERT_EQUAL(check(bad, fuse.fd), -ENODEV, "no answer");
	TEST_ASSERT(fake_now_ms() - start < fake_patience_ms(), "nobody waits for it");
	TEST_ASSERT_EQUAL(usage_of(bad).closing_fds, 1, "one thread is left waiting");
	for (int i = 0; i < 100; i++)
		TEST_ASSERT_EQUAL(check(bad, fuse.fd), -ENODEV, "nor is it asked again");
	TEST_ASSERT_EQUAL(usage_of(bad).closing_fds, 1, "one thread is enough");
	TEST_ASSERT_EQUAL(check(bad, disk), -ENODEV, "nor anything else of this owner");
	TEST_ASSERT_SUCCESS(check(good, disk), "others are asked");
	fake_fuse_stop(&fuse);
	TEST_ASSERT(all_came_back(bad), "the kernel answers for the dead");
	TEST_ASSERT_EQUAL(check(bad, disk), -ENODEV, "in doubt for a while");
	TEST_ASSERT(is_asked_again(bad, disk), "and not for ever");
	close(disk);
	close(fuse.fd);
	vhost_quota_put(bad);
	vhost_quota_put(good);
	return TEST_SUCCESS;
}

/* ---- what mappings cost ---- */

static int
mapped_bytes_are_limited_and_given_back(void)
{
	const struct rte_vhost_limits limits = { .mapped_bytes = 3 * BYTES };
	struct vhost_quota *quota = vhost_quota_create("limited");
	const struct mem_owner owner = { .name = "test", .quota = quota, .sock = -1 };
	struct mem_mapping *mappings[3], *more;
	int fd = memfd_create("vhost-test-file", MFD_CLOEXEC);

	vhost_quota_set_limits(quota, &limits);
	TEST_ASSERT_SUCCESS(ftruncate(fd, BYTES), "a file");
	for (unsigned int i = 0; i < RTE_DIM(mappings); i++)
		TEST_ASSERT_SUCCESS(vhost_mem_mapping_create(&owner, fd, BYTES, PAGE,
			&mappings[i]), "number %u", i);
	TEST_ASSERT_EQUAL(vhost_mem_mapping_create(&owner, fd, BYTES, PAGE, &more), -EDQUOT,
		"one too many");
	TEST_ASSERT_EQUAL(usage_of(quota).refused_mapped_bytes, 1, "counted");
	vhost_mem_mapping_put(mappings[0]);
	TEST_ASSERT_SUCCESS(vhost_mem_mapping_create(&owner, fd, BYTES, PAGE, &mappings[0]),
		"room again");
	/* what cannot be mapped costs nothing */
	vhost_mem_mapping_put(mappings[0]);
	TEST_ASSERT(vhost_mem_mapping_create(&owner, -1, BYTES, PAGE, &more) < 0, "no file");
	TEST_ASSERT_EQUAL(usage_of(quota).mapped_bytes, 2 * BYTES, "two are left");
	/* a mapping outlives the registration */
	vhost_quota_put(vhost_quota_get(quota));
	vhost_mem_mapping_put(mappings[1]);
	vhost_mem_mapping_put(mappings[2]);
	TEST_ASSERT_EQUAL(usage_of(quota).mapped_bytes, 0, "none is left");
	vhost_quota_put(quota);
	close(fd);
	return TEST_SUCCESS;
}

/* ---- what devices of VFIO find ---- */

/** The IOMMU of made-up devices. */
static struct vfio {
	bool is_physical, is_absent, refuses;
	unsigned int asked;		/* to map something */
	unsigned int unmapped;
	const void *at;
	size_t size;
	bool was_gone;			/* the memory, before it was unmapped here */
} vfio;

static bool
vfio_is_physical(void)
{
	return vfio.is_physical;
}

static bool
vfio_is_there(void)
{
	return !vfio.is_absent;
}

static int
vfio_map(const void *host, size_t size)
{
	vfio.asked++;
	vfio.at = host;
	vfio.size = size;
	return vfio.refuses ? -1 : 0;
}

static void
vfio_unmap(const void *host, size_t size)
{
	unsigned char resident[BYTES / PAGE];

	vfio.unmapped += host == vfio.at && size == vfio.size;
	vfio.was_gone = mincore((void *)(uintptr_t)host, BYTES, resident) != 0;
}

static const struct vhost_iova_ops vfio_ops = {
	.physical = vfio_is_physical, .has_vfio = vfio_is_there, .map = vfio_map, .unmap = vfio_unmap,
};

/** A mapping that such devices were told of, twice. */
static struct mem_mapping *
told_mapping(struct vfio how)
{
	int fd = memfd_create("vhost-test-file", MFD_CLOEXEC);
	struct mem_mapping *mapping = NULL;

	vfio = how;
	vhost_iova_set_ops(&vfio_ops);
	if (ftruncate(fd, BYTES) == 0 &&
			vhost_mem_mapping_create(&nobody, fd, BYTES, PAGE, &mapping) == 0) {
		vhost_mem_mapping_reach(mapping);
		vhost_mem_mapping_reach(mapping);
	}
	vhost_iova_set_ops(NULL);
	close(fd);
	return mapping;
}

/** Drop a reference of a mapping with such devices around. */
static void
put_told(struct mem_mapping *mapping)
{
	vhost_iova_set_ops(&vfio_ops);
	vhost_mem_mapping_put(mapping);
	vhost_iova_set_ops(NULL);
}

static int
devices_find_a_mapping_while_it_stays(void)
{
	struct mem_mapping *mapping = told_mapping((struct vfio){ 0 });

	TEST_ASSERT_NOT_NULL(mapping, "a mapping");
	TEST_ASSERT_EQUAL(vfio.asked, 1, "once is enough");
	TEST_ASSERT(vfio.at == vhost_mem_mapping_addr(mapping), "at our address");
	TEST_ASSERT_EQUAL(vfio.size, BYTES, "all of it");
	vhost_mem_mapping_get(mapping);
	put_told(mapping);
	TEST_ASSERT_EQUAL(vfio.unmapped, 0, "somebody still has it");
	put_told(mapping);
	TEST_ASSERT_EQUAL(vfio.unmapped, 1, "it goes from the devices as well");
	TEST_ASSERT(!vfio.was_gone, "and first");
	return TEST_SUCCESS;
}

static int
what_devices_do_not_find_is_not_taken_from_them(void)
{
	static const struct {
		const char *what;
		struct vfio vfio;
		unsigned int asked;
	} ways[] = {
		{ "physical addresses", { .is_physical = true }, 0 },
		{ "no device", { .is_absent = true }, 0 },
		{ "refused", { .refuses = true }, 2 },
	};

	for (unsigned int i = 0; i < RTE_DIM(ways); i++) {
		struct mem_mapping *mapping = told_mapping(ways[i].vfio);

		TEST_ASSERT_NOT_NULL(mapping, "%s", ways[i].what);
		TEST_ASSERT_EQUAL(vfio.asked, ways[i].asked, "%s", ways[i].what);
		put_told(mapping);
		TEST_ASSERT_EQUAL(vfio.unmapped, 0, "%s", ways[i].what);
	}
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE(types_of_file_systems_are_judged),
	TEST_CASE(virtiofs_is_found_among_mounts),
	TEST_CASE(dax_devices_are_memory),
	TEST_CASE(disk_files_are_memory),
	TEST_CASE(secret_memory_is_memory),
	TEST_CASE(files_of_another_mount_namespace_are_memory),
	TEST_CASE(fuse_is_refused_although_it_answers),
	TEST_CASE(silent_file_system_holds_up_its_owner_only),
	TEST_CASE(mapped_bytes_are_limited_and_given_back),
	TEST_CASE(devices_find_a_mapping_while_it_stays),
	TEST_CASE(what_devices_do_not_find_is_not_taken_from_them),
};

static int
test_vhost_file(void)
{
	static const struct test_suite suite = {
		.name = "vhost file",
		.setup = fake_setup, .teardown = fake_teardown, .check = fake_check,
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_file_autotest, test_vhost_file);
