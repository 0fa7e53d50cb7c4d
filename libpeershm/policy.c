/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a grow follow the NUMA policy of the window. For huge pages from the pool, the
 * kernel follows a window's policy only in page faults, and a grow causes none: it
 * allocates them by the policy of the calling thread. So the thread gets the window's
 * policy while it grows.
 */
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define MAX_NODES (8 * sizeof(((struct pshm_policy *)NULL)->nodes))

static bool get_policy(struct pshm_policy *policy, uint64_t address, unsigned long flags)
{
	return !syscall(SYS_get_mempolicy, &policy->mode, policy->nodes, MAX_NODES, address, flags);
}

static bool set_policy(const struct pshm_policy *policy)
{
	return !syscall(SYS_set_mempolicy, policy->mode, policy->nodes, MAX_NODES);
}

void pshm_policy_adopt(const struct peershm *handle, struct pshm_policy *own)
{
	struct pshm_policy window;

	own->replaced = handle->client_id && handle->backing >= PEERSHM_HUGETLB_2M &&
			get_policy(&window, handle->base, MPOL_F_ADDR) &&
			window.mode != MPOL_DEFAULT && get_policy(own, 0, 0) && set_policy(&window);
}

void pshm_policy_restore(const struct pshm_policy *own)
{
	if (own->replaced)
		set_policy(own);
}
