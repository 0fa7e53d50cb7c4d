/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_DEFERRED_H
#define PEERSHM_DEFERRED_H

#include <linux/types.h>

struct peershm_client;
struct peershm_region;

/* A client that is not deferred is behind from here on. */
#define PEERSHM_NOT_BEHIND U64_MAX

int peershm_deferred_init(void);
void peershm_deferred_exit(void);

void peershm_deferred_add(struct peershm_client *client, u64 start);
void peershm_deferred_add_all_locked(struct peershm_region *region, u64 start);
void peershm_deferred_reached_locked(struct peershm_client *client, u64 start,
				     u64 end);
void peershm_deferred_gone_locked(struct peershm_client *client);

/* For the work that maps them. */
struct peershm_client *peershm_deferred_next(struct peershm_region *region,
					     unsigned int *slot);
bool peershm_deferred_range(struct peershm_client *client, u64 *start, u64 *end,
			    u64 *shrinks);
void peershm_deferred_again(struct peershm_region *region, bool moved);

#endif /* PEERSHM_DEFERRED_H */
