// SPDX-License-Identifier: GPL-2.0-only
/*
 * WATCH: read the events of a region without being a client of it.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "command/commands.h"
#include "registry/directory.h"
#include "registry/event.h"
#include "registry/limits.h"
#include "registry/region.h"
#include "types.h"

int peershm_watch_check(const void *arg)
{
	const struct peershm_watch *args = arg;

	return args->flags || !args->region ? -EINVAL : 0;
}

static bool has_room_locked(const struct peershm_region *region, bool limited)
{
	kuid_t uid = current_fsuid();

	if (region->events.nr_watchers >= region->max_clients)
		return false;
	return !limited ||
	       peershm_limits_share(peershm_event_watched_by_locked(region, uid));
}

long peershm_watch_run(struct peershm_file *pf, void *arg)
{
	struct peershm_watch *args = arg;
	struct peershm_region *region;
	bool limited;
	int err = 0;

	region = peershm_directory_find(NULL, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	limited = peershm_limits_apply(region);

	spin_lock(&pf->lock);
	spin_lock(&region->registry_lock);
	if (pf->client || pf->attacher || pf->reader.region) {
		err = -EBUSY;
	} else if (!has_room_locked(region, limited)) {
		err = -ENOSPC;
	} else {
		peershm_region_get_struct(region);
		peershm_event_watch_locked(region, &pf->reader);
	}
	spin_unlock(&region->registry_lock);
	spin_unlock(&pf->lock);
	peershm_region_put(region);
	return err;
}
