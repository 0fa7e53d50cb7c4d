// SPDX-License-Identifier: GPL-2.0-only
/*
 * GROW: more memory, in the page tables of every client when it returns.
 */
#include <linux/align.h>
#include <linux/errno.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/overflow.h>

#include "command/answer.h"
#include "command/commands.h"
#include "memory/backing.h"
#include "memory/reserve.h"
#include "registry/directory.h"
#include "registry/limits.h"
#include "registry/size.h"
#include "window/map.h"
#include "types.h"

/*
 * How a grow ended, and what is to be mapped into the clients after it: the new
 * memory; or, where the grow failed and has freed memory again, the part whose
 * page tables the clients lost with that.
 */
struct grow_result {
	int err;
	u64 start;
	u64 end;
};

int peershm_grow_check(void *arg)
{
	struct peershm_grow *args = arg;

	if (args->flags & ~PEERSHM_GROW_TO)
		return -EINVAL;
	return args->length ? 0 : peershm_fail(&args->failure, -EINVAL,
					       PEERSHM_REASON_ZERO, 0);
}

static int wanted_size(const struct peershm_region *region,
		       struct peershm_grow *args, u64 *size)
{
	u64 length = args->length;

	if (args->flags & PEERSHM_GROW_TO)
		*size = max(region->size, length);
	else if (check_add_overflow(region->size, length, size))
		return -EINVAL;
	if (*size > region->capacity)
		return peershm_fail(&args->failure, -ENOSPC,
				    PEERSHM_REASON_CAPACITY, region->capacity);
	return 0;
}

static void explain(const struct peershm_region *region,
		    struct peershm_grow *args, int err)
{
	if (err == -ENOSPC)
		peershm_fail(&args->failure, err, PEERSHM_REASON_MAX_BYTES,
			     peershm_backing_limit());
	else if (err == -ENOMEM && peershm_backing_pooled(region->backing))
		peershm_fail(&args->failure, err, PEERSHM_REASON_POOL_EMPTY,
			     region->page_size);
}

static struct grow_result grow_locked(struct peershm_region *region,
				      const struct peershm_client *client,
				      struct peershm_grow *args)
{
	u64 size = region->size;
	u64 ready = size + region->reserve.have;
	struct grow_result result = { .start = size, .end = size };
	struct peershm_grown grown;
	u64 new_size, left;

	lockdep_assert_held(&region->resize_mutex);
	result.err = wanted_size(region, args, &new_size);
	if (result.err || new_size == size)
		return result;
	left = max(ready, new_size) - new_size;
	if (!peershm_directory_grant(region, new_size,
				     max(region->reserve.want, left))) {
		result.err = peershm_fail(&args->failure, -ENOSPC,
					  PEERSHM_REASON_MAX_USER_BYTES,
					  peershm_limits_user_bytes());
		return result;
	}
	grown = peershm_backing_grow(region->backing, region->file,
				     &region->tables_rwsem, size, ready,
				     new_size,
				     peershm_reserve_kept(region));
	result.err = grown.err;
	if (!grown.err) {
		peershm_size_grown(region, client, new_size);
		peershm_reserve_used(region, grown.ready - new_size);
		result.end = new_size;
		return result;
	}
	explain(region, args, grown.err);
	if (grown.freed) {
		peershm_reserve_used(region, 0);
		result.start = peershm_size_cut(region);
	} else {
		peershm_reserve_keep(region, grown.ready - size);
	}
	peershm_directory_grant(region, size,
				max(region->reserve.want, region->reserve.have));
	return result;
}

long peershm_grow_run(struct peershm_region *region,
		      struct peershm_client *client, void *arg)
{
	struct peershm_grow *args = arg;
	struct peershm_answer answer;
	struct grow_result result;
	int err;

	if (!IS_ALIGNED(args->length, region->page_size))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ALIGNMENT,
				    region->page_size);
	/* All that can fail comes before the region changes. */
	err = peershm_answer_begin(&answer, region, &args->report,
				   &args->failure);
	if (err)
		return err;
	err = -ERESTARTSYS;
	if (mutex_lock_interruptible(&region->resize_mutex))
		goto end_answer;
	result = grow_locked(region, client, args);
	mutex_unlock(&region->resize_mutex);
	err = result.err;
	/* Also if the size was that large: another grow may still be mapping. */
	if (!err || result.start < result.end)
		peershm_map_peers(&answer.call, NULL, result.start, result.end);
	peershm_reserve_refill(region);
	if (!err) {
		args->old_size = result.start;
		args->new_size = result.end;
		err = peershm_answer_report(&answer, &args->report);
	}
end_answer:
	peershm_answer_end(&answer);
	return err;
}
