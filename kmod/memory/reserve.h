/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_RESERVE_H
#define PEERSHM_RESERVE_H

#include <linux/types.h>

struct peershm_region;

int peershm_reserve_init(void);
void peershm_reserve_exit(void);

void peershm_reserve_prepare(struct peershm_region *region,
			     void (*given_back)(struct peershm_region *region));
void peershm_reserve_release(struct peershm_region *region);
void peershm_reserve_set(struct peershm_region *region, u64 want);
void peershm_reserve_used(struct peershm_region *region, u64 have);
void peershm_reserve_keep(struct peershm_region *region, u64 have);
bool peershm_reserve_kept(const struct peershm_region *region);
void peershm_reserve_refill(struct peershm_region *region);

#endif /* PEERSHM_RESERVE_H */
