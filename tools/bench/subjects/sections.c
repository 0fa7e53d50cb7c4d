/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a read section costs: lock and unlock in a loop, beside liburcu's memb flavour, whose readers
 * likewise run no memory barrier and leave that to membarrier() in the writer. All kinds run in one
 * process and in turn, so that a machine that slows down slows them all. The medians of the rounds
 * are printed.
 */
#define _LGPL_SOURCE /* liburcu inlines its readers only with this */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <urcu/urcu-memb.h>

#include "sections.h"

#define ROUNDS 101
#define PAIRS 1000000UL

static struct peershm *handle;

static void bench_urcu(unsigned long n)
{
	while (n--) {
		urcu_memb_read_lock();
		__asm__ volatile("" ::: "memory");
		urcu_memb_read_unlock();
	}
}

static void bench_peershm(unsigned long n)
{
	while (n--) {
		if (peershm_read_lock(handle))
			abort();
		__asm__ volatile("" ::: "memory");
		peershm_read_unlock(handle);
	}
}

enum {
	EMPTY,
	URCU,
	URCU_CALLED,
	PEERSHM,
	KINDS
};

static const struct {
	const char *name;
	void (*run)(unsigned long n);
} kinds[KINDS] = {
	[EMPTY] = { "an empty function call", bench_empty },
	[URCU] = { "liburcu memb, inlined", bench_urcu },
	[URCU_CALLED] = { "liburcu memb, called", bench_urcu_called },
	[PEERSHM] = { "peershm", bench_peershm },
};

static double ns_each(void (*run)(unsigned long n))
{
	struct timespec start;
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	run(PAIRS);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) /
	       (double)PAIRS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static double ns[KINDS][ROUNDS];
	double median[KINDS];

	handle = bench_open();
	if (!handle || peershm_read_lock(handle)) {
		fprintf(stderr, "sections: %s\n", peershm_strerror(0));
		return 1;
	}
	peershm_read_unlock(handle);
	urcu_memb_register_thread();
	for (int round = -1; round < ROUNDS; round++) {
		for (int kind = 0; kind < KINDS; kind++) {
			double one = ns_each(kinds[kind].run);

			if (round >= 0) /* the first warms up */
				ns[kind][round] = one;
		}
	}
	urcu_memb_unregister_thread();
	printf("A read section (lock and unlock), median of %d rounds of %lu:\n\n", ROUNDS, PAIRS);
	for (int kind = 0; kind < KINDS; kind++) {
		qsort(ns[kind], ROUNDS, sizeof(ns[kind][0]), by_value);
		median[kind] = ns[kind][ROUNDS / 2];
		printf("  %-24s %6.2f ns\n", kinds[kind].name, median[kind]);
	}
	printf("\n  peershm over an empty function call  %5.2f ns (must: at most 4)\n",
	       median[PEERSHM] - median[EMPTY]);
	printf("  peershm / liburcu memb, inlined      %5.2f (must: at most 1.2)\n",
	       median[PEERSHM] / median[URCU]);
	printf("  peershm / liburcu memb, called       %5.2f\n",
	       median[PEERSHM] / median[URCU_CALLED]);
	peershm_close(handle);
	return 0;
}
