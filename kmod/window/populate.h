/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_POPULATE_H
#define PEERSHM_POPULATE_H

#include <linux/types.h>

struct peershm_client;
struct peershm_region;
struct task_struct;

unsigned long peershm_populate(const struct peershm_client *client,
			       struct task_struct *caller, unsigned long addr,
			       unsigned long end, bool *whole);
u64 peershm_populate_charged(struct peershm_client *client,
			     struct task_struct *caller, u64 start, u64 end,
			     bool *whole);
bool peershm_populate_chunk(struct peershm_client *client, u64 start, u64 end,
			    u64 shrinks);
u64 peershm_populate_chunk_size(const struct peershm_region *region);

#endif /* PEERSHM_POPULATE_H */
