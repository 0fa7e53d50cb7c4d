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
 */
bool peershm_limits_regions(unsigned int n)
{
	return n <= READ_ONCE(max_regions);
}

/**
 * peershm_limits_user_regions() - may the caller's user have so many regions?
 * @n: regions of the user
 * @capacity: of all of them
 */
bool peershm_limits_user_regions(unsigned int n, u64 capacity)
{
	return (n <= READ_ONCE(max_user_regions) &&
		capacity <= READ_ONCE(max_user_capacity)) ||
	       capable(CAP_SYS_RESOURCE);
}

/**
 * peershm_limits_user_bytes() - may a user's small and thp regions have so much?
 * @bytes: of all of them
 */
bool peershm_limits_user_bytes(u64 bytes)
{
	return bytes <= (READ_ONCE(max_user_bytes) ?:
			 peershm_backing_limit() / 2);
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
 * peershm_limits_share() - may a user who gets a share have one more client?
 * @n: what the user has
 */
bool peershm_limits_share(unsigned int n)
{
	return n < READ_ONCE(max_user_clients);
}
