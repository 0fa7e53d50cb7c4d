/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_PARALLEL_H
#define PEERSHM_PARALLEL_H

#include <linux/types.h>

struct mem_cgroup;

int peershm_parallel_init(void);
void peershm_parallel_exit(void);

bool peershm_parallel_anywhere(void);
bool peershm_parallel_charges(struct mem_cgroup *memcg, unsigned long pages);
void peershm_parallel(void (*f)(void *context, unsigned int index),
		      void *context, unsigned int n);

#endif /* PEERSHM_PARALLEL_H */
