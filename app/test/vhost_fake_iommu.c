/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include <rte_common.h>

#include "vhost_fake_iommu.h"

/** Number of the library's request on the back channel. */
#define BACKEND_IOTLB_MSG 1

struct question {
	uint32_t request, flags, size;
	struct fake_iotlb iotlb;
} __attribute__((__packed__));

int
fake_iommu_init(struct fake_iommu *iommu, struct fake *fe)
{
	memset(iommu, 0, sizeof(*iommu));
	iommu->fe = fe;
	iommu->sock = -1;
	if (fe == NULL)
		return -1;
	pthread_mutex_init(&iommu->lock, NULL);
	return fake_iommu_connect(iommu, 0);
}

int
fake_iommu_connect(struct fake_iommu *iommu, int room)
{
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	fake_iommu_hang_up(iommu);
	iommu->sock = pair[0];
	ret = room > 0 ? setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) : 0;
	if (ret == 0 && fake_call(iommu->fe, FE_SET_SLAVE_REQ_FD, NULL, 0, &pair[1], 1) != FAKE_ACK)
		ret = -1;
	close(pair[1]);
	return ret;
}

void
fake_iommu_hang_up(struct fake_iommu *iommu)
{
	if (iommu->sock >= 0)
		close(iommu->sock);
	iommu->sock = -1;
}

void
fake_iommu_fini(struct fake_iommu *iommu)
{
	if (iommu->fe == NULL)
		return;
	if (iommu->runs) {
		__atomic_store_n(&iommu->stop, true, __ATOMIC_RELAXED);
		pthread_join(iommu->thread, NULL);
		iommu->runs = false;
	}
	fake_iommu_hang_up(iommu);
	iommu->fe = NULL;
	pthread_mutex_destroy(&iommu->lock);
}

int
fake_iommu_stop(struct fake_iommu *iommu)
{
	struct fake *fe = iommu->fe;

	fake_iommu_fini(iommu);
	if (iommu->wrong > 0)
		printf("fake: %u strange questions\n", iommu->wrong);
	return fake_stop(fe) == 0 && iommu->wrong == 0 ? 0 : -1;
}

enum fake_verdict
fake_iommu_tell(struct fake_iommu *iommu, const struct fake_iotlb *msg)
{
	enum fake_verdict verdict;

	pthread_mutex_lock(&iommu->lock);
	verdict = fake_call(iommu->fe, FE_IOTLB_MSG, msg, sizeof(*msg), NULL, 0);
	pthread_mutex_unlock(&iommu->lock);
	return verdict;
}

enum fake_verdict
fake_iommu_map(struct fake_iommu *iommu, uint64_t iova, uint64_t size, uint64_t gpa,
		enum fake_access access)
{
	const struct fake_iotlb msg = {
		.iova = iova, .size = size, .access = access, .type = FAKE_IOTLB_UPDATE,
		.uva = (uintptr_t)fake_va(iommu->fe, gpa, 1),
	};

	return fake_iommu_tell(iommu, &msg);
}

enum fake_verdict
fake_iommu_unmap(struct fake_iommu *iommu, uint64_t iova, uint64_t size)
{
	const struct fake_iotlb msg = {
		.iova = iova, .size = size, .type = FAKE_IOTLB_INVALIDATE,
	};

	return fake_iommu_tell(iommu, &msg);
}

static bool
ask_within(struct fake_iommu *iommu, struct fake_iotlb *miss, int ms)
{
	struct pollfd pfd = { .fd = iommu->sock, .events = POLLIN };
	struct question question;

	if (poll(&pfd, 1, ms) != 1 || recv(iommu->sock, &question, sizeof(question),
			MSG_WAITALL) != sizeof(question))
		return false;
	if (question.request != BACKEND_IOTLB_MSG || question.flags != FE_VERSION ||
			question.size != sizeof(question.iotlb) ||
			question.iotlb.type != FAKE_IOTLB_MISS ||
			question.iotlb.iova % FAKE_IOMMU_PAGE != 0 ||
			question.iotlb.access < FAKE_READ || question.iotlb.access > FAKE_BOTH)
		__atomic_fetch_add(&iommu->wrong, 1, __ATOMIC_RELAXED);
	*miss = question.iotlb;
	return true;
}

bool
fake_iommu_ask(struct fake_iommu *iommu, struct fake_iotlb *miss)
{
	return ask_within(iommu, miss, fake_patience_ms());
}

bool
fake_iommu_ask_now(struct fake_iommu *iommu, struct fake_iotlb *miss)
{
	return ask_within(iommu, miss, 0);
}

/** Answer with the page, as far as it is memory of the guest. */
static void
answer(struct fake_iommu *iommu, const struct fake_iotlb *miss)
{
	uint64_t gpa = miss->iova - iommu->fe->iova;

	__atomic_fetch_add(&iommu->misses, 1, __ATOMIC_RELAXED);
	if (fake_va(iommu->fe, gpa, FAKE_IOMMU_PAGE) != NULL)
		fake_iommu_map(iommu, miss->iova, FAKE_IOMMU_PAGE, gpa, miss->access);
}

unsigned int
fake_iommu_answer(struct fake_iommu *iommu)
{
	struct fake_iotlb miss;
	unsigned int n = 0;

	for (; fake_iommu_ask_now(iommu, &miss); n++)
		answer(iommu, &miss);
	return n;
}

int
fake_iommu_run(struct fake_iommu *iommu)
{
	struct fake *fe = iommu->fe;
	unsigned int before = fake_events(fe, FAKE_NEW_DEVICE);
	uint64_t until = fake_now_ms() + fake_patience_ms();

	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_setup_vring(fe, i) < 0)
			return -1;
	for (unsigned int i = 0; i < fe->nvrings; i++)
		if (fake_enable_vring(fe, i, true) < 0)
			return -1;
	while (fake_events(fe, FAKE_NEW_DEVICE) == before && fake_now_ms() < until)
		fake_iommu_answer(iommu);
	return fake_events(fe, FAKE_NEW_DEVICE) == before ? -1 : 0;
}

struct fake *
fake_iommu_start_config(struct fake_iommu *iommu, struct fake_config cfg)
{
	struct fake *fe;

	cfg.iommu = true;
	cfg.until = FAKE_MEMORY;
	fe = fake_start_config(&cfg);
	if (fake_iommu_init(iommu, fe) < 0 || fake_iommu_run(iommu) < 0)
		return NULL;
	return fe;
}

static void *
serve(void *arg)
{
	struct fake_iommu *iommu = arg;
	struct fake_iotlb miss;

	while (!__atomic_load_n(&iommu->stop, __ATOMIC_RELAXED))
		if (ask_within(iommu, &miss, 10))
			answer(iommu, &miss);
	return NULL;
}

int
fake_iommu_serve(struct fake_iommu *iommu)
{
	iommu->runs = pthread_create(&iommu->thread, NULL, serve, iommu) == 0;
	return iommu->runs ? 0 : -1;
}

int
fake_iommu_map_all(struct fake_iommu *iommu)
{
	const struct fake *fe = iommu->fe;

	for (unsigned int i = 0; i < fe->nregions; i++)
		if (fake_iommu_map(iommu, fe->regions[i].wire.gpa + fe->iova,
				fe->regions[i].wire.size, fe->regions[i].wire.gpa, FAKE_BOTH) !=
				FAKE_ACK)
			return -1;
	return 0;
}
