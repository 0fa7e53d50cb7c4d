/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_ROOT_H
#define PEERSHM_ROOT_H

#include <linux/types.h>

struct peershm_client;
struct peershm_region;
struct peershm_root;
struct peershm_root_info;
struct peershm_set_root;

struct peershm_root *peershm_root_find_locked(struct peershm_region *region,
					      const char *name);
int peershm_root_set_locked(struct peershm_region *region,
			    const struct peershm_client *client,
			    struct peershm_set_root *args,
			    struct peershm_root **spare);
void peershm_root_describe_locked(const struct peershm_region *region,
				  const struct peershm_root *root,
				  struct peershm_root_info *info);
u32 peershm_root_list_locked(const struct peershm_region *region,
			     struct peershm_root_info *infos, u32 room);
void peershm_root_trim(struct peershm_region *region,
		       const struct peershm_client *client);
void peershm_root_free_all(struct peershm_region *region);

#endif /* PEERSHM_ROOT_H */
