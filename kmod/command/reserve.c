// SPDX-License-Identifier: GPL-2.0-only
/*
 * SET_RESERVE: how much memory of a region is to lie ready beyond its size.
 */
#include <linux/align.h>
#include <linux/mutex.h>

#include "command/commands.h"
#include "command/reserve.h"
#include "memory/backing.h"
#include "memory/reserve.h"
#include "registry/directory.h"
#include "registry/limits.h"
#include "types.h"

/**
 * peershm_set_reserve() - say how much is to lie ready
 * @region: where
 * @want: bytes, a multiple of the page size
 * @failure: says why not
 *
 * Returns: 0, -ERESTARTSYS, or -ENOSPC beyond what the owner may have.
 */
int peershm_set_reserve(struct peershm_region *region, u64 want,
			struct peershm_failure *failure)
{
	int err = 0;

	if (mutex_lock_interruptible(&region->resize_mutex))
		return -ERESTARTSYS;
	/* What is too much counts until it has been given back. */
	if (peershm_directory_grant(region, region->size,
				    max(want, region->reserve.have)))
		peershm_reserve_set(region, want);
	else
		err = peershm_fail(failure, -ENOSPC,
				   PEERSHM_REASON_MAX_USER_BYTES,
				   peershm_limits_user_bytes());
	mutex_unlock(&region->resize_mutex);
	if (!err)
		peershm_reserve_refill(region);
	return err;
}

int peershm_set_reserve_check(void *arg)
{
	const struct peershm_set_reserve *args = arg;

	return args->flags ? -EINVAL : 0;
}

long peershm_set_reserve_run(struct peershm_region *region,
			     struct peershm_client *client, void *arg)
{
	struct peershm_set_reserve *args = arg;

	if (!IS_ALIGNED(args->reserve, region->page_size))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ALIGNMENT,
				    region->page_size);
	if (args->reserve && !peershm_backing_permitted(region->backing))
		return peershm_fail(&args->failure, -EPERM, PEERSHM_REASON_POOL,
				    peershm_backing_group());
	if (args->reserve > region->capacity)
		return peershm_fail(&args->failure, -ENOSPC,
				    PEERSHM_REASON_CAPACITY, region->capacity);
	return peershm_set_reserve(region, args->reserve, &args->failure);
}
