/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_SIZE_H
#define PEERSHM_SIZE_H

#include <linux/types.h>

struct peershm_client;
struct peershm_region;
struct peershm_shrink;

u64 peershm_size_mapped(const struct peershm_region *region, u64 size);
u64 peershm_size_cut(struct peershm_region *region);
void peershm_size_given_back(struct peershm_region *region);
void peershm_size_grown(struct peershm_region *region,
			const struct peershm_client *client, u64 new_size);

int peershm_size_begin_shrink(struct peershm_region *region,
			      const struct peershm_client *client,
			      struct peershm_shrink *args);
void peershm_size_undo_shrink(struct peershm_region *region, u64 old_size);
void peershm_size_end_shrink(struct peershm_region *region,
			     const struct peershm_client *client, u64 old_size);
int peershm_size_announce(struct peershm_region *region,
			  struct peershm_client *client,
			  struct peershm_shrink *args);

#endif /* PEERSHM_SIZE_H */
