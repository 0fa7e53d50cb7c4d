/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_ROOT_H
#define PEERSHM_ROOT_H

#include <linux/types.h>

struct peershm_client;
struct peershm_file;
struct peershm_region;

void peershm_root_trim(struct peershm_region *region,
		       const struct peershm_client *client);
void peershm_root_free_all(struct peershm_region *region);

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_root_set(struct peershm_file *pf, void *arg);
long peershm_root_get(struct peershm_file *pf, void *arg);
long peershm_root_list(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_ROOT_H */
