/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The vhost-numa authors
 */

/*
 * The driver side of dmadev is exported by librte_dmadev, but its header is not
 * packaged: what is needed of it is declared here, as the binary has it.
 */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <rte_dmadev.h>
#include <rte_memcpy.h>

#include "vhost_fake_dma.h"

/* ---- the driver interface of ABI 23 ---- */

struct pmd_data {
	char name[64];
	int16_t dev_id;
	int16_t numa_node;
	void *dev_private;
	struct rte_dma_conf conf;
};

struct pmd_device;

struct pmd_ops {
	int (*info_get)(const struct pmd_device *dev, struct rte_dma_info *info, uint32_t size);
	int (*configure)(struct pmd_device *dev, const struct rte_dma_conf *conf, uint32_t size);
	int (*start)(struct pmd_device *dev);
	int (*stop)(struct pmd_device *dev);
	int (*close)(struct pmd_device *dev);
	int (*vchan_setup)(struct pmd_device *dev, uint16_t vchan,
			const struct rte_dma_vchan_conf *conf, uint32_t size);
	int (*stats_get)(const struct pmd_device *dev, uint16_t vchan,
			struct rte_dma_stats *stats, uint32_t size);
	int (*stats_reset)(struct pmd_device *dev, uint16_t vchan);
	int (*vchan_status)(const struct pmd_device *dev, uint16_t vchan,
			enum rte_dma_vchan_status *status);
	int (*dump)(const struct pmd_device *dev, FILE *f);
};

struct pmd_device {
	void *bus_device;
	struct pmd_data *data;
	struct rte_dma_fp_object *fp_obj;
	const struct pmd_ops *ops;
	uint32_t state;
};

#define PMD_READY 2

static_assert(offsetof(struct pmd_data, dev_private) == 0x48, "layout of ABI 23");
static_assert(offsetof(struct pmd_data, conf) == 0x50, "layout of ABI 23");
static_assert(offsetof(struct pmd_device, state) == 0x20, "layout of ABI 23");
static_assert(sizeof(enum rte_dma_vchan_status) == sizeof(int), "layout of ABI 23");

struct pmd_device *rte_dma_pmd_allocate(const char *name, int numa_node, size_t private_size);

/** As much of a bus's device as dmadev looks at. */
static struct {
	uint8_t before[0x30];
	int numa_node;
	uint8_t behind[0x100];
} bus_device;

/* ---- the device ---- */

#define MAX_VCHANS 4
#define MAX_RING 4096

struct op {
	const uint8_t *src;
	uint8_t *dst;
	uint32_t len;
	bool fails;
};

struct vchan {
	pthread_mutex_t lock;	/**< but in FAKE_DMA_INSTANT */
	uint32_t tail;		/**< asked for; the next four are numbers of copies as well */
	uint32_t submitted;
	uint32_t made;
	uint32_t head;		/**< reported */
	uint64_t count;
	unsigned int fail_every;
	unsigned int refuse;
	bool goes_on;
	struct op ops[MAX_RING];
};

struct fake_dma {
	enum fake_dma_mode mode;
	uint16_t nb_vchans;
	uint16_t ring;
	bool ring_is_hidden;
	uint64_t offset;
	struct vchan vchans[MAX_VCHANS];
};

static struct fake_dma *devices[RTE_DMADEV_DEFAULT_MAX];

static void
vchan_lock(const struct fake_dma *dma, struct vchan *v)
{
	if (dma->mode != FAKE_DMA_INSTANT)
		pthread_mutex_lock(&v->lock);
}

static void
vchan_unlock(const struct fake_dma *dma, struct vchan *v)
{
	if (dma->mode != FAKE_DMA_INSTANT)
		pthread_mutex_unlock(&v->lock);
}

static void
make(const struct op *op)
{
	if (!op->fails)
		rte_memcpy(op->dst, op->src, op->len);
}

/** Make the next n copies, the last first. */
static void
make_reversed(const struct fake_dma *dma, struct vchan *v, unsigned int n)
{
	for (unsigned int i = n; i-- > 0; )
		make(&v->ops[(v->made + i) & (dma->ring - 1)]);
	v->made += n;
}

static int
ask(struct fake_dma *dma, struct vchan *v, const struct op *op)
{
	if (v->refuse > 0) {
		v->refuse--;
		return -EINVAL;
	}
	if (v->tail - v->head == dma->ring)
		return -ENOSPC;
	v->ops[v->tail & (dma->ring - 1)] = *op;
	v->count++;
	if (v->fail_every != 0 && v->count % v->fail_every == 0)
		v->ops[v->tail & (dma->ring - 1)].fails = true;
	return v->tail++ & UINT16_MAX;
}

