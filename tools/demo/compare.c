// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "compare.h"
#include "faults.h"

#define RANGE (1ULL << 30) /* of addresses that a memfd's peers reserve */

/* Memory that grows, and the peers that have it mapped. */
struct memory {
	struct peershm *shm; /* the region, or NULL: */
	int fd;		     /* the memfd */
	struct child peers[COMPARE_PEERS];
	uint64_t bases[COMPARE_PEERS];
};

static bool resize(const struct memory *memory, uint64_t old_size, uint64_t size)
{
	int err;

	if (!memory->shm)
		err = ftruncate(memory->fd, (off_t)size) < 0 ? -errno : 0;
	else if (size > old_size)
		err = peershm_grow(memory->shm, size, NULL);
	else
		err = peershm_shrink_force(memory->shm, size);
	if (err)
		fprintf(stderr, "peershm-demo: resizing: %s\n", peershm_strerror(err));
	return !err;
}

static bool write_all(struct memory *memory, struct compare *round, uint64_t offset,
		      uint64_t length)
{
	struct message order = { .kind = MESSAGE_WRITE, .touch.length = length };
	struct message answer;

	for (int i = 0; i < COMPARE_PEERS; i++) {
		order.touch.address = memory->bases[i] + offset;
		if (!child_tell(&memory->peers[i], &order))
			return false;
	}
	for (int i = 0; i < COMPARE_PEERS; i++) {
		if (!child_hear(&memory->peers[i], MESSAGE_WRITTEN, &answer))
			return false;
		round->faults += answer.touch.faults;
		round->touch_ns += answer.touch.ns / COMPARE_PEERS;
	}
	return true;
}

static bool run_round(struct memory *memory, struct compare *round, uint64_t total, uint64_t step)
{
	for (uint64_t size = 0; size < total; size += step) {
		uint64_t start = message_now();

		if (!resize(memory, size, size + step))
			return false;
		round->grow_ns += message_now() - start;
		if (!write_all(memory, round, size, step))
			return false;
		round->total_ns += message_now() - start;
	}
	return resize(memory, total, 0);
}

static int by_total(const void *a, const void *b)
{
	uint64_t x = ((const struct compare *)a)->total_ns;
	uint64_t y = ((const struct compare *)b)->total_ns;

	return (x > y) - (x < y);
}

static bool run(struct memory *memory, const char *region, struct compare *result, uint64_t total,
		uint64_t step)
{
	static const char *const names[COMPARE_PEERS] = { "peer-1", "peer-2", "peer-3" };
	struct compare rounds[COMPARE_ROUNDS] = { 0 };
	const char *title = result->title;
	uint64_t faults = 0;
	struct message ready;
	bool held = true;

	for (int i = 0; held && i < COMPARE_PEERS; i++) {
		held = child_start(&memory->peers[i], "peer", region, names[i], memory->fd, &ready);
		memory->bases[i] = ready.ready.base;
	}
	for (int i = 0; held && i < COMPARE_ROUNDS; i++) {
		held = run_round(memory, &rounds[i], total, step);
		if (rounds[i].faults > faults)
			faults = rounds[i].faults;
	}
	for (int i = 0; held && i < COMPARE_PEERS; i++)
		held = child_kill(&memory->peers[i]);
	qsort(rounds, COMPARE_ROUNDS, sizeof(rounds[0]), by_total);
	*result = rounds[COMPARE_ROUNDS / 2];
	result->title = title;
	result->faults = faults;
	return held;
}

bool compare_memfd(struct compare *result, uint64_t total, uint64_t step)
{
	struct memory memory = { .fd = memfd_create("compare", MFD_CLOEXEC) };
	bool held;

	result->title = "memfd + ftruncate";
	if (memory.fd < 0) {
		perror("peershm-demo: memfd_create");
		return false;
	}
	held = run(&memory, "", result, total, step);
	close(memory.fd);
	return held;
}

bool compare_peershm(struct compare *result, enum peershm_backing backing, uint64_t total,
		     uint64_t step)
{
	struct peershm_options options = { .capacity = RANGE, .backing = backing };
	struct memory memory = { .fd = -1 };
	bool held;
	int err;

	result->title = peershm_backing_name(backing);
	err = peershm_open(&memory.shm, COMPARE_REGION, NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE,
			   &options);
	if (err) {
		fprintf(stderr, "peershm-demo: %s\n", peershm_strerror(err));
		return false;
	}
	held = run(&memory, COMPARE_REGION, result, total, step);
	peershm_close(memory.shm);
	err = peershm_unlink(COMPARE_REGION);
	return held && !err;
}

static void *map_memfd(void)
{
	void *map = mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_SHARED, MESSAGE_FILE, 0);

	if (map == MAP_FAILED)
		message_fail("mapping the memfd: %s", strerror(errno));
	return map;
}

int compare_main(const char *region, const char *client)
{
	struct message message = { .kind = MESSAGE_READY };
	struct peershm *shm = NULL;
	int err = faults_settle();

	if (err)
		message_fail("locking code and stack in memory: %s", strerror(-err));
	err = *region ? peershm_open(&shm, region, client, 0, NULL) : 0;
	if (err)
		message_fail("%s", peershm_strerror(err));
	message.ready.base = (uintptr_t)(shm ? peershm_base(shm) : map_memfd());
	message_say(&message);
	for (;;) {
		message_order(&message); /* exits if the story has */
		faults_write(&message);
		message_say(&message);
	}
}
