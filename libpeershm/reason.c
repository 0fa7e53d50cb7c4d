/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Explaining failures that several commands have in common. These functions run after
 * a command has failed. They may ask the kernel, but change nothing.
 */
#include <errno.h>

#include "internal.h"

const char *pshm_reason_memory(uint32_t backing)
{
	switch (backing) {
	case PEERSHM_HUGETLB_2M:
		return "no 2 MiB page is free: raise "
		       "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
	case PEERSHM_HUGETLB_1G:
		return "no 1 GiB page is free: raise "
		       "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages, or boot with "
		       "hugepagesz=1G hugepages=N";
	default:
		return "there is no memory left, or the memory cgroup's limit is reached";
	}
}

int pshm_reason_pool(int err)
{
	return pshm_fail(err, "only processes with CAP_IPC_LOCK and the group in " PSHM_PARAMETERS
			      "hugetlb_group may use huge pages from the pool");
}

/* For a caller that may read the region, so it can be told the region's permissions. */
int pshm_reason_denied(int err, const struct peershm_region_info *region)
{
	return pshm_fail(
		err,
		"denied: the region has mode %04o, owner %u and group %u; this process may "
		"read it (open it with PEERSHM_READ_ONLY)",
		region->mode, region->uid, region->gid);
}

/* A command about the client of this name failed or, if the name is empty, of this PID. */
int pshm_reason_client(int err, const struct peershm *handle, const char *name, pid_t pid)
{
	struct peershm_region_info region;

	if (err != -ENOENT || (!handle->client_id && pshm_query_region(handle, &region)))
		return pshm_reason_region(err, handle);
	if (*name)
		return pshm_fail(err, "there is no client named %s", name);
	return pshm_fail(err, "process %d is not a client of the region", pid);
}

int pshm_reason_region(int err, const struct peershm *handle)
{
	struct peershm_region_info region;

	if (err == -EACCES && handle->read_only)
		return pshm_fail(err, "the region was opened read-only");
	if (err == -EACCES && !pshm_query_region(handle, &region))
		return pshm_reason_denied(err, &region);
	if (err == -ENOENT)
		return pshm_fail(err, "the region is gone");
	return pshm_fail(err, NULL);
}
