/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_LIMITS_H
#define PEERSHM_LIMITS_H

#include <linux/types.h>

struct peershm_region;

u32 peershm_limits_clients(void);
bool peershm_limits_regions(unsigned int n);
bool peershm_limits_user_regions(unsigned int n, u64 capacity);
bool peershm_limits_user_bytes(u64 bytes);
bool peershm_limits_apply(const struct peershm_region *region);
bool peershm_limits_share(unsigned int n);

#endif /* PEERSHM_LIMITS_H */
