/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a call waited, by its own doing. A busy machine, and an emulated one on a busy
 * host, makes everything late; so what is measured is the time that the calling thread
 * slept, neither running nor ready to run. How late a sleeper wakes up there is measured at
 * the same time, by a thread that does nothing but sleep, on the same processor. That one
 * takes the processor from the calling thread again and again, so the kernel has to count how
 * long it is ready to run (CONFIG_SCHED_INFO): where it does not, tests skip.
 */
#ifndef PEERSHM_TEST_WAITED_H
#define PEERSHM_TEST_WAITED_H

#include <stdint.h>

struct waiting {
	int64_t slept_ns;
};

/* How long the calling thread has slept since. */
struct waiting waiting_start(void);
uint64_t waiting_ns(struct waiting since);

/* Measure how late sleepers wake up, from now on; this thread keeps to its processor. */
void lateness_start(void);

/* The worst since the last call. */
uint64_t lateness_ns(void);

#endif
