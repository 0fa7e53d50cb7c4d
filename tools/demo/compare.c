// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same growth with a memfd and with regions: three processes have the memory mapped, it grows
 * step by step, and after each step all three write to every new page. How long does that take?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "demo.h"

#define REGION "peershm-demo-compare"
#define RANGE (1ULL << 30) /* of addresses that a memfd's peers reserve */
#define PEERS 3
#define ROUNDS 5 /* the median of so many is shown */
#define MEMFD -1 /* instead of a backing */

/* Memory that grows, and the peers that have it mapped. */
struct memory {
	struct peershm *shm; /* the region, or NULL: */
	int fd;		     /* the memfd */
	struct child *peers[PEERS];
	uint64_t bases[PEERS];
};

enum figure {
	GROW_NS,
	TOUCH_NS,
	TOTAL_NS,
	FIGURES
};

static const char *const figures[FIGURES] = {
	[GROW_NS] = "in the calls that grow",
	[TOUCH_NS] = "in a peer, writing to its new pages", /* on average */
	[TOTAL_NS] = "until every peer has written to all",
};

struct round {
	uint64_t faults; /* of all peers together */
	uint64_t ns[FIGURES];
};

static bool resize(const struct memory *memory, uint64_t size)
{
	int err;

	if (!memory->shm)
		err = ftruncate(memory->fd, (off_t)size) < 0 ? -errno : 0;
	else if (size)
		err = peershm_grow(memory->shm, size, NULL);
	else
		err = peershm_shrink_force(memory->shm, size);
	return !err || complain("resizing", "%s", peershm_strerror(err));
}

static bool write_all(struct memory *memory, struct round *round, uint64_t offset)
{
	struct message message = { .kind = MESSAGE_WRITE, .touch.length = STEP };

	for (int i = 0; i < PEERS; i++) {
		message.touch.address = memory->bases[i] + offset;
		if (!child_tell(memory->peers[i], &message))
			return false;
	}
	for (int i = 0; i < PEERS; i++) {
		if (!child_hear(memory->peers[i], &message))
			return false;
		round->faults += message.touch.faults;
		round->ns[TOUCH_NS] += message.touch.ns / PEERS;
	}
	return true;
}

static bool run_round(struct memory *memory, struct round *round, uint64_t total)
{
	for (uint64_t size = 0; size < total; size += STEP) {
		uint64_t start = now_ns();

		if (!resize(memory, size + STEP))
			return false;
		round->ns[GROW_NS] += now_ns() - start;
		if (!write_all(memory, round, size))
			return false;
		round->ns[TOTAL_NS] += now_ns() - start;
	}
	return resize(memory, 0);
}

static int by_total(const void *a, const void *b)
{
	uint64_t x = ((const struct round *)a)->ns[TOTAL_NS];
	uint64_t y = ((const struct round *)b)->ns[TOTAL_NS];

	return (x > y) - (x < y);
}

/* The result is the median round, but with the page faults of the round that had most. */
static bool run(struct memory *memory, struct round *result, uint64_t total)
{
	static const char *const names[PEERS] = { "peer-1", "peer-2", "peer-3" };
	struct round rounds[ROUNDS] = { 0 };
	uint64_t faults = 0;
	struct message ready;

	for (int i = 0; i < PEERS; i++) {
		memory->peers[i] = child_start("demo-compare", memory->shm ? REGION : "", names[i],
					       memory->fd, &ready);
		if (!memory->peers[i])
			return false;
		memory->bases[i] = ready.ready.base;
	}
	for (int i = 0; i < ROUNDS; i++) {
		if (!run_round(memory, &rounds[i], total))
			return false;
		if (rounds[i].faults > faults)
			faults = rounds[i].faults;
	}
	for (int i = 0; i < PEERS; i++) {
		if (!child_kill(memory->peers[i]))
			return false;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_total);
	*result = rounds[ROUNDS / 2];
	result->faults = faults;
	return true;
}

static bool measure(int backing, struct round *result, uint64_t total)
{
	struct peershm_options options = { .capacity = RANGE, .backing = backing };
	struct memory memory = { .fd = -1 };
	int err = 0;
	bool held;

	if (backing == MEMFD)
		memory.fd = memfd_create("compare", MFD_CLOEXEC);
	else
		err = peershm_open(&memory.shm, REGION, NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE,
				   &options);
	if (err)
		return complain(REGION, "%s", peershm_strerror(err));
	held = run(&memory, result, total);
	close(memory.fd);
	peershm_close(memory.shm);
	if (memory.shm)
		err = peershm_unlink(REGION);
	return held && !err;
}

bool compare_tell(enum peershm_backing backing, uint64_t total)
{
	const int backings[] = { MEMFD, PEERSHM_SMALL, (int)backing };
	const char *const titles[] = {
		"memfd + ftruncate",
		"peershm small",
		backing == PEERSHM_THP ? "peershm thp" : "peershm hugetlb",
	};
	int columns = backing == PEERSHM_SMALL ? 2 : 3;
	struct round rounds[3];

	text_heading("6. The same growth, beside memfd + ftruncate");
	for (int i = 0; i < columns; i++) {
		if (!measure(backings[i], &rounds[i], total))
			return false;
		promise(!rounds[i].faults == (i > 0), "%s: %s", titles[i],
			i ? "no page fault in the peers" :
			    "the peers fault (or else nothing was measured)");
	}
	printf("  %s in steps of %s; %d peers write to each new page. Median of %d rounds.\n\n",
	       text_bytes(total).s, text_bytes(STEP).s, PEERS, ROUNDS);
	printf("  %-37s", "");
	for (int i = 0; i < columns; i++)
		printf(" %*s", i ? 16 : 18, titles[i]);
	printf("\n  %-37s", "page faults in the peers");
	for (int i = 0; i < columns; i++)
		printf(" %*s", i ? 16 : 18, text_number(rounds[i].faults).s);
	for (int figure = 0; figure < FIGURES; figure++) {
		printf("\n  %-37s", figures[figure]);
		for (int i = 0; i < columns; i++)
			printf(" %*s", i ? 16 : 18, text_time(rounds[i].ns[figure]).s);
	}
	putchar('\n');
	return true;
}

void compare_run(const char *region, const char *client)
{
	struct peershm *shm = daemon_open(region, client);
	struct message message;
	volatile char *base;

	base = shm ? peershm_base(shm) :
		     mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_SHARED, DAEMON_FILE, 0);
	if (base == MAP_FAILED)
		daemon_fail("mapping the memfd: %s", strerror(errno));
	daemon_ready((const void *)base, NULL);
	for (;;) {
		uint64_t ns;
		uint64_t faults;

		daemon_order(&message);
		base = (volatile char *)(uintptr_t)message.touch.address;
		ns = now_ns();
		faults = daemon_faults();
		for (uint64_t i = 0; i < message.touch.length; i += SMALLEST_PAGE)
			base[i] = 1;
		message.kind = MESSAGE_WRITTEN;
		message.touch.faults = daemon_faults() - faults;
		message.touch.ns = now_ns() - ns;
		daemon_say(&message);
	}
}
