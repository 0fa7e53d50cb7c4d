/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_REGION_H
#define PEERSHM_REGION_H

#include <linux/types.h>

struct peershm_file;
struct peershm_region;

struct peershm_region *peershm_region_find(const char *name, u64 id, int mask);
struct peershm_region *peershm_region_of(struct peershm_file *pf, u64 id,
					 int mask);
void peershm_region_get(struct peershm_region *region);
void peershm_region_put(struct peershm_region *region);
void peershm_region_hold(struct peershm_region *region);
void peershm_region_drop(struct peershm_region *region);
bool peershm_region_may(const struct peershm_region *region, int mask);
bool peershm_region_grant(struct peershm_region *region, u64 size, u64 reserve);

bool peershm_name_valid(const char *name);

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_region_create(struct peershm_file *pf, void *arg);
void peershm_region_uncreate(struct peershm_file *pf, void *arg);
long peershm_region_stat(struct peershm_file *pf, void *arg);
long peershm_region_list(struct peershm_file *pf, void *arg);
long peershm_region_unlink(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_REGION_H */
