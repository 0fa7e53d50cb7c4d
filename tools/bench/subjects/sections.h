/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_BENCH_SECTIONS_H
#define PEERSHM_BENCH_SECTIONS_H

#include <peershm.h>

/* A region that needs no module; NULL if it cannot be had. */
struct peershm *bench_open(void);

/* These do it `n` times, by a call that is not inlined. */
void bench_empty(unsigned long n);
void bench_urcu_called(unsigned long n);

#endif
