/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * QEMU plug-in: the memory accesses of one core, by node and by what they touch.
 *
 * The emulated machine gives orders to it with an instruction that does nothing
 * (orders.h).  It is recognised when QEMU translates code, costs nothing
 * elsewhere, and takes effect exactly where it stands between two accesses of
 * the core that executes it.
 *
 * Files in the folder "dir=" carry the rest: the machine writes "table" (what
 * lies where), we append to "results".  QEMU tells places in memory by an
 * address of its own (its block of memory, and the offset in it), here called a
 * place; order PROBE reports the place of an address, so that the machine can
 * find out how places and its physical addresses correspond.
 *
 * Watched are loads and stores of programs.  The kernel's, and what the machine
 * does before order ARM, are not even instrumented.  Stores of other cores drop
 * lines from the watched core's cache.
 */

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "orders.h"
#include "plugin_api.h"

#define EXPORT __attribute__((visibility("default")))

#define MAX_NODES 17		/* the last one: nobody knows */
#define MAX_KINDS 32
#define MAX_VCPUS 256
#define MAX_SITES 4096		/* a power of two */
#define KERNEL_HALF (UINT64_C(1) << 63)

/** A part of the machine's memory, in places. */
struct range {
	uint64_t first;
	uint64_t end;
	unsigned int what;	/**< a node, or a kind of content; kind 0 is the rest */
};

/** Sorted by place, without overlap. */
struct ranges {
	struct range *at;
	size_t n;
};

struct table {
	unsigned int home;	/**< the watched core's node */
	struct ranges nodes;
	struct ranges kinds;
};

struct counts {
	uint64_t loads;
	uint64_t stores;
	uint64_t lines;		/**< fetched, according to the cache model */
};

/** An instruction that reached for another node, and for what. */
struct site {
	uint64_t pc;
	unsigned int kind;
	struct counts counts;
};

int EXPORT qemu_plugin_version = PLUGIN_API_VERSION;

static qemu_plugin_id_t self;
static char folder[PATH_MAX - 16];
static struct table *table;		/**< swapped as a whole; the old one stays */
static int watched = -1;		/**< vCPU */
static bool armed, open_window;
static bool probing[MAX_VCPUS];		/**< the next access is to be reported */
static struct cache cache;
static struct counts counted[MAX_KINDS][MAX_NODES];
static struct site sites[MAX_SITES];
static uint64_t sites_lost, unknown;	/**< accesses without a site, a place */
static pthread_mutex_t files = PTHREAD_MUTEX_INITIALIZER;

static FILE *
open_file(const char *name, const char *mode)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, mode);
	if (file == NULL)
		fprintf(stderr, "traffic: cannot open %s\n", path);
	return file;
}

/** What a place is, or "missing" if the table does not tell. */
static unsigned int
look_up(const struct ranges *ranges, uint64_t place, unsigned int missing)
{
	size_t low = 0, high = ranges->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ranges->at[middle].end <= place)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < ranges->n && ranges->at[low].first <= place)
		return ranges->at[low].what;
	return missing;
}

static void
add_range(struct ranges *ranges, struct range range)
{
	ranges->at = realloc(ranges->at, (ranges->n + 1) * sizeof(range));
	ranges->at[ranges->n++] = range;
}

/**
 * The table's lines: "node FIRST END N" and "kind FIRST END K", sorted, and
 * "home 0 0 N", the node of the watched core.
 */
static struct table *
read_table(void)
{
	struct table *read = calloc(1, sizeof(*read));
	FILE *file = open_file("table", "r");
	struct range range;
	char word[8];

	if (file == NULL)
		return read;
	while (fscanf(file, "%7s %" SCNx64 " %" SCNx64 " %u", word, &range.first,
			&range.end, &range.what) == 4) {
		if (strcmp(word, "home") == 0)
			read->home = range.what;
		else if (strcmp(word, "node") == 0 && range.what < MAX_NODES)
			add_range(&read->nodes, range);
		else if (strcmp(word, "kind") == 0 && range.what < MAX_KINDS)
			add_range(&read->kinds, range);
	}
	fclose(file);
	return read;
}

