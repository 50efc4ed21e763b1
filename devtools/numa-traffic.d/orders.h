/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * Orders to the plug-in, given by a program in the emulated machine with an
 * instruction that does nothing else: nopl ORDER_MAGIC << 16 | ORDER(%rax).
 */

#ifndef _ORDERS_H_
#define _ORDERS_H_

#define ORDER_MAGIC 0x4e54

/* Numbers that orders.py repeats. */
enum order {
	ORDER_ARM,	/**< begin to instrument; once only, see traffic.c */
	ORDER_TABLE,	/**< read the table */
	ORDER_WATCH,	/**< the core that executes it is the one to watch */
	ORDER_OPEN,	/**< begin to count */
	ORDER_CLOSE,	/**< end, and report */
	ORDER_PROBE,	/**< report the place of this core's next access */
	ORDER_COUNT
};

/** Give an order; no access of the program moves across it. */
#define GIVE_ORDER(order) \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80\n\t.long %c0" \
		: : "i"(ORDER_MAGIC << 16 | (order)) : "memory")

#endif /* _ORDERS_H_ */
