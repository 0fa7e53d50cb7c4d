/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a call waited because it chose to. On a busy machine (or an emulated one on a busy
 * host) everything is late, so this measures only how long the calling thread slept: neither
 * running nor ready to run. A second thread on the same processor, which does nothing but sleep,
 * shows how late sleepers wake up there. It takes the processor from the calling thread again
 * and again, so the kernel must count how long a thread was ready to run (CONFIG_SCHED_INFO);
 * tests skip where it does not.
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

/* How late the worst one was since the last call. */
uint64_t lateness_ns(void);

#endif
