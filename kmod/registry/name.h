/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_NAME_H
#define PEERSHM_NAME_H

#include <linux/types.h>

#include <uapi/linux/peershm.h>

struct peershm_client;
struct peershm_region;

/* The name of a client that left. One that was never used is empty. */
struct peershm_name {
	char name[PEERSHM_NAME_SIZE];
	u64 generation;		/* of the last client of that name */
	u64 left;		/* when, in the region's departures */
};

u64 peershm_name_last_locked(const struct peershm_region *region,
			     const char *name);
void peershm_name_remember_locked(const struct peershm_client *client);

#endif /* PEERSHM_NAME_H */
