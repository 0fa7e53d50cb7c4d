// SPDX-License-Identifier: GPL-2.0-only
/*
 * PEER_MAP: map a range of a region into one client, or into all of them.
 */
#include <linux/align.h>
#include <linux/errno.h>
#include <linux/spinlock.h>

#include "command/answer.h"
#include "command/commands.h"
#include "registry/region.h"
#include "window/map.h"
#include "types.h"

int peershm_peer_map_check(void *arg)
{
	const struct peershm_peer_map *args = arg;
	bool valid;

	switch (args->flags) {
	case PEERSHM_MAP_BY_PID:
		valid = args->pid > 0 && !args->name[0];
		break;
	case PEERSHM_MAP_BY_NAME:
		valid = !args->pid && peershm_name_valid(args->name);
		break;
	default:
		valid = !args->flags && !args->pid && !args->name[0];
	}
	return valid && !args->reserved ? 0 : -EINVAL;
}

static int check_range(struct peershm_region *region,
		       struct peershm_peer_map *args, u64 *end)
{
	u64 size;

	spin_lock(&region->registry_lock);
	size = region->size;
	spin_unlock(&region->registry_lock);
	if (!IS_ALIGNED(args->offset, region->page_size) ||
	    !IS_ALIGNED(args->length, region->page_size))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ALIGNMENT,
				    region->page_size);
	if (args->offset > size || args->length > size - args->offset)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_SIZE, size);
	*end = args->length ? args->offset + args->length : size;
	return 0;
}

long peershm_peer_map_run(struct peershm_region *region,
			  struct peershm_client *client, void *arg)
{
	struct peershm_peer_map *args = arg;
	struct peershm_answer answer;
	u64 end;
	int err;

	err = check_range(region, args, &end);
	if (!err)
		err = peershm_answer_begin(&answer, region, &args->report,
					   &args->failure);
	if (err)
		return err;
	peershm_map_peers(&answer.call, args, args->offset, end);
	if (args->flags && !answer.call.nr_jobs)
		err = peershm_fail(&args->failure, -ENOENT,
				   PEERSHM_REASON_NO_CLIENT, 0);
	else
		err = peershm_answer_report(&answer, &args->report);
	peershm_answer_end(&answer);
	return err;
}