static int
fake_copy(void *private, uint16_t vchan, rte_iova_t src, rte_iova_t dst, uint32_t len,
		uint64_t flags __rte_unused)
{
	struct fake_dma *dma = private;
	struct vchan *v = &dma->vchans[vchan];
	const struct op op = {
		.src = (const uint8_t *)(uintptr_t)(src - dma->offset),
		.dst = (uint8_t *)(uintptr_t)(dst - dma->offset),
		.len = len,
	};
	int ret;

	vchan_lock(dma, v);
	ret = ask(dma, v, &op);
	if (ret >= 0 && dma->mode == FAKE_DMA_INSTANT) {
		make(&v->ops[(v->tail - 1) & (dma->ring - 1)]);
		v->made = v->submitted = v->tail;
	}
	vchan_unlock(dma, v);
	return ret;
}

static int
fake_submit(void *private, uint16_t vchan)
{
	struct fake_dma *dma = private;
	struct vchan *v = &dma->vchans[vchan];

	vchan_lock(dma, v);
	v->submitted = v->tail;
	if (dma->mode == FAKE_DMA_REVERSED)
		make_reversed(dma, v, v->submitted - v->made);
	vchan_unlock(dma, v);
	return 0;
}

/** Report up to n copies, with their status or up to the first that failed. */
static uint16_t
report(struct fake_dma *dma, uint16_t vchan, uint16_t n, uint16_t *last, bool *error,
		enum rte_dma_status_code *status)
{
	struct vchan *v = &dma->vchans[vchan];
	uint16_t i = 0;

	vchan_lock(dma, v);
	for (; i < n && v->head != v->made; i++, v->head++) {
		bool fails = v->ops[v->head & (dma->ring - 1)].fails;

		if (fails && status == NULL) {
			*error = true;
			break;
		}
		if (status != NULL)
			status[i] = fails ? RTE_DMA_STATUS_BUS_ERROR : RTE_DMA_STATUS_SUCCESSFUL;
	}
	*last = v->head - 1;
	if (v->goes_on)
		make_reversed(dma, v, v->submitted - v->made);
	vchan_unlock(dma, v);
	return i;
}

static uint16_t
fake_completed(void *private, uint16_t vchan, const uint16_t n, uint16_t *last, bool *error)
{
	struct fake_dma *dma = private;
	struct vchan *v = &dma->vchans[vchan];
	uint32_t left;

	if (dma->mode != FAKE_DMA_INSTANT)
		return report(private, vchan, n, last, error, NULL);
	left = RTE_MIN(v->made - v->head, (uint32_t)n);
	v->head += left;
	*last = v->head - 1;
	return left;
}

static uint16_t
fake_completed_status(void *private, uint16_t vchan, const uint16_t n, uint16_t *last,
		enum rte_dma_status_code *status)
{
	return report(private, vchan, n, last, NULL, status);
}

static uint16_t
fake_capacity(const void *private, uint16_t vchan)
{
	struct fake_dma *dma = (struct fake_dma *)(uintptr_t)private;
	struct vchan *v = &dma->vchans[vchan];
	uint16_t room;

	vchan_lock(dma, v);
	room = dma->ring - (v->tail - v->head);
	vchan_unlock(dma, v);
	return room;
}

/* ---- control ---- */

static int
info_get(const struct pmd_device *dev, struct rte_dma_info *info, uint32_t size __rte_unused)
{
	const struct fake_dma *dma = dev->data->dev_private;

	info->dev_capa = RTE_DMA_CAPA_MEM_TO_MEM | RTE_DMA_CAPA_SVA | RTE_DMA_CAPA_OPS_COPY |
		RTE_DMA_CAPA_HANDLES_ERRORS;
	info->max_vchans = dma->nb_vchans;
	info->max_desc = dma->ring_is_hidden ? 0 : dma->ring;
	info->min_desc = dma->ring;
	return 0;
}

static int
accept_conf(struct pmd_device *dev __rte_unused, const struct rte_dma_conf *conf __rte_unused,
		uint32_t size __rte_unused)
{
	return 0;
}

static int
accept(struct pmd_device *dev __rte_unused)
{
	return 0;
}

static int
accept_vchan(struct pmd_device *dev __rte_unused, uint16_t vchan __rte_unused,
		const struct rte_dma_vchan_conf *conf __rte_unused, uint32_t size __rte_unused)
{
	return 0;
}

static int
stats_get(const struct pmd_device *dev, uint16_t vchan, struct rte_dma_stats *stats,
		uint32_t size __rte_unused)
{
	struct fake_dma *dma = dev->data->dev_private;

	stats->submitted = dma->vchans[vchan].submitted;
	stats->completed = dma->vchans[vchan].head;
	return 0;
}

