// SPDX-License-Identifier: GPL-2.0-only
/*
 * The size of a region, as everybody sees it: publishing what a grow, a shrink
 * or the reserve have done to the memory.
 */
#include <linux/errno.h>
#include <linux/lockdep.h>
#include <linux/math.h>
#include <linux/spinlock.h>

#include "memory/backing.h"
#include "registry/client.h"
#include "registry/deferred.h"
#include "registry/directory.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/root.h"
#include "registry/size.h"
#include "types.h"

/**
 * peershm_size_mapped() - how much clients still have mapped after a truncation
 * @region: the region
 * @size: what it was truncated to, in bytes
 *
 * Clients share the page tables of huge pages. A truncation that takes a single
 * page from such a table takes the whole table from all clients but one.
 */
u64 peershm_size_mapped(const struct peershm_region *region, u64 size)
{
	return round_down(size, peershm_backing_align(region->backing));
}

/* Set the size, and publish it in the header. */
static void set_size_locked(struct peershm_region *region, u64 size)
{
	bool shrinks = size < region->size;

	lockdep_assert_held(&region->resize_mutex);
	lockdep_assert_held(&region->registry_lock);
	if (shrinks)
		region->shrinks++;
	WRITE_ONCE(region->size, size);
	if (!region->announcer)
		region->watermark = size;
	peershm_header_begin(region);
	if (shrinks)
		peershm_client_trim_locked(region,
					   peershm_size_mapped(region, size));
	peershm_header_set_region(region);
	peershm_header_end(region);
}

static u64 cut_locked(struct peershm_region *region)
{
	u64 mapped = peershm_size_mapped(region, region->size);

	lockdep_assert_held(&region->resize_mutex);
	lockdep_assert_held(&region->registry_lock);
	if (mapped == region->size)
		return mapped;
	region->shrinks++;	/* who is mapping now must not note it as mapped */
	peershm_header_begin(region);
	peershm_client_trim_locked(region, mapped);
	peershm_header_end(region);
	return mapped;
}

/**
 * peershm_size_cut() - memory beyond the size has been taken away
 * @region: whose resize lock is held
 *
 * Returns: the offset from which on clients may have lost page tables with that
 * memory. The caller maps that part again.
 */
u64 peershm_size_cut(struct peershm_region *region)
{
	u64 mapped;

	spin_lock(&region->registry_lock);
	mapped = cut_locked(region);
	spin_unlock(&region->registry_lock);
	return mapped;
}

/**
 * peershm_size_given_back() - the reserve has been given back
 * @region: whose resize lock is held
 *
 * Clients may have lost page tables with it; work in the background maps again
 * what they lost.
 */
void peershm_size_given_back(struct peershm_region *region)
{
	spin_lock(&region->registry_lock);
	peershm_deferred_add_all_locked(region, cut_locked(region));
	spin_unlock(&region->registry_lock);
	/* It may have held more than was asked for: see peershm_reserve_keep(). */
	peershm_directory_grant(region, region->size, region->reserve.want);
}

/**
 * peershm_size_grown() - there is more memory
 * @region: whose resize lock is held
 * @client: who grew it, or NULL
 * @new_size: larger than the size
 */
void peershm_size_grown(struct peershm_region *region,
			const struct peershm_client *client, u64 new_size)
{
	u64 old_size = region->size;

	spin_lock(&region->registry_lock);
	region->announcer = NULL;
	set_size_locked(region, new_size);
	/* The client may have left while the caller waited for resize_mutex. */
	if (client && !client->live)
		client = NULL;
	peershm_event_record_locked(region, PEERSHM_EVENT_GREW, client,
				    old_size, new_size);
	spin_unlock(&region->registry_lock);
}

/*
 * Has this client made the announcement with this cookie, and is it in force?
 * Only the last one can be, and its cookie is how many were made.
 */
static bool in_force_locked(const struct peershm_region *region,
			    const struct peershm_client *client, u64 cookie)
{
	lockdep_assert_held(&region->registry_lock);
	return client && region->announcer == client &&
	       region->announcements == cookie;
}

