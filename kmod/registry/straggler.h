/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_STRAGGLER_H
#define PEERSHM_STRAGGLER_H

#include <linux/types.h>

struct peershm_client;
struct peershm_region;

/* A client that is no straggler is behind from here on. */
#define PEERSHM_NOT_BEHIND U64_MAX

int peershm_straggler_init(void);
void peershm_straggler_exit(void);

void peershm_straggler_prepare(struct peershm_region *region);
void peershm_straggler_add(struct peershm_client *client, u64 start);
void peershm_straggler_add_all_locked(struct peershm_region *region, u64 start);
void peershm_straggler_reached_locked(struct peershm_client *client, u64 start,
				      u64 end);
void peershm_straggler_gone_locked(struct peershm_client *client);

#endif /* PEERSHM_STRAGGLER_H */
