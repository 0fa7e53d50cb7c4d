// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deferred clients: those that a peer map could not reach in time, because their
 * mmap lock was taken for as long as the caller was ready to wait, or because
 * the caller was killed; and those that lost page tables to a reserve that was
 * given back. Their pages follow in the background (window/follow.c).
 *
 * A region has one work item, which runs while it has a deferred client. The
 * work waits for nobody: a client whose mmap lock is taken is tried again later,
 * and less often the longer that lasts. The work that is queued keeps the
 * region's struct alone. A live client keeps the memory, and is no longer
 * deferred when it leaves.
 */
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/workqueue.h>

#include "registry/deferred.h"
#include "registry/event.h"
#include "registry/region.h"
#include "types.h"

/* How long until a client is tried again: doubles from one to the other. */
#define MIN_PAUSE_MS 10
#define MAX_PAUSE_MS 1000U

static struct workqueue_struct *queue;

/* Have the work run after @ms, also if it is queued for later already. */
static void queue_follow(struct peershm_region *region, unsigned int ms)
{
	/* The queued work keeps the struct; so does the caller. */
	peershm_region_get_struct(region);
	if (mod_delayed_work(queue, &region->follow, msecs_to_jiffies(ms)))
		peershm_region_put_struct(region);
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

	lockdep_assert_held(&region->registry_lock);
	if (!client->live || start >= region->size)
		return;
	if (client->behind == PEERSHM_NOT_BEHIND) {
		client->mapped_before = client->mapped;
		region->pause_ms = MIN_PAUSE_MS;
		queue_follow(region, region->pause_ms);
	}
	client->behind = min(client->behind, start);
}

/**
 * peershm_deferred_add() - a peer map gives up waiting for a client
 * @client: to which the caller has a reference
 * @start: from where on it may have nothing mapped, in bytes from the base
 */
void peershm_deferred_add(struct peershm_client *client, u64 start)
{
	spin_lock(&client->region->registry_lock);
	add_locked(client, start);
	spin_unlock(&client->region->registry_lock);
}

/**
 * peershm_deferred_add_all_locked() - page tables of all clients were emptied
 * @region: whose
 * @start: from where on, in bytes from the base
 */
void peershm_deferred_add_all_locked(struct peershm_region *region, u64 start)
{
	unsigned int slot;

	lockdep_assert_held(&region->registry_lock);
	for (slot = 0; slot < region->max_clients; slot++)
		if (region->clients[slot])
			add_locked(region->clients[slot], start);
}

/**
 * peershm_deferred_reached_locked() - whoever did it, this range is done
 * @client: deferred or not
 * @start: in bytes from the base
 * @end: likewise
 */
void peershm_deferred_reached_locked(struct peershm_client *client, u64 start,
				     u64 end)
{
	lockdep_assert_held(&client->region->registry_lock);
	if (client->behind < start || client->behind > end)
		return;
	client->behind = end;
	if (end >= client->region->size)
		caught_up_locked(client);
}

/**
 * peershm_deferred_gone_locked() - the client has left the registry
 * @client: to which the caller has a reference
 */
void peershm_deferred_gone_locked(struct peershm_client *client)
{
	lockdep_assert_held(&client->region->registry_lock);
	if (client->behind == PEERSHM_NOT_BEHIND)
		return;
	client->behind = PEERSHM_NOT_BEHIND;
	/* The work has one client less to wait for. */
	queue_follow(client->region, 0);
}

static bool deferred_locked(const struct peershm_client *client)
{
	lockdep_assert_held(&client->region->registry_lock);
	return client->live && client->behind != PEERSHM_NOT_BEHIND;
}

/**
 * peershm_deferred_next() - the next deferred client
 * @region: whose struct the caller keeps
 * @slot: from this slot of the registry on; set to the one after the client's
 *
 * Returns: a reference, with which the caller becomes a user of the region, or
 * NULL if there is no more.
 */
struct peershm_client *peershm_deferred_next(struct peershm_region *region,
					     unsigned int *slot)
{
	struct peershm_client *found = NULL;
	struct peershm_client *client;

	spin_lock(&region->registry_lock);
	for (; !found && *slot < region->max_clients; ++*slot) {
		client = region->clients[*slot];
		if (!client || !deferred_locked(client))
			continue;
		kref_get(&client->ref);
		/* A live client has a window, which is a user of the region. */
		peershm_region_get(region);
		found = client;
	}
	spin_unlock(&region->registry_lock);
	return found;
}

/**
 * peershm_deferred_range() - what is to be mapped next into a client
 * @client: that was deferred when the caller looked
 * @start: set, in bytes from the base
 * @end: likewise
 * @shrinks: set to how often the region has shrunk
 *
 * Returns: false if there is nothing any more.
 */
bool peershm_deferred_range(struct peershm_client *client, u64 *start, u64 *end,
			    u64 *shrinks)
{
	struct peershm_region *region = client->region;
	bool more = false;

	spin_lock(&region->registry_lock);
	if (deferred_locked(client) && client->behind >= region->size) {
		caught_up_locked(client);	/* what it lacked is gone */
	} else if (deferred_locked(client)) {
		*start = client->behind;
		*end = region->size;
		*shrinks = region->shrinks;
		more = true;
	}
	spin_unlock(&region->registry_lock);
	return more;
}

static bool any_locked(struct peershm_region *region)
{
	unsigned int slot;

	for (slot = 0; slot < region->max_clients; slot++)
		if (region->clients[slot] &&
		    deferred_locked(region->clients[slot]))
			return true;
	return false;
}

/**
 * peershm_deferred_again() - a run of the work is over
 * @region: whose
 * @moved: did it get anywhere? Else the next one is later
 *
 * Queues the next run if a client is still deferred.
 */
void peershm_deferred_again(struct peershm_region *region, bool moved)
{
	spin_lock(&region->registry_lock);
	if (any_locked(region)) {
		if (moved)
			region->pause_ms = MIN_PAUSE_MS;
		else
			region->pause_ms = min(2 * region->pause_ms,
					       MAX_PAUSE_MS);
		queue_follow(region, moved ? 0 : region->pause_ms);
	}
	spin_unlock(&region->registry_lock);
}

int peershm_deferred_init(void)
{
	queue = alloc_workqueue("peershm", WQ_UNBOUND, 0);
	return queue ? 0 : -ENOMEM;
}

/* No region is left. The work of the last one may be on its way out. */
void peershm_deferred_exit(void)
{
	destroy_workqueue(queue);
}
