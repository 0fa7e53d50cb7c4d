/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is called and not inlined: an empty function, and liburcu as it comes. */
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
