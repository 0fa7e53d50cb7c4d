/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_ROOT_H
#define PEERSHM_ROOT_H

#include <linux/list.h>
#include <linux/types.h>

#include <uapi/linux/peershm.h>

struct peershm_client;
struct peershm_file;
struct peershm_region;

/*
 * A root: a pointer that the region keeps. The one without a name is part of
 * the region's struct; one with a name lives while it is in the region's list.
 * The region's registry lock protects all of it.
 */
struct peershm_root {
	struct list_head node;
	u64 address;			/* ask peershm_root_address_locked() */
	u64 generation;
	char name[PEERSHM_NAME_SIZE];	/* constant */
};

u64 peershm_root_address_locked(const struct peershm_region *region,
				const struct peershm_root *root);
void peershm_root_trim(struct peershm_region *region,
		       const struct peershm_client *client);
void peershm_root_free_all(struct peershm_region *region);

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_root_set(struct peershm_file *pf, void *arg);
long peershm_root_get(struct peershm_file *pf, void *arg);
long peershm_root_list(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_ROOT_H */
