/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long a call waited, by its own doing. A busy machine, and an emulated one on a busy
 * host, makes everything late; so what is measured is the time that the calling thread
 * slept, neither running nor ready to run. How late a sleeper wakes up there is measured at
 * the same time, by a thread that does nothing but sleep, on the same processor.
 */
#ifndef PEERSHM_TEST_WAITED_H
#define PEERSHM_TEST_WAITED_H

#include <stdint.h>

/* Nanoseconds that the calling thread has slept until now: for differences. */
uint64_t waited_ns(void);

/* Measure how late sleepers wake up, from now on; this thread keeps to its processor. */
void lateness_start(void);

/* The worst since the last call. */
uint64_t lateness_ns(void);

#endif