/** Where in the machine's memory an access went; false if it is no memory. */
static bool
find_place(qemu_plugin_meminfo_t info, uint64_t vaddr, uint64_t *place)
{
	struct qemu_plugin_hwaddr *addr = qemu_plugin_get_hwaddr(info, vaddr);

	if (addr == NULL || qemu_plugin_hwaddr_is_io(addr))
		return false;
	*place = qemu_plugin_hwaddr_phys_addr(addr);
	return true;
}

/** The entry of an instruction and kind, made if missing; NULL if full. */
static struct site *
find_site(uint64_t pc, unsigned int kind)
{
	uint64_t hash = (pc * MAX_KINDS + kind) * UINT64_C(0x9e3779b97f4a7c15);
	unsigned int i, tries;

	i = hash >> 32;
	for (tries = 0; tries < 32; tries++, i++) {
		struct site *site = &sites[i % MAX_SITES];

		if (site->pc == 0) {
			site->pc = pc;
			site->kind = kind;
		}
		if (site->pc == pc && site->kind == kind)
			return site;
	}
	return NULL;
}

static void
count(struct counts *counts, bool store, unsigned int lines)
{
	counts->loads += !store;
	counts->stores += store;
	counts->lines += lines;
}

/** One access of the watched core. */
static void
watch_access(uint64_t place, unsigned int size, bool store, uint64_t pc)
{
	uint64_t line = place >> CACHE_LINE_BITS;
	uint64_t last = (place + size - 1) >> CACHE_LINE_BITS;
	const struct table *t = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
	unsigned int fetched, kind, node;

	fetched = !cache_access(&cache, line);
	if (last != line)
		fetched += !cache_access(&cache, last);
	if (!__atomic_load_n(&open_window, __ATOMIC_RELAXED) || t == NULL)
		return;
	node = look_up(&t->nodes, place, MAX_NODES - 1);
	kind = look_up(&t->kinds, place, 0);
	count(&counted[kind][node], store, fetched);
	if (node != t->home) {
		struct site *site = find_site(pc, kind);

		if (site != NULL)
			count(&site->counts, store, fetched);
		else
			sites_lost++;
	}
}

static void
report_probe(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr)
{
	uint64_t place = 0;
	bool found = find_place(info, vaddr, &place);
	FILE *file;

	probing[vcpu] = false;
	pthread_mutex_lock(&files);
	file = open_file("results", "a");
	if (file != NULL) {
		fprintf(file, "probe %" PRIx64 " %" PRIx64 " %u %d\n", vaddr, place,
			vcpu, found);
		fclose(file);
	}
	pthread_mutex_unlock(&files);
}

static void
on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *pc)
{
	bool store = qemu_plugin_mem_is_store(info);
	bool watching = (int)vcpu == __atomic_load_n(&watched, __ATOMIC_RELAXED);
	uint64_t place;

	if (probing[vcpu % MAX_VCPUS])
		report_probe(vcpu, info, vaddr);
	if (!watching && !store)
		return;
	if (!find_place(info, vaddr, &place))
		unknown += watching;
	else if (watching)
		watch_access(place, 1 << qemu_plugin_mem_size_shift(info), store,
			(uintptr_t)pc);
	else
		cache_drop(&cache, place >> CACHE_LINE_BITS);
}

