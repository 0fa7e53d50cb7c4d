// SPDX-License-Identifier: GPL-2.0-only
/*
 * The size of a region: growing and shrinking.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>

#include "memory/backing.h"
#include "registry/client.h"
#include "registry/event.h"
#include "registry/header.h"
#include "window/map.h"
#include "registry/region.h"
#include "memory/reserve.h"
#include "registry/root.h"
#include "registry/size.h"
#include "registry/straggler.h"
#include "types.h"

/* How long a shrink waits for a client that it could not reach at once. */
#define RELINK_MS 1

/*
 * What is still mapped when nothing beyond a size is. Clients share the page
 * tables of huge pages, and lose a table with the first page that goes from it.
 */
static u64 still_mapped(const struct peershm_region *region, u64 size)
{
	return round_down(size, peershm_backing_align(region->backing));
}

static void publish_locked(struct peershm_region *region)
{
	peershm_header_begin(region);
	peershm_header_set_region(region);
	peershm_header_end(region);
}

/* The size as it now is, for everyone to see. */
static void set_size_locked(struct peershm_region *region, u64 size)
{
	bool shrinks = size < region->size;

	lockdep_assert_held(&region->resize);
	lockdep_assert_held(&region->registry);
	if (shrinks)
		region->shrinks++;
	WRITE_ONCE(region->size, size);
	if (!region->announcer)
		region->watermark = size;
	peershm_header_begin(region);
	if (shrinks)
		peershm_client_trim_locked(region, still_mapped(region, size));
	peershm_header_set_region(region);
	peershm_header_end(region);
}

/* What lay beyond the size is gone: from how far on is nothing mapped now? */
static u64 cut_locked(struct peershm_region *region)
{
	u64 mapped = still_mapped(region, region->size);

	lockdep_assert_held(&region->resize);
	lockdep_assert_held(&region->registry);
	if (mapped == region->size)
		return mapped;
	region->shrinks++;	/* who is mapping now may have been too early */
	peershm_header_begin(region);
	peershm_client_trim_locked(region, mapped);
	peershm_header_end(region);
	return mapped;
}

/**
 * peershm_size_cut() - memory beyond the size has been taken away
 * @region: whose resize lock is held
 *
 * What clients lost of their page tables with it follows in the background.
 */
void peershm_size_cut(struct peershm_region *region)
{
	spin_lock(&region->registry);
	peershm_straggler_add_all_locked(region, cut_locked(region));
	spin_unlock(&region->registry);
}

/* @mapped: how much is still in all page tables, where that changes. */
static int grow_locked(struct peershm_region *region,
		       const struct peershm_client *client,
		       struct peershm_grow *args, u64 *mapped)
{
	u64 old_size = region->size;
	u64 ready = old_size + region->reserve.have;
	u64 new_size;
	int err;

	lockdep_assert_held(&region->resize);
	if (args->flags & PEERSHM_GROW_TO)
		new_size = max(old_size, (u64)args->length);
	else if (check_add_overflow(old_size, (u64)args->length, &new_size))
		return -EINVAL;
	if (new_size > region->capacity)
		return -ENOSPC;
	if (new_size > old_size) {
		if (!peershm_region_grant(region, new_size,
					  region->reserve.want))
			return -ENOSPC;
		err = peershm_backing_grow(region->backing, region->file,
					   &region->tables, old_size, ready,
					   new_size);
		if (err && err != -ENOSPC) {
			peershm_reserve_used(region, 0);
			spin_lock(&region->registry);
			*mapped = cut_locked(region);
			spin_unlock(&region->registry);
		}
		if (err) {
			peershm_region_grant(region, old_size,
					     region->reserve.want);
			return err;
		}
		spin_lock(&region->registry);
		region->announcer = NULL;
		set_size_locked(region, new_size);
		peershm_event_record_locked(region, PEERSHM_EVENT_GREW, client,
					    old_size, new_size);
		spin_unlock(&region->registry);
		peershm_reserve_used(region, max(ready, new_size) - new_size);
	}
	args->old_size = old_size;
	args->new_size = new_size;
	return 0;
}

long peershm_size_grow(struct peershm_file *pf, void *arg)
{
	struct peershm_grow *args = arg;
	struct peershm_client *client;
	struct peershm_region *region;
	struct peershm_map_call call;
	u64 mapped = U64_MAX;
	u64 size;
	int err;

	if (args->flags & ~PEERSHM_GROW_TO || !args->length)
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_WRITE);
	if (IS_ERR(region))
		return PTR_ERR(region);
	err = -EINVAL;
	if (!IS_ALIGNED(args->length, region->page_size))
		goto put_region;

	/* All that can fail comes before the region changes. */
	err = peershm_map_begin(&call, region, &args->report);
	if (err)
		goto put_region;
	err = -ERESTARTSYS;
	if (mutex_lock_interruptible(&region->resize))
		goto end_call;
	client = peershm_client_acting(pf, region);
	err = grow_locked(region, client, args, &mapped);
	size = region->size;
	mutex_unlock(&region->resize);
	if (client)
		peershm_client_put(client);
	/* Also if it was that large: another grow may still be mapping. */
	if (!err)
		peershm_map_peers(&call, NULL, args->old_size, args->new_size);
	else if (mapped < size)
		peershm_map_peers(&call, NULL, mapped, size);
	peershm_reserve_refill(region);
	if (!err)
		err = peershm_map_report(&call, &args->report);
