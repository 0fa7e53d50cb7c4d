// SPDX-License-Identifier: GPL-2.0-only
/*
 * WATCH: read the events of a region without being a client of it.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "command/answer.h"
#include "command/commands.h"
#include "registry/directory.h"
#include "registry/event.h"
#include "registry/limits.h"
#include "registry/region.h"
#include "types.h"

int peershm_watch_check(void *arg)
{
	struct peershm_watch *args = arg;

	if (args->flags || args->reserved || !args->region)
		return -EINVAL;
	return peershm_answer_event_size(args->event_size, &args->failure);
}

static int check_room_locked(const struct peershm_region *region, bool limited,
			     struct peershm_failure *failure)
{
	unsigned int share = peershm_limits_share();

	if (region->events.nr_watchers >= region->max_clients)
		return peershm_fail(failure, -ENOSPC, PEERSHM_REASON_CLIENTS,
				    region->max_clients);
	if (limited &&
	    peershm_event_watched_by_locked(region, current_fsuid()) >= share)
		return peershm_fail(failure, -ENOSPC,
				    PEERSHM_REASON_MAX_USER_CLIENTS, share);
	return 0;
}

long peershm_watch_run(struct peershm_file *pf, void *arg)
{
	struct peershm_watch *args = arg;
	struct peershm_region *region;
	bool limited;
	int err;

	region = peershm_directory_find(NULL, args->region, MAY_READ,
					&args->failure);
	if (IS_ERR(region))
		return PTR_ERR(region);
	limited = peershm_limits_apply(region);

	spin_lock(&pf->lock);
	spin_lock(&region->registry_lock);
	if (pf->client || pf->attacher || pf->reader.region)
		err = peershm_fail(&args->failure, -EBUSY,
				   PEERSHM_REASON_FILE_BOUND, 0);
	else
		err = check_room_locked(region, limited, &args->failure);
	if (!err) {
		peershm_region_get_struct(region);
		WRITE_ONCE(pf->reader.record_size,
			   args->event_size ?: PEERSHM_EVENT_LEAST);
		peershm_event_watch_locked(region, &pf->reader);
	}
	spin_unlock(&region->registry_lock);
	spin_unlock(&pf->lock);
	peershm_region_put(region);
	return err;
}
