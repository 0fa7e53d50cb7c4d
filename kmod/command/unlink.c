// SPDX-License-Identifier: GPL-2.0-only
/*
 * UNLINK: take a region's name away. It lives on while it is used.
 */
#include <linux/errno.h>

#include "command/commands.h"
#include "registry/directory.h"
#include "registry/region.h"
#include "types.h"

int peershm_unlink_check(void *arg)
{
	const struct peershm_unlink *args = arg;

	if (args->flags || (args->region && args->name[0]) ||
	    (!args->region && !peershm_name_valid(args->name)))
		return -EINVAL;
	return 0;
}

long peershm_unlink_run(struct peershm_region *region,
			struct peershm_client *client, void *arg)
{
	struct peershm_unlink *args = arg;

	return peershm_directory_unlink(region, client) ?
		       0 : peershm_fail(&args->failure, -ENOENT,
					PEERSHM_REASON_NO_REGION, 0);
}