static const struct pmd_ops ops = {
	.info_get = info_get,
	.configure = accept_conf,
	.start = accept,
	.stop = accept,
	.close = accept,
	.vchan_setup = accept_vchan,
	.stats_get = stats_get,
};

static bool
start(int16_t dma_id, uint16_t nb_vchans, uint16_t ring)
{
	const struct rte_dma_conf conf = { .nb_vchans = nb_vchans };
	const struct rte_dma_vchan_conf vchan_conf = {
		.direction = RTE_DMA_DIR_MEM_TO_MEM, .nb_desc = ring,
	};

	if (rte_dma_configure(dma_id, &conf) != 0)
		return false;
	for (uint16_t i = 0; i < nb_vchans; i++)
		if (rte_dma_vchan_setup(dma_id, i, &vchan_conf) != 0)
			return false;
	return rte_dma_start(dma_id) == 0;
}

static void
wire_up(struct pmd_device *dev, struct fake_dma *dma)
{
	dev->bus_device = &bus_device;
	dev->ops = &ops;
	dev->fp_obj->dev_private = dma;
	dev->fp_obj->copy = fake_copy;
	dev->fp_obj->submit = fake_submit;
	dev->fp_obj->completed = fake_completed;
	dev->fp_obj->completed_status = fake_completed_status;
	dev->fp_obj->burst_capacity = fake_capacity;
	dev->state = PMD_READY;
}

int16_t
fake_dma_create(enum fake_dma_mode mode, uint16_t nb_vchans, uint16_t ring)
{
	static unsigned int made;
	struct pmd_device *dev;
	struct fake_dma *dma;
	char name[32];

	if (nb_vchans > MAX_VCHANS || ring > MAX_RING)
		return -1;
	snprintf(name, sizeof(name), "fake_dma%u", made++);
	dev = rte_dma_pmd_allocate(name, 0, sizeof(*dma));
	if (dev == NULL)
		return -1;
	dma = dev->data->dev_private;
	dma->mode = mode;
	dma->nb_vchans = nb_vchans;
	dma->ring = ring;
	for (unsigned int i = 0; i < nb_vchans; i++)
		pthread_mutex_init(&dma->vchans[i].lock, NULL);
	wire_up(dev, dma);
	devices[dev->data->dev_id] = dma;
	return start(dev->data->dev_id, nb_vchans, ring) ? dev->data->dev_id : -1;
}

void
fake_dma_destroy(int16_t dma_id)
{
	rte_dma_stop(dma_id);
	rte_dma_close(dma_id);
}

unsigned int
fake_dma_run(int16_t dma_id, uint16_t vchan, unsigned int n)
{
	struct fake_dma *dma = devices[dma_id];
	struct vchan *v = &dma->vchans[vchan];

	vchan_lock(dma, v);
	n = RTE_MIN(n, v->submitted - v->made);
	make_reversed(dma, v, n);
	vchan_unlock(dma, v);
	return n;
}

void
fake_dma_go_on(int16_t dma_id, uint16_t vchan, bool on)
{
	struct fake_dma *dma = devices[dma_id];
	struct vchan *v = &dma->vchans[vchan];

	vchan_lock(dma, v);
	v->goes_on = on;
	vchan_unlock(dma, v);
}

unsigned int
fake_dma_waiting(int16_t dma_id, uint16_t vchan)
{
	struct fake_dma *dma = devices[dma_id];
	struct vchan *v = &dma->vchans[vchan];
	unsigned int n;

	vchan_lock(dma, v);
	n = v->submitted - v->made;
	vchan_unlock(dma, v);
	return n;
}

uint64_t
fake_dma_count(int16_t dma_id, uint16_t vchan)
{
	struct fake_dma *dma = devices[dma_id];
	struct vchan *v = &dma->vchans[vchan];
	uint64_t count;

	vchan_lock(dma, v);
	count = v->count;
	vchan_unlock(dma, v);
	return count;
}

void
fake_dma_fail_every(int16_t dma_id, uint16_t vchan, unsigned int n)
{
	struct fake_dma *dma = devices[dma_id];
	struct vchan *v = &dma->vchans[vchan];

	vchan_lock(dma, v);
	v->fail_every = n;
	vchan_unlock(dma, v);
}

void
fake_dma_refuse(int16_t dma_id, uint16_t vchan, unsigned int n)
{
	struct fake_dma *dma = devices[dma_id];
	struct vchan *v = &dma->vchans[vchan];

	vchan_lock(dma, v);
	v->refuse = n;
	vchan_unlock(dma, v);
}

void
fake_dma_set_offset(int16_t dma_id, uint64_t offset)
{
	devices[dma_id]->offset = offset;
}

void
fake_dma_hide_ring(int16_t dma_id, bool hidden)
{
	devices[dma_id]->ring_is_hidden = hidden;
}
