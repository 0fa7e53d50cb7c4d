/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_DIRECTORY_H
#define PEERSHM_DIRECTORY_H

#include <linux/types.h>

struct peershm_client;
struct peershm_failure;
struct peershm_region;
struct peershm_region_info;

struct peershm_region *peershm_directory_find(const char *name, u64 id,
					      int mask,
					      struct peershm_failure *failure);
int peershm_directory_add(struct peershm_region *region, u64 base, u64 *id,
			  struct peershm_failure *failure);
bool peershm_directory_unlink(struct peershm_region *region,
			      const struct peershm_client *client);
bool peershm_directory_grant(struct peershm_region *region, u64 size,
			     u64 reserve);
u32 peershm_directory_count(void);
u32 peershm_directory_describe(struct peershm_region_info *infos, u32 room);

#endif /* PEERSHM_DIRECTORY_H */