static int not_in_force(struct peershm_failure *failure)
{
	return peershm_fail(failure, -ECANCELED, PEERSHM_REASON_NOT_IN_FORCE,
			    0);
}

/**
 * peershm_size_begin_shrink() - nobody is to learn of memory that goes
 * @region: whose resize lock is held
 * @client: who shrinks it, or NULL
 * @args: of its SHRINK, to no more than the size; with ANNOUNCED only if that
 *        client has announced just this
 *
 * Returns: 0 or -ECANCELED.
 */
int peershm_size_begin_shrink(struct peershm_region *region,
			      const struct peershm_client *client,
			      struct peershm_shrink *args)
{
	int err = 0;

	spin_lock(&region->registry_lock);
	if (args->flags & PEERSHM_SHRINK_ANNOUNCED &&
	    (!in_force_locked(region, client, args->cookie) ||
	     region->watermark != args->new_size))
		err = not_in_force(&args->failure);
	else
		set_size_locked(region, args->new_size);
	spin_unlock(&region->registry_lock);
	return err;
}

/**
 * peershm_size_undo_shrink() - the memory could not be taken away
 * @region: of which a shrink has begun
 * @old_size: before
 */
void peershm_size_undo_shrink(struct peershm_region *region, u64 old_size)
{
	spin_lock(&region->registry_lock);
	set_size_locked(region, old_size);
	spin_unlock(&region->registry_lock);
}

/**
 * peershm_size_end_shrink() - the memory is gone
 * @region: of which a shrink has begun
 * @client: who shrank it, or NULL
 * @old_size: before
 *
 * So is what was announced, by whomever, and the roots that pointed there.
 */
void peershm_size_end_shrink(struct peershm_region *region,
			     const struct peershm_client *client, u64 old_size)
{
	peershm_root_trim(region, client);
	spin_lock(&region->registry_lock);
	if (region->announcer) {
		peershm_region_unannounce_locked(region);
		peershm_header_show_region(region);
	}
	if (region->size < old_size)
		peershm_event_record_locked(region, PEERSHM_EVENT_SHRUNK,
					    client, old_size, region->size);
	spin_unlock(&region->registry_lock);
}

static int check_announcement(const struct peershm_region *region,
			      const struct peershm_client *client,
			      struct peershm_shrink *args)
{
	if (!client->live)
		return -ENOTCONN;
	if (args->flags & PEERSHM_SHRINK_CANCEL)
		return in_force_locked(region, client, args->cookie) ?
			       0 : not_in_force(&args->failure);
	if (args->new_size > region->size)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_SIZE, region->size);
	if (region->announcer && region->announcer != client)
		return peershm_fail(&args->failure, -EBUSY,
				    PEERSHM_REASON_ANNOUNCED,
				    region->announcer->id);
	return 0;
}

/**
 * peershm_size_announce() - say what is going to be shrunk
 * @region: which
 * @client: who is going to
 * @args: of its SHRINK with ANNOUNCE, which gets a cookie; or with CANCEL: it is
 *        not going to, after all
 *
 * Returns: 0, -ENOTCONN, -ECANCELED, -EINVAL or -EBUSY.
 */
int peershm_size_announce(struct peershm_region *region,
			  struct peershm_client *client,
			  struct peershm_shrink *args)
{
	int err;

	spin_lock(&region->registry_lock);
	args->old_size = region->size;
	err = check_announcement(region, client, args);
	if (!err) {
		peershm_region_unannounce_locked(region);
		if (args->flags & PEERSHM_SHRINK_ANNOUNCE) {
			region->announcer = client;
			region->watermark = args->new_size;
			args->cookie = ++region->announcements;
		}
		peershm_header_show_region(region);
		peershm_event_record_locked(region, PEERSHM_EVENT_SHRINKING,
					    client, region->size,
					    region->watermark);
	}
	spin_unlock(&region->registry_lock);
	return err;
}
