/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * QEMU plug-in: the cache lines of guest memory that travel between two cores.
 *
 * dpdk-test-vhost-perf --lines runs the driver's and the library's side of a ring in
 * turns and says with instructions that do nothing whose turn it is
 * (app/test-vhost-perf/lines.h).  Each side has a cache of its own, large enough for
 * everything; a line is in either, in both to be read, or in one that has written it:
 *
 *	fetched		it was not there, whatever for
 *	upgraded	it was there, but so it was in the other one, and is written
 *
 * Either is one message to the other core and back.  Prefetches are not seen: they
 * make a line travel sooner, not less.
 *
 * The two sides have the memory at different addresses.  The file "table" in the
 * folder "dir=" says which place an address is; "results" is appended to.
 */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "plugin_api.h"

#define EXPORT __attribute__((visibility("default")))
#define LINE_BYTES 64
#define MAX_MAPS 8
#define CORES 2

struct range {
	uint64_t first;
	uint64_t end;
	uint64_t value;		/**< the place of the first, or a kind */
};

struct counts {
	uint64_t fetched;
	uint64_t upgraded;
};

int EXPORT qemu_plugin_version = PLUGIN_API_VERSION;

static qemu_plugin_id_t self;
static char folder[PATH_MAX - 16];
static bool armed, counting;
static int turn = -1;			/**< core, or -1 */
static struct range maps[MAX_MAPS], kinds[LINES_KINDS];
static unsigned int n_maps, n_kinds;
static unsigned char *held;		/**< of each line, a bit for each core that has it */
static uint64_t n_lines;
static struct counts counted[CORES][LINES_KINDS];

static FILE *
open_file(const char *name, const char *mode)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, mode);
	if (file == NULL)
		fprintf(stderr, "lines: cannot open %s\n", path);
	return file;
}

static void
read_table(void)
{
	FILE *file = open_file("table", "r");
	struct range range;
	char word[8];

	n_maps = n_kinds = 0;
	n_lines = 0;
	while (file != NULL && fscanf(file, "%7s %" SCNx64 " %" SCNx64 " %" SCNx64, word,
			&range.first, &range.end, &range.value) == 4) {
		uint64_t end = (range.value + range.end - range.first) / LINE_BYTES + 1;

		if (strcmp(word, "kind") == 0 && n_kinds < LINES_KINDS) {
			kinds[n_kinds++] = range;
		} else if (strcmp(word, "map") == 0 && n_maps < MAX_MAPS) {
			maps[n_maps++] = range;
			n_lines = end > n_lines ? end : n_lines;
		}
	}
	if (file != NULL)
		fclose(file);
	free(held);
	held = calloc(n_lines, 1);
}

static unsigned int
kind_of(uint64_t place)
{
	for (unsigned int i = 0; i < n_kinds; i++)
		if (kinds[i].first <= place && place < kinds[i].end)
			return kinds[i].value;
	return LINES_BUFFERS;
}

/** One core reaches for a line. */
static void
access_line(unsigned int core, uint64_t line, bool store, struct counts *counts)
{
	unsigned char own = 1 << core;

	if (line >= n_lines)
		return;
	if (!(held[line] & own))
		counts->fetched += counting;
	else if (store && held[line] != own)
		counts->upgraded += counting;
	held[line] = store ? own : held[line] | own;
}

static void
on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t addr, void *data)
{
	uint64_t last = (1 << qemu_plugin_mem_size_shift(info)) - 1;
	bool store = qemu_plugin_mem_is_store(info);

	(void)vcpu;
	(void)data;
	if (turn < 0)
		return;
	for (unsigned int i = 0; i < n_maps; i++)
		if (maps[i].first <= addr && addr < maps[i].end) {
			uint64_t place = addr - maps[i].first + maps[i].value;
			struct counts *counts = &counted[turn][kind_of(place)];

			access_line(turn, place / LINE_BYTES, store, counts);
			if ((place + last) / LINE_BYTES != place / LINE_BYTES)
				access_line(turn, (place + last) / LINE_BYTES, store, counts);
			return;
		}
}

/** "core CORE KIND FETCHED UPGRADED" of what was counted, and "closed". */
static void
report(void)
{
	FILE *file = open_file("results", "a");

	if (file == NULL)
		return;
	for (unsigned int core = 0; core < CORES; core++)
		for (unsigned int kind = 0; kind < LINES_KINDS; kind++)
			fprintf(file, "core %u %u %" PRIu64 " %" PRIu64 "\n", core, kind,
				counted[core][kind].fetched, counted[core][kind].upgraded);
	fprintf(file, "closed\n");
	fclose(file);
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
	(void)vcpu;
	switch ((enum lines_order)(uintptr_t)data) {
	case LINES_ARM:
		armed = true;
		qemu_plugin_reset(self, translate_again);
		break;
	case LINES_TABLE: read_table(); break;
	case LINES_NOBODY: turn = -1; break;
	case LINES_DRIVER: turn = 0; break;
	case LINES_LIBRARY: turn = 1; break;
	case LINES_OPEN:
		memset(counted, 0, sizeof(counted));
		counting = true;
		break;
	case LINES_CLOSE:
		counting = false;
		report();
		break;
	default: break;
	}
}

/** The order that an instruction is, or LINES_ORDERS. */
static enum lines_order
order_of(const struct qemu_plugin_insn *insn)
{
	static const uint8_t nopl[] = { 0x0f, 0x1f, 0x80 };
	uint8_t bytes[sizeof(nopl) + sizeof(uint32_t)];
	uint32_t number;

	if (qemu_plugin_insn_size(insn) != sizeof(bytes))
		return LINES_ORDERS;
#if PLUGIN_API_VERSION >= 3
	qemu_plugin_insn_data(insn, bytes, sizeof(bytes));
#else
	memcpy(bytes, qemu_plugin_insn_data(insn), sizeof(bytes));
#endif
	memcpy(&number, bytes + sizeof(nopl), sizeof(number));
	if (memcmp(bytes, nopl, sizeof(nopl)) != 0 || number >> 16 != LINES_MAGIC ||
	    (number & 0xffff) >= LINES_ORDERS)
		return LINES_ORDERS;
	return number & 0xffff;
}

static void
on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		enum lines_order order = order_of(insn);

		if (order != LINES_ORDERS)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_order,
				QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)order);
		if (armed)
			qemu_plugin_register_vcpu_mem_cb(insn, on_access,
				QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
	}
}

EXPORT int
qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "dir=", 4) != 0) {
		fprintf(stderr, "lines: needs dir=FOLDER\n");
		return -1;
	}
	self = id;
	snprintf(folder, sizeof(folder), "%s", argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
