/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#ifndef PERF_LINES_H
#define PERF_LINES_H

/*
 * Orders to the plug-in that counts cache lines (devtools/perf-compare.d/lines.c),
 * given with an instruction that does nothing else: nopl LINES_MAGIC << 16 | order(%rax).
 */

#define LINES_MAGIC 0x4c4e

enum lines_order {
	LINES_ARM,	/**< begin to instrument; once only */
	LINES_TABLE,	/**< read what lies where; no core has any line */
	LINES_NOBODY,	/**< what follows is not part of what is counted */
	LINES_DRIVER,	/**< what follows is on the driver's core */
	LINES_LIBRARY,	/**< or on the library's */
	LINES_OPEN,	/**< begin to count */
	LINES_CLOSE,	/**< end, and report */
	LINES_ORDERS
};

/** What guest memory is there for; the table says it by number. */
enum lines_kind {
	LINES_DESC,		/**< descriptors */
	LINES_DRIVER_AREA,	/**< available ring, or driver's event suppression */
	LINES_DEVICE_AREA,	/**< used ring, or device's event suppression */
	LINES_BUFFERS,		/**< all the rest */
	LINES_KINDS
};

#ifdef __x86_64__
/** Give an order; no access of the program moves across it. */
#define LINES_GIVE(order) \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80\n\t.long %c0" \
		: : "i"(LINES_MAGIC << 16 | (order)) : "memory")
#else
#define LINES_GIVE(order) (void)(order)
#endif

#endif /* PERF_LINES_H */
