/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_LIMITS_H
#define PEERSHM_LIMITS_H

#include <linux/types.h>

struct peershm_failure;
struct peershm_info;
struct peershm_region;

u32 peershm_limits_clients(void);
int peershm_limits_regions(unsigned int n, struct peershm_failure *failure);
int peershm_limits_user_regions(unsigned int n, u64 capacity,
				struct peershm_failure *failure);
u64 peershm_limits_user_bytes(void);
bool peershm_limits_apply(const struct peershm_region *region);
unsigned int peershm_limits_share(void);
void peershm_limits_describe(struct peershm_info *info);

#endif /* PEERSHM_LIMITS_H */
