/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_REGION_H
#define PEERSHM_REGION_H

#include <linux/types.h>

struct peershm_create;
struct peershm_region;
struct peershm_region_info;

struct peershm_region *peershm_region_new(const struct peershm_create *args,
					  unsigned int backing, u32 max_clients);
void peershm_region_get(struct peershm_region *region);
void peershm_region_put(struct peershm_region *region);
void peershm_region_get_struct(struct peershm_region *region);
void peershm_region_put_struct(struct peershm_region *region);

bool peershm_region_may(const struct peershm_region *region, int mask);
bool peershm_region_owned(const struct peershm_region *region);
void peershm_region_describe(struct peershm_region *region,
			     struct peershm_region_info *info);

bool peershm_name_valid(const char *name);

#endif /* PEERSHM_REGION_H */
