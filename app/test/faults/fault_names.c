/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/* Names of callers, inlined ones included: addr2line is asked once, for all. */

#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vhost_fake_frontend.h"

#include "fault_names.h"

static int
first_object(struct dl_phdr_info *info, size_t size __rte_unused, void *arg)
{
	*(uintptr_t *)arg = info->dlpi_addr;
	return 1;
}

/** Callers as the file of this program has them, one in a line. */
static FILE *
ask(const char *path, struct fault_callers **all, unsigned int n)
{
	char command[192];
	uintptr_t base = 0;
	FILE *list = fopen(path, "we");

	if (list == NULL)
		return NULL;
	dl_iterate_phdr(first_object, &base);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < FAULT_NAMED; j++)
			/* the call is before where it returns to */
			fprintf(list, "%#zx\n", all[i]->from[j] == NULL ? 0 :
				(uintptr_t)all[i]->from[j] - base - 1);
	fclose(list);
	snprintf(command, sizeof(command), "addr2line -afie /proc/%d/exe <%s", getpid(), path);
	return popen(command, "re");
}

static void
append(struct fault_callers *callers, const char *name)
{
	if (strlen(callers->names) + strlen(name) + 2 < sizeof(callers->names))
		strcat(strcat(callers->names, name), " ");
}

int
fault_names(struct fault_callers **all, unsigned int n)
{
	char path[108], line[512];
	unsigned int addresses = 0, rows = 0;
	FILE *names;

	fake_new_path(path, sizeof(path));
	names = ask(path, all, n);
	if (names == NULL)
		return -1;
	/* of each address itself, then in turn a function and where in the source it is */
	while (fgets(line, sizeof(line), names) != NULL) {
		bool address = strncmp(line, "0x", 2) == 0;

		rows = address ? 0 : rows + 1;
		addresses += address;
		line[strcspn(line, "\n")] = '\0';
		if (rows % 2 == 1 && line[0] != '?')
			append(all[(addresses - 1) / FAULT_NAMED], line);
	}
	unlink(path);
	return pclose(names) == 0 && addresses == n * FAULT_NAMED ? 0 : -1;
}
