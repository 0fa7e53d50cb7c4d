// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stragglers: clients that a peer map could not reach in time, because their
 * mmap lock was taken for as long as the caller was ready to wait, or because
 * the caller was killed; and clients that lost page tables to a reserve that was
 * given back. Their pages follow in the background.
 *
 * A region has one work item, which runs while there is a straggler. It waits
 * for nobody: a client whose mmap lock is taken is tried again later, and less
 * often the longer that lasts. What is queued holds the region's struct alone;
 * a live client holds the memory, and ends to be a straggler when it leaves.
 */
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/workqueue.h>

#include "registry/client.h"
#include "registry/event.h"
#include "window/map.h"
#include "registry/region.h"
#include "registry/straggler.h"
#include "types.h"

/* How long until a client is tried again: doubles from one to the other. */
#define MIN_PAUSE_MS 10
#define MAX_PAUSE_MS 1000U

/* How much of one client is mapped before it is the others' turn. */
#define CHUNKS_PER_TURN 16

static struct workqueue_struct *queue;

/* Have the work run after @ms, also if it is queued for later already. */
static void kick(struct peershm_region *region, unsigned int ms)
{
	/* What is queued has a hold; the caller has another one. */
	peershm_region_hold(region);
	if (mod_delayed_work(queue, &region->follow, msecs_to_jiffies(ms)))
		peershm_region_drop(region);
}

static void caught_up_locked(struct peershm_client *client)
{
	struct peershm_region *region = client->region;

	client->behind = PEERSHM_NOT_BEHIND;
	if (client->live)
		peershm_event_record_locked(region, PEERSHM_EVENT_CAUGHT_UP,
					    client, client->mapped_before,
					    client->mapped);
}

static void add_locked(struct peershm_client *client, u64 start)
{
	struct peershm_region *region = client->region;

	lockdep_assert_held(&region->registry);
	if (!client->live || start >= region->size)
		return;
	if (client->behind == PEERSHM_NOT_BEHIND) {
		client->mapped_before = client->mapped;
		region->pause_ms = MIN_PAUSE_MS;
		kick(region, region->pause_ms);
	}
	client->behind = min(client->behind, start);
}

/**
 * peershm_straggler_add() - a peer map gives up waiting for a client
 * @client: to which the caller has a reference
 * @start: from where on it may have nothing mapped, in bytes from the base
 */
void peershm_straggler_add(struct peershm_client *client, u64 start)
{
	spin_lock(&client->region->registry);
	add_locked(client, start);
	spin_unlock(&client->region->registry);
}

/**
 * peershm_straggler_add_all_locked() - page tables of all clients were emptied
 * @region: whose
 * @start: from where on, in bytes from the base
 */
void peershm_straggler_add_all_locked(struct peershm_region *region, u64 start)
{
	unsigned int slot;

	lockdep_assert_held(&region->registry);
	for (slot = 0; slot < region->max_clients; slot++)
		if (region->clients[slot])
			add_locked(region->clients[slot], start);
}

/**
 * peershm_straggler_reached_locked() - whoever did it, this range is done
 * @client: a straggler or not
 * @start: in bytes from the base
 * @end: likewise
 */
void peershm_straggler_reached_locked(struct peershm_client *client, u64 start,
				      u64 end)
{
	lockdep_assert_held(&client->region->registry);
	if (client->behind < start || client->behind > end)
		return;
	client->behind = end;
	if (end >= client->region->size)
		caught_up_locked(client);
}

/**
 * peershm_straggler_gone_locked() - the client has left the registry
 * @client: to which the caller has a reference
 */
void peershm_straggler_gone_locked(struct peershm_client *client)
{
	lockdep_assert_held(&client->region->registry);
	if (client->behind == PEERSHM_NOT_BEHIND)
		return;
	client->behind = PEERSHM_NOT_BEHIND;
	kick(client->region, 0);	/* it has one less to wait for */
}

static bool behind_locked(const struct peershm_client *client)
{
	lockdep_assert_held(&client->region->registry);
	return client->live && client->behind != PEERSHM_NOT_BEHIND;
}

/* The next straggler from this slot on, with a reference to it and a user. */
static struct peershm_client *next_straggler(struct peershm_region *region,
					     unsigned int *slot)
{
	struct peershm_client *found = NULL;
	struct peershm_client *client;

	spin_lock(&region->registry);
	for (; !found && *slot < region->max_clients; ++*slot) {
		client = region->clients[*slot];
		if (!client || !behind_locked(client))
			continue;
		kref_get(&client->ref);
		peershm_region_get(region);	/* live: it has a user */
		found = client;
	}
	spin_unlock(&region->registry);
	return found;
}

/* What is to be mapped next. False if there is nothing any more. */
static bool next_range(struct peershm_client *client, u64 *start, u64 *end,
		       u64 *shrinks)
{
	struct peershm_region *region = client->region;
	bool more = false;

	spin_lock(&region->registry);
	if (behind_locked(client) && client->behind >= region->size) {
		caught_up_locked(client);	/* what it lacked is gone */
	} else if (behind_locked(client)) {
		*start = client->behind;
		*end = region->size;
		*shrinks = region->shrinks;
		more = true;
	}
	spin_unlock(&region->registry);
	return more;
}

/* One turn of a client. Returns whether it got anywhere. */
static bool follow(struct peershm_client *client)
{
	u64 start, end, shrinks;
	unsigned int i;

	for (i = 0; i < CHUNKS_PER_TURN; i++) {
		if (!next_range(client, &start, &end, &shrinks) ||
		    !peershm_map_chunk(client, start, end, shrinks))
			break;
		cond_resched();
	}
	return i > 0;
}

static bool any_straggler(struct peershm_region *region)
{
	unsigned int slot;
	bool any = false;

	spin_lock(&region->registry);
	for (slot = 0; !any && slot < region->max_clients; slot++)
		any = region->clients[slot] &&
		      behind_locked(region->clients[slot]);
	spin_unlock(&region->registry);
	return any;
}

static void work(struct work_struct *item)
{
	struct delayed_work *delayed = to_delayed_work(item);
	struct peershm_region *region =
		container_of(delayed, struct peershm_region, follow);
	struct peershm_client *client;
	unsigned int slot = 0;
	bool moved = false;

	while ((client = next_straggler(region, &slot))) {
		moved |= follow(client);
		peershm_client_put(client);
		peershm_region_put(region);
	}
	if (any_straggler(region)) {
		spin_lock(&region->registry);
		if (moved)
			region->pause_ms = MIN_PAUSE_MS;
		else
			region->pause_ms = min(2 * region->pause_ms,
					       MAX_PAUSE_MS);
		kick(region, moved ? 0 : region->pause_ms);
		spin_unlock(&region->registry);
	}
	peershm_region_drop(region);	/* what was queued had it */
}

/**
 * peershm_straggler_prepare() - a region begins without stragglers
 * @region: which
 */
void peershm_straggler_prepare(struct peershm_region *region)
{
	INIT_DELAYED_WORK(&region->follow, work);
}

int peershm_straggler_init(void)
{
	queue = alloc_workqueue("peershm", WQ_UNBOUND, 0);
	return queue ? 0 : -ENOMEM;
}

/* No region is left. The work of the last one may be on its way out. */
void peershm_straggler_exit(void)
{
	destroy_workqueue(queue);
}
