// SPDX-License-Identifier: GPL-2.0-only
/*
 * The work that maps what deferred clients lack (registry/deferred.c says which
 * they are, and when it runs).
 */
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "registry/client.h"
#include "registry/deferred.h"
#include "registry/region.h"
#include "window/follow.h"
#include "window/populate.h"
#include "types.h"

/* How much of one client is mapped before it is the others' turn. */
#define CHUNKS_PER_TURN 16

/* One turn of a client. Returns whether it got anywhere. */
static bool follow_client(struct peershm_client *client)
{
	u64 start, end, shrinks;
	unsigned int i;

	for (i = 0; i < CHUNKS_PER_TURN; i++) {
		if (!peershm_deferred_range(client, &start, &end, &shrinks) ||
		    !peershm_populate_chunk(client, start, end, shrinks))
			break;
		cond_resched();
	}
	return i > 0;
}

static void follow_work(struct work_struct *item)
{
	struct delayed_work *delayed = to_delayed_work(item);
	struct peershm_region *region =
		container_of(delayed, struct peershm_region, follow);
	struct peershm_client *client;
	unsigned int slot = 0;
	bool moved = false;

	while ((client = peershm_deferred_next(region, &slot))) {
		moved |= follow_client(client);
		peershm_client_put(client);
		peershm_region_put(region);
	}
	peershm_deferred_again(region, moved);
	peershm_region_put_struct(region);	/* the queued work had it */
}

/**
 * peershm_follow_prepare() - a region begins without deferred clients
 * @region: which
 */
void peershm_follow_prepare(struct peershm_region *region)
{
	INIT_DELAYED_WORK(&region->follow, follow_work);
}
