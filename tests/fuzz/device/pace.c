/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time that the host has really given to this machine. A busy host runs the machine for a part of
 * the time only, and the machine's clock goes on meanwhile. So a fixed piece of work is timed again
 * and again: the fastest time seen divided by the present one is that part.
 */
#include <time.h>

#include "fuzz.h"

#define TURNS 20000
#define NR_LATEST 64 /* times to take the mean of, so that one interruption counts little */

static uint64_t latest[NR_LATEST];
static unsigned int nr;
static uint64_t sum, best = UINT64_MAX;
static uint64_t previous_ms;
static double given_ms;

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The CPU's counter where there is one: the clock is a system call on an emulated machine. */
static uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
#endif
}

/* How many ticks a fixed piece of work takes now. */
static uint64_t work(void)
{
	uint64_t begin = ticks();

	for (volatile unsigned int i = 0; i < TURNS; i++)
		;
	return ticks() - begin;
}

/* The milliseconds so far. Each call adds the time since the last one: call it many times a second. */
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
		given_ms += (double)(now - previous_ms) * pace_part();
	previous_ms = now;
	return (uint64_t)given_ms;
}

/* The part of the time that the host gives to this machine now. */
double pace_part(void)
{
	unsigned int n = nr < NR_LATEST ? nr : NR_LATEST;

	return sum ? (double)best * n / (double)sum : 1;
}
