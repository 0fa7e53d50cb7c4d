/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <peershm.h>

struct peershm *bench_open(void);

/* One call of each, `n` times; none is inlined where it is called. */
void bench_empty(unsigned long n);
void bench_urcu_called(unsigned long n);

#endif
