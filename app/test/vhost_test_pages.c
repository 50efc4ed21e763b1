/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem_node.h"
#include "test.h"
#include "vhost_test_pages.h"
#include "vu_message.h"

static int fake_error;
static int fake_policy;
static unsigned int questions, asked;

static int
fake_query(void *const *pages, unsigned int n, int *nodes)
{
	int ret = vhost_node_kernel_ops()->query(pages, n, nodes);

	questions++;
	asked += n;
	if (fake_error != 0)
		return fake_error;
	for (unsigned int i = 0; i < n && ret == 0; i++)
		if (nodes[i] >= 0)
			nodes[i] = ((const uint8_t *)pages[i])[1];
	return ret;
}

static int
fake_bound(const void *addr __rte_unused)
{
	return fake_error != 0 ? fake_error : fake_policy;
}

bool
pages_are_told(void)
{
	int on_stack = 0;

	return vhost_node_of(&on_stack) >= 0;
}

void
pages_machine(void)
{
	static struct vhost_node_ops ops;

	ops = *vhost_node_kernel_ops();
	ops.query = fake_query;
	ops.bound = fake_bound;
	fake_error = 0;
	fake_policy = -ENOENT;
	questions = 0;
	asked = 0;
	vhost_node_set_ops(&ops);
}

void
pages_deny(int err)
{
	fake_error = err;
}

void
pages_policy(int node)
{
	fake_policy = node;
}

unsigned int
pages_questions(void)
{
	unsigned int n = questions;

	questions = 0;
	return n;
}

unsigned int
pages_asked(void)
{
	unsigned int n = asked;

	asked = 0;
	return n;
}

int
guest_with_file(struct guest *g, int fd, unsigned int pages, uint64_t page)
{
	static const struct mem_owner owner = { .name = "test", .sock = -1 };
	struct vu_memory table = { .nregions = 1 };
	int sent;

	*g = (struct guest){ .fd = fd, .size = pages * page, .page = page };
	if (fd < 0 || ftruncate(fd, g->size) < 0)
		return -1;
	g->fe = mmap(NULL, g->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (g->fe == MAP_FAILED) {
		g->fe = NULL;
		return -1;
	}
	table.regions[0] = (struct vu_region){
		.gpa = 0, .uva = (uintptr_t)g->fe, .size = g->size,
	};
	sent = dup(fd);
	if (vhost_mem_map_create(&owner, &table, &sent, &g->map) == 0)
		return g->map->regions[0].page_size == page ? 0 : -1;
	close(sent);
	return -1;
}

int
guest_open(struct guest *g, unsigned int pages)
{
	return guest_with_file(g, memfd_create("vhost-test-pages", MFD_CLOEXEC), pages, PAGE);
}

void
guest_close(struct guest *g)
{
	vhost_mem_map_put(g->map);
	if (g->fe != NULL)
		munmap(g->fe, g->size);
	if (g->fd >= 0)
		close(g->fd);
}

void
put_page(struct guest *g, unsigned int page, int node)
{
	g->fe[page * g->page] = 0xff;
	g->fe[page * g->page + 1] = node;
}

void
put_pages(struct guest *g, unsigned int from, unsigned int to, int node)
{
	for (; from < to; from++)
		put_page(g, from, node);
}

long
blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_blocks : -1;
}