end_call:
	peershm_map_end(&call);
put_region:
	peershm_region_put(region);
	return err;
}

/*
 * From here on nobody is to learn of memory that goes. @client announced it, if
 * @announced.
 */
static int begin_shrink(struct peershm_region *region,
			const struct peershm_client *client, bool announced,
			u64 new_size)
{
	int err = 0;

	spin_lock(&region->registry);
	if (announced && (!client || region->announcer != client ||
			  region->watermark != new_size))
		err = -ECANCELED;
	else
		set_size_locked(region, new_size);
	spin_unlock(&region->registry);
	return err;
}

/* The memory could not be taken away: all is as before. */
static void undo_shrink(struct peershm_region *region, u64 old_size)
{
	spin_lock(&region->registry);
	set_size_locked(region, old_size);
	spin_unlock(&region->registry);
}

/* It is gone, and so is what was announced, by whomever. */
static void end_shrink(struct peershm_region *region,
		       const struct peershm_client *client, u64 old_size)
{
	peershm_root_trim(region, client);
	spin_lock(&region->registry);
	if (region->announcer) {
		peershm_region_unannounce_locked(region);
		publish_locked(region);
	}
	if (region->size < old_size)
		peershm_event_record_locked(region, PEERSHM_EVENT_SHRUNK,
					    client, old_size, region->size);
	spin_unlock(&region->registry);
}

static int shrink_locked(struct peershm_region *region,
			 const struct peershm_client *client,
			 struct peershm_shrink *args)
{
	u64 old_size = region->size;
	int err;

	lockdep_assert_held(&region->resize);
	args->old_size = old_size;
	if (args->new_size > old_size)
		return -EINVAL;
	if (args->new_size == old_size && !args->flags)
		return 0;
	/* The header first. */
	err = begin_shrink(region, client,
			   args->flags & PEERSHM_SHRINK_ANNOUNCED,
			   args->new_size);
	if (err)
		return err;
	if (args->new_size < old_size) {
		err = peershm_backing_shrink(region->backing, region->file,
					     &region->tables,
					     old_size + region->reserve.have,
					     args->new_size);
		if (err) {
			undo_shrink(region, old_size);
			return err;
		}
		peershm_region_grant(region, args->new_size,
				     region->reserve.want);
		peershm_reserve_used(region, 0);
	}
	end_shrink(region, client, old_size);
	return 0;
}

static int shrink(struct peershm_region *region,
		  const struct peershm_client *client,
		  struct peershm_shrink *args)
{
	struct peershm_map_report relink = { .timeout_ms = RELINK_MS };
	u64 mapped = still_mapped(region, args->new_size);
	struct peershm_map_call call = {};
	int err = 0;

	if (mapped < args->new_size)
		err = peershm_map_begin(&call, region, &relink);
	if (err)
		return err;
	err = -ERESTARTSYS;
	if (mutex_lock_interruptible(&region->resize))
		goto end_call;
	err = shrink_locked(region, client, args);
	mutex_unlock(&region->resize);
	if (!err && mapped < args->new_size)
		peershm_map_peers(&call, NULL, mapped, args->new_size);
	peershm_reserve_refill(region);
end_call:
	peershm_map_end(&call);
	return err;
}

/* Say what is going to be shrunk, or with CANCEL that nothing is. */
static int announce(struct peershm_region *region,
		    struct peershm_client *client, struct peershm_shrink *args)
{
	bool cancel = args->flags & PEERSHM_SHRINK_CANCEL;
	int err = 0;

	if (cancel && args->new_size)
		return -EINVAL;
	if (!client)
		return -ENOTCONN;
	spin_lock(&region->registry);
	args->old_size = region->size;
	if (!client->live) {
		err = -ENOTCONN;
	} else if (cancel && region->announcer != client) {
		err = -ECANCELED;
	} else if (args->new_size > region->size) {
		err = -EINVAL;
	} else if (region->announcer && region->announcer != client) {
		err = -EBUSY;
	} else {
		peershm_region_unannounce_locked(region);
		if (!cancel) {
			region->announcer = client;
			region->watermark = args->new_size;
		}
		publish_locked(region);
		peershm_event_record_locked(region, PEERSHM_EVENT_SHRINKING,
					    client, region->size,
					    region->watermark);
	}
	spin_unlock(&region->registry);
	return err;
}

long peershm_size_shrink(struct peershm_file *pf, void *arg)
{
	struct peershm_shrink *args = arg;
	struct peershm_client *client;
	struct peershm_region *region;
	int err = -EINVAL;

	switch (args->flags) {
	case 0:
	case PEERSHM_SHRINK_ANNOUNCE:
	case PEERSHM_SHRINK_CANCEL:
	case PEERSHM_SHRINK_ANNOUNCED:
		break;
	default:
		return -EINVAL;
	}
	region = peershm_region_of(pf, args->region, MAY_WRITE);
	if (IS_ERR(region))
		return PTR_ERR(region);
	client = peershm_client_acting(pf, region);
	if (!IS_ALIGNED(args->new_size, region->page_size))
		err = -EINVAL;
	else if (args->flags & (PEERSHM_SHRINK_ANNOUNCE | PEERSHM_SHRINK_CANCEL))
		err = announce(region, client, args);
	else
		err = shrink(region, client, args);
	if (client)
		peershm_client_put(client);
	peershm_region_put(region);
	return err;
}
