// SPDX-License-Identifier: GPL-2.0-only
/*
 * The size of a region: growing and shrinking.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/overflow.h>

#include "backing.h"
#include "client.h"
#include "header.h"
#include "map.h"
#include "region.h"
#include "reserve.h"
#include "size.h"

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

/* The size as it now is, for everyone to see. */
static void publish_size(struct peershm_region *region, u64 size)
{
	bool shrinks = size < region->size;

	lockdep_assert_held(&region->resize);
	spin_lock(&region->registry);
	if (shrinks)
		region->shrinks++;
	WRITE_ONCE(region->size, size);
	peershm_header_begin(region);
	if (shrinks)
		peershm_client_trim_locked(region, still_mapped(region, size));
	peershm_header_set_region(region);
	peershm_header_end(region);
	spin_unlock(&region->registry);
}

static int grow_locked(struct peershm_region *region,
		       struct peershm_grow *args)
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
		err = peershm_backing_grow(region->backing, region->file,
					   old_size, ready, new_size);
		if (err && err != -ENOSPC)
			peershm_reserve_used(region, 0);
		if (err)
			return err;
		publish_size(region, new_size);
		peershm_reserve_used(region, max(ready, new_size) - new_size);
	}
	args->old_size = old_size;
	args->new_size = new_size;
	return 0;
}

long peershm_size_grow(struct peershm_file *pf, void *arg)
{
	struct peershm_grow *args = arg;
	struct peershm_region *region;
	struct peershm_map_call call;
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
	err = grow_locked(region, args);
	mutex_unlock(&region->resize);
	/* Also if it was that large: another grow may still be mapping. */
	if (!err)
		peershm_map_peers(&call, NULL, args->old_size, args->new_size);
	if (!err)
		err = peershm_map_report(&call, &args->report);
end_call:
	peershm_map_end(&call);
put_region:
	peershm_region_put(region);
	return err;
}

long peershm_size_shrink(struct peershm_file *pf, void *arg)
{
	struct peershm_map_report relink = { .timeout_ms = RELINK_MS };
	struct peershm_shrink *args = arg;
	struct peershm_region *region;
	struct peershm_map_call call = {};
	u64 old_size, mapped;
	int err;

	if (args->flags)
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_WRITE);
	if (IS_ERR(region))
		return PTR_ERR(region);
	err = -EINVAL;
	if (!IS_ALIGNED(args->new_size, region->page_size))
		goto put_region;
	mapped = still_mapped(region, args->new_size);
	err = 0;
	if (mapped < args->new_size)
		err = peershm_map_begin(&call, region, &relink);
	if (err)
		goto put_region;
	err = -ERESTARTSYS;
	if (mutex_lock_interruptible(&region->resize))
		goto end_call;

	old_size = region->size;
	err = -EINVAL;
	if (args->new_size > old_size)
		goto unlock;
	err = 0;
	if (args->new_size < old_size) {
		/* The header first: nobody is to learn of memory that goes. */
		publish_size(region, args->new_size);
		err = peershm_backing_shrink(region->backing, region->file,
					     old_size + region->reserve.have,
					     args->new_size);
		if (err) {
			publish_size(region, old_size);
		} else {
			peershm_root_trim(region);
			peershm_reserve_used(region, 0);
		}
	}
	args->old_size = old_size;
unlock:
	mutex_unlock(&region->resize);
	if (!err && mapped < args->new_size)
		peershm_map_peers(&call, NULL, mapped, args->new_size);
end_call:
	peershm_map_end(&call);
put_region:
	peershm_region_put(region);
	return err;
}
