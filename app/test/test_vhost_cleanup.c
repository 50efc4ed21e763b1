/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * After rte_eal_cleanup() the memory of EAL is unmapped, but the library's event
 * thread goes on: frontends may say something, and leave.
 *
 * The story happens in a child process that starts the library itself, because EAL
 * cannot be had again.
 */

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>

#include "device.h"
#include "mem_heap.h"
#include "mem_node.h"
#include "test.h"
#include "vhost_fake_frontend.h"
#include "vhost_test_topology.h"

#define CHILD_SECONDS 60

static int
run_device(struct fake *fe)
{
	TEST_ASSERT_SUCCESS(fake_connect(fe), "a frontend");
	TEST_ASSERT_SUCCESS(fake_negotiate(fe), "features");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "memory");
	return fake_run(fe);
}

static int
frontends_go_on_without_eal(void)
{
	struct fake *fe = fake_start(.queues = 2), *late = fake_start(.queues = 2);
	struct vhost_heap_usage usage;

	TEST_ASSERT(fe != NULL && late != NULL, "devices");
	TEST_ASSERT_EQUAL(fake_round_trip(fe, 1, 64), 64, "packets");
	TEST_ASSERT_SUCCESS(rte_eal_cleanup(), "the end of EAL");
	TEST_ASSERT_EQUAL(fake_call_u64(fe, FE_NET_SET_MTU, 1500), FAKE_ACK, "a message");
	TEST_ASSERT_SUCCESS(fake_send_mem_table(fe), "everything is built again");
	TEST_ASSERT_SUCCESS(topology_refresh(vhost_device_peek(fe->vid)), "a look");
	fake_disconnect(fe);
	for (unsigned int i = 0; i < fe->nvrings; i++)
		fake_vq_reset(&fe->vqs[i]);
	TEST_ASSERT_SUCCESS(run_device(fe), "it comes again");
	TEST_ASSERT_SUCCESS(fake_unregister(fe), "a socket goes");
	fake_disconnect(late);
	TEST_ASSERT_SUCCESS(fake_unregister(late), "another one");
	vhost_heap_usage(vhost_node_home(), &usage);
	TEST_ASSERT_EQUAL(usage.blocks, 0, "nothing is left");
	return TEST_SUCCESS;
}

/** In the child: its exit status. */
static int
child(void)
{
	int result;

	alarm(CHILD_SECONDS);
	if (fake_setup() != TEST_SUCCESS)
		return EXIT_FAILURE;
	result = frontends_go_on_without_eal();
	fflush(stdout);
	return result == TEST_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
messages_and_ends_after_cleanup(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		test_child_end(child());
	TEST_ASSERT(pid > 0, "a child");
	TEST_ASSERT_EQUAL(waitpid(pid, &status, 0), pid, "its end");
	TEST_ASSERT(!WIFSIGNALED(status), "it died of signal %d", WTERMSIG(status));
	TEST_ASSERT_EQUAL(WEXITSTATUS(status), EXIT_SUCCESS, "its result");
	return TEST_SUCCESS;
}

static const struct test_case cases[] = {
	TEST_CASE(messages_and_ends_after_cleanup),
};

static int
test_vhost_cleanup(void)
{
	static const struct test_suite suite = {
		.name = "vhost cleanup",
		TEST_SUITE_CASES(cases),
	};

	return test_suite_run(&suite);
}

REGISTER_TEST_COMMAND(vhost_cleanup_autotest, test_vhost_cleanup);
