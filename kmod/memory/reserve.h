/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_RESERVE_H
#define PEERSHM_RESERVE_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct mem_cgroup;
struct peershm_file;
struct peershm_region;

/* The reserve of a region: memory beyond its size, allocated and zeroed. */
struct peershm_reserve {
	/* Written with the region's resize and registry locks held. */
	u64 want;			/* bytes; what was asked for */
	u64 have;			/* bytes, from the size on */

	struct mem_cgroup *memcg;	/* charged for it; resize lock */
	bool pressed;			/* to be given back; reserve.c's lock */
	struct list_head node;		/* likewise; empty: nothing to give */
	bool closed;			/* likewise; nobody uses the region */
	struct delayed_work work;
};

int peershm_reserve_init(void);
void peershm_reserve_exit(void);

void peershm_reserve_prepare(struct peershm_region *region);
void peershm_reserve_release(struct peershm_region *region);
int peershm_reserve_set(struct peershm_region *region, u64 want);
void peershm_reserve_used(struct peershm_region *region, u64 have);
void peershm_reserve_refill(struct peershm_region *region);

/* Command. `arg` is the command's struct in kernel memory. */
long peershm_reserve_command(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_RESERVE_H */
