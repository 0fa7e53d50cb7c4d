/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_MAP_H
#define PEERSHM_MAP_H

#include <linux/ktime.h>
#include <linux/types.h>

#include <uapi/linux/peershm.h>

struct peershm_client;
struct peershm_region;
struct task_struct;

/* One client and how far it is. */
struct peershm_map_job {
	struct peershm_client *client;	/* a reference */
	u64 start;			/* in bytes from the base */
	u64 next;			/* likewise */
	u64 shrinks;			/* the region's, before */
	enum peershm_peer_result result;
	bool partial;
};

/*
 * A peer map under way: all the memory it needs, so that it cannot fail once
 * the region has changed. On the caller's stack.
 */
struct peershm_map_call {
	struct peershm_region *region;	/* the caller's reference */
	struct task_struct *caller;
	struct peershm_map_job *jobs;
	unsigned int nr_jobs;
	int timeout_ms;			/* negative: without end */
	u64 start;			/* what is asked for, from the base */
	u64 end;
	ktime_t deadline;
};

int peershm_map_begin(struct peershm_map_call *call,
		      struct peershm_region *region, int timeout_ms);
void peershm_map_peers(struct peershm_map_call *call,
		       const struct peershm_peer_map *which, u64 start,
		       u64 end);
void peershm_map_end(struct peershm_map_call *call);

int peershm_map_self(struct peershm_client *client, u64 size, u64 shrinks);

#endif /* PEERSHM_MAP_H */
