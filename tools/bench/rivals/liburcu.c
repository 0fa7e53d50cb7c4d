/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds that are called and not inlined: liburcu without _LGPL_SOURCE, and an empty function. */
#include <urcu/urcu-memb.h>

#include "../subjects/sections.h"

static __attribute__((noinline)) void empty(void)
{
	__asm__ volatile("");
}

void bench_empty(unsigned long n)
{
	while (n--)
		empty();
}

void bench_urcu_called(unsigned long n)
{
	while (n--) {
		urcu_memb_read_lock();
		__asm__ volatile("" ::: "memory");
		urcu_memb_read_unlock();
	}
}
