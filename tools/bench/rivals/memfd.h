/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A memfd that grows by ftruncate(). Each peer maps the largest size that it may reach. memfd_touch
 * and memfd_populate differ in what peers do about new memory.
 */
#ifndef PEERSHM_BENCH_MEMFD_H
#define PEERSHM_BENCH_MEMFD_H

#include <stdbool.h>
#include <stdint.h>

extern const char *const memfd_backings[];

bool memfd_open(const char *backing);
bool memfd_close(void);
bool memfd_grow(uint64_t from, uint64_t to, uint64_t *place);
bool memfd_shrink(uint64_t from, uint64_t to);
bool memfd_join(unsigned int peer);
bool memfd_leave(void);
char *memfd_at(uint64_t place);

#endif
