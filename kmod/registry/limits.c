// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: how much of everything there may be in all, and how much one user may
 * have. The callers count what there is now.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/uidgid.h>

#include "memory/backing.h"
#include "registry/limits.h"
#include "types.h"

static uint max_regions = 256;
module_param(max_regions, uint, 0644);
MODULE_PARM_DESC(max_regions, "regions at a time");

static uint max_clients = 256;
module_param(max_clients, uint, 0644);
MODULE_PARM_DESC(max_clients,
		 "clients of a region made from now on (at most 1024)");

static uint max_user_regions = 64;
module_param(max_user_regions, uint, 0644);
MODULE_PARM_DESC(max_user_regions,
		 "regions at a time of one user without CAP_SYS_RESOURCE");

static ulong max_user_capacity = 1UL << 40;
module_param(max_user_capacity, ulong, 0644);
MODULE_PARM_DESC(max_user_capacity,
		 "bytes of address space of all regions of one user without CAP_SYS_RESOURCE");

static ulong max_user_bytes;
module_param(max_user_bytes, ulong, 0644);
MODULE_PARM_DESC(max_user_bytes,
		 "bytes of memory of all small and thp regions of one user without CAP_SYS_RESOURCE (0: half of max_bytes)");

static uint max_user_clients = 128;
module_param(max_user_clients, uint, 0644);
MODULE_PARM_DESC(max_user_clients,
		 "clients in a region, and files that watch it, of one user without CAP_SYS_RESOURCE, but its owner");

#define MAX_CLIENTS 1024U

/**
 * peershm_limits_clients() - as many clients a region made now may have
 */
u32 peershm_limits_clients(void)
{
	return min(READ_ONCE(max_clients), MAX_CLIENTS);
}

/**
 * peershm_limits_regions() - may there be so many regions?
 * @n: regions, of all users
 * @failure: says if not
 *
 * Returns: 0 or -ENOSPC.
 */
int peershm_limits_regions(unsigned int n, struct peershm_failure *failure)
{
	unsigned int most = READ_ONCE(max_regions);

	return n <= most ? 0 :
			   peershm_fail(failure, -ENOSPC,
					PEERSHM_REASON_MAX_REGIONS, most);
}

/**
 * peershm_limits_user_regions() - may the caller's user have so many regions?
 * @n: regions of the user
 * @capacity: of all of them
 * @failure: says if not
 *
 * Returns: 0 or -ENOSPC.
 */
int peershm_limits_user_regions(unsigned int n, u64 capacity,
				struct peershm_failure *failure)
{
	unsigned int most = READ_ONCE(max_user_regions);
	u64 widest = READ_ONCE(max_user_capacity);

	if ((n <= most && capacity <= widest) || capable(CAP_SYS_RESOURCE))
		return 0;
	if (n > most)
		return peershm_fail(failure, -ENOSPC,
				    PEERSHM_REASON_MAX_USER_REGIONS, most);
	return peershm_fail(failure, -ENOSPC, PEERSHM_REASON_MAX_USER_CAPACITY,
			    widest);
}

/**
 * peershm_limits_user_bytes() - what the small and thp regions of a user may have
 */
u64 peershm_limits_user_bytes(void)
{
	return READ_ONCE(max_user_bytes) ?: peershm_backing_limit() / 2;
}

/**
 * peershm_limits_apply() - does the caller get a share of a region's clients?
 * @region: which
 *
 * Returns: false if the caller may have as many as there are.
 */
bool peershm_limits_apply(const struct peershm_region *region)
{
	return !uid_eq(current_fsuid(), region->uid) &&
	       !capable(CAP_SYS_RESOURCE);
}

/**
 * peershm_limits_share() - how many clients a user who gets a share may have
 */
unsigned int peershm_limits_share(void)
{
	return READ_ONCE(max_user_clients);
}

/**
 * peershm_limits_describe() - the limits, for INFO
 * @info: to fill
 */
void peershm_limits_describe(struct peershm_info *info)
{
	info->max_roots = PEERSHM_MAX_ROOTS;
	info->max_clients = peershm_limits_clients();
	info->max_regions = READ_ONCE(max_regions);
	info->max_user_regions = READ_ONCE(max_user_regions);
	info->max_user_clients = peershm_limits_share();
	info->max_user_capacity = READ_ONCE(max_user_capacity);
	info->max_user_bytes = peershm_limits_user_bytes();
	info->max_bytes = peershm_backing_limit();
}