static void
report(void)
{
	unsigned int kind, node, i;
	FILE *file;

	pthread_mutex_lock(&files);
	file = open_file("results", "a");
	if (file == NULL)
		goto out;
	for (kind = 0; kind < MAX_KINDS; kind++)
		for (node = 0; node < MAX_NODES; node++) {
			const struct counts *c = &counted[kind][node];

			if (c->loads + c->stores != 0)
				fprintf(file, "count %u %u %" PRIu64 " %" PRIu64
					" %" PRIu64 "\n", kind, node, c->loads,
					c->stores, c->lines);
		}
	for (i = 0; i < MAX_SITES; i++) {
		const struct site *s = &sites[i];

		if (s->pc != 0)
			fprintf(file, "site %" PRIx64 " %u %" PRIu64 " %" PRIu64
				" %" PRIu64 "\n", s->pc, s->kind, s->counts.loads,
				s->counts.stores, s->counts.lines);
	}
	fprintf(file, "closed %d %" PRIu64 " %" PRIu64 "\n", watched, unknown,
		sites_lost);
	fclose(file);
out:
	pthread_mutex_unlock(&files);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);

static void
translate_again(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
}

static void
on_order(unsigned int vcpu, void *data)
{
	switch ((enum order)(uintptr_t)data) {
	case ORDER_ARM:
		/*
		 * QEMU forgets what it has translated so far.  It may do so only
		 * while nothing is instrumented: QEMU 7.2 keeps, and uses, a
		 * pointer to the list of callbacks of code that is gone.
		 */
		if (!__atomic_exchange_n(&armed, true, __ATOMIC_ACQ_REL))
			qemu_plugin_reset(self, translate_again);
		break;
	case ORDER_TABLE:
		__atomic_store_n(&table, read_table(), __ATOMIC_RELEASE);
		break;
	case ORDER_WATCH:
		__atomic_store_n(&watched, (int)vcpu, __ATOMIC_RELAXED);
		break;
	case ORDER_OPEN:
		memset(counted, 0, sizeof(counted));
		memset(sites, 0, sizeof(sites));
		sites_lost = unknown = 0;
		__atomic_store_n(&open_window, true, __ATOMIC_SEQ_CST);
		break;
	case ORDER_CLOSE:
		__atomic_store_n(&open_window, false, __ATOMIC_SEQ_CST);
		report();
		break;
	case ORDER_PROBE:
		probing[vcpu % MAX_VCPUS] = true;
		break;
	default:
		break;
	}
}

/** Copy the bytes of an instruction that has size of them. */
static void
copy_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes, size_t size)
{
#if PLUGIN_API_VERSION >= 3
	qemu_plugin_insn_data(insn, bytes, size);
#else
	memcpy(bytes, qemu_plugin_insn_data(insn), size);
#endif
}

/** The order that an instruction is, or ORDER_COUNT. */
static enum order
order_of(const struct qemu_plugin_insn *insn)
{
	static const uint8_t nopl[] = { 0x0f, 0x1f, 0x80 };
	uint8_t bytes[sizeof(nopl) + sizeof(uint32_t)];
	uint32_t offset;

	if (qemu_plugin_insn_size(insn) != sizeof(bytes))
		return ORDER_COUNT;
	copy_bytes(insn, bytes, sizeof(bytes));
	if (memcmp(bytes, nopl, sizeof(nopl)) != 0)
		return ORDER_COUNT;
	memcpy(&offset, bytes + sizeof(nopl), sizeof(offset));
	if (offset >> 16 != ORDER_MAGIC || (offset & 0xffff) >= ORDER_COUNT)
		return ORDER_COUNT;
	return offset & 0xffff;
}

static void
on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (qemu_plugin_tb_vaddr(tb) >= KERNEL_HALF)
		return;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		enum order order = order_of(insn);
		uintptr_t pc = qemu_plugin_insn_vaddr(insn);

		if (order != ORDER_COUNT)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_order,
				QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)order);
		if (__atomic_load_n(&armed, __ATOMIC_ACQUIRE))
			qemu_plugin_register_vcpu_mem_cb(insn, on_access,
				QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, (void *)pc);
	}
}

EXPORT int
qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (!info->system_emulation || argc != 1 || strncmp(argv[0], "dir=", 4) != 0) {
		fprintf(stderr, "traffic: needs dir=FOLDER, in an emulated machine\n");
		return -1;
	}
	self = id;
	snprintf(folder, sizeof(folder), "%s", argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
