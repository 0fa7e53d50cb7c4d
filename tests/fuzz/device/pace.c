/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time as the machine has had it. The host may be busy with something else, which a machine
 * without a hypervisor's help cannot see. But the same piece of work takes longer then.
 */
#include <time.h>

#include "fuzz.h"

#define TURNS 20000
#define NR_LATEST 64 /* a chance interruption of one is not to count for more than it was */

static uint64_t latest[NR_LATEST];
static unsigned int nr;
static uint64_t sum, best = UINT64_MAX;
static uint64_t previous_ms;
static double had_ms;

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t work(void)
{
	uint64_t begin = cost_now();

	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	return cost_now() - begin;
}

/* To be called many times a second: adds what has passed since, by the latest pace. */
uint64_t pace_ms(void)
{
	uint64_t took = work();
	uint64_t now = clock_ms();
	uint64_t *entry = &latest[nr++ % NR_LATEST];

	sum += took - *entry;
	*entry = took;
	if (took < best)
		best = took;
	if (previous_ms)
		had_ms += (double)(now - previous_ms) * pace_part();
	previous_ms = now;
	return (uint64_t)had_ms;
}

/* What part of the time that is. */
double pace_part(void)
{
	unsigned int n = nr < NR_LATEST ? nr : NR_LATEST;

	return sum ? (double)best * n / (double)sum : 1;
}
