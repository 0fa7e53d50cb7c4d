/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the time goes: how long each call takes, and what the fuzzer itself does. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "fuzz.h"

#define NR_SHOWN 16

static const char *const others[NR_COSTS] = { "(reset)", "(coverage)", "(oracle)", "(choice)" };

/* Not the clock, which is a system call on an emulated machine. */
uint64_t cost_now(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

uint64_t cost_add(struct thread *thread, unsigned int what, uint64_t since)
{
	struct cost *cost = &thread->costs[what];
	uint64_t now = cost_now();

	cost->n++;
	cost->ticks += now - since;
	return now;
}

static struct cost costs[MAX_COSTS];

static int by_ticks(const void *a, const void *b)
{
	uint64_t x = costs[*(const unsigned int *)a].ticks;
	uint64_t y = costs[*(const unsigned int *)b].ticks;

	return (x < y) - (x > y);
}

/* What costs most, in a run of so many ticks and ms. */
void cost_print(const struct shared *shared, uint64_t ticks, uint64_t ms)
{
	unsigned int nr = nr_operations + NR_COSTS;
	unsigned int order[MAX_COSTS];
	uint64_t total = 0;

	for (unsigned int i = 0; i < nr; i++) {
		order[i] = i;
		costs[i] = (struct cost){ 0, 0 };
		for (unsigned int t = 0; t < NR_THREADS; t++) {
			costs[i].n += shared->threads[t].costs[i].n;
			costs[i].ticks += shared->threads[t].costs[i].ticks;
		}
		total += costs[i].ticks;
	}
	qsort(order, nr, sizeof(order[0]), by_ticks);
	puts("cost:             share      calls    us each");
	for (unsigned int i = 0; i < nr && i < NR_SHOWN; i++) {
		unsigned int what = order[i];
		const struct cost *cost = &costs[what];

		if (!cost->n || !ticks)
			break;
		printf("cost: %-16s %4.1f %% %9" PRIu64 " %9.1f\n",
		       what < nr_operations ? operations[what].name : others[what - nr_operations],
		       100.0 * (double)cost->ticks / (double)total, cost->n,
		       (double)cost->ticks / (double)cost->n * 1000.0 * (double)ms / (double)ticks);
	}
}
