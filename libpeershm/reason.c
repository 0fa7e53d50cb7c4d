/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a failed command can be blamed on. Everything here runs after a failure
 * and only looks: it asks the device and /proc, and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "internal.h"

#define PARAMETERS "/sys/module/peershm/parameters/"
#define NOT_LOADED "the peershm module is not loaded (modprobe peershm, or insmod peershm.ko)"

int pshm_reason_device(int err, int flags)
{
	struct stat node;

	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return pshm_fail(-ENODEV, "%s", NOT_LOADED);
	case -EACCES:
	case -EPERM:
		if (stat(PEERSHM_DEVICE, &node) < 0)
			return pshm_fail(err, "%s cannot be opened", PEERSHM_DEVICE);
		return pshm_fail(err,
				 "%s has mode %04o, owner %u and group %u: this process may not "
				 "open it for %s",
				 PEERSHM_DEVICE, node.st_mode & 07777, node.st_uid, node.st_gid,
				 (flags & O_ACCMODE) == O_RDONLY ? "reading" :
								   "reading and writing");
	default:
		return pshm_fail(err, NULL);
	}
}

static bool overlap(const struct peershm_region_info *region, const struct peershm_create *create)
{
	return region->base < create->base + create->capacity &&
	       create->base < region->base + region->capacity;
}

/* The region that has the range asked for, if the caller may know of it. */
static int range_of_region(int err, int fd, const struct peershm_create *create)
{
	struct peershm_regions list = { .size = sizeof(list), .nr_regions = 256 };
	struct peershm_region_info *regions = pshm_alloc(list.nr_regions * sizeof(*regions));
	const struct peershm_region_info *taker = NULL;

	list.regions = (uintptr_t)regions;
	if (regions && !pshm_device_command(fd, PEERSHM_IOC_REGIONS, &list)) {
		for (uint32_t i = 0; i < list.nr_regions && i < 256 && !taker; i++) {
			if (overlap(&regions[i], create))
				taker = &regions[i];
		}
	}
	if (taker)
		pshm_fail(err,
			  "range 0x%" PRIx64 "-0x%" PRIx64 " is taken by region %s (0x%" PRIx64
			  "-0x%" PRIx64 ")",
			  (uint64_t)create->base, (uint64_t)(create->base + create->capacity),
			  taker->name, (uint64_t)taker->base,
			  (uint64_t)(taker->base + taker->capacity));
	else
		pshm_fail(err, "range 0x%" PRIx64 "-0x%" PRIx64 " is taken by another region",
			  (uint64_t)create->base, (uint64_t)(create->base + create->capacity));
	free(regions);
	return err;
}

static const char *missing_backing(uint32_t backing)
{
	switch (backing) {
	case PEERSHM_THP:
		return "this kernel has no transparent huge pages for shared memory";
	case PEERSHM_HUGETLB_2M:
		return "this machine has no 2 MiB huge pages";
	case PEERSHM_HUGETLB_1G:
		return "this machine has no 1 GiB huge pages";
	default:
		return "this machine does not have the backing asked for";
	}
}

static const char *empty_pool(uint32_t backing)
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
	return pshm_fail(err, "huge pages from the pool are set aside for processes with "
			      "CAP_IPC_LOCK and for the group in " PARAMETERS "hugetlb_group");
}

int pshm_reason_create(int err, int fd, const struct peershm_create *create)
{
	switch (err) {
	case -EADDRINUSE:
		return range_of_region(err, fd, create);
	case -EEXIST:
		return pshm_fail(err, "there is a region of this name already");
	case -EINVAL:
		return pshm_fail(err,
				 "the module does not take a capacity of %" PRIu64 " bytes at "
				 "base 0x%" PRIx64 " with mode 0%o and %u clients",
				 (uint64_t)create->capacity, (uint64_t)create->base, create->mode,
				 create->max_clients);
	case -ENODEV:
		return pshm_fail(err, "%s", missing_backing(create->backing));
	case -EPERM:
		return pshm_reason_pool(err);
	case -ENOMEM:
		return pshm_fail(err, "%s", empty_pool(create->backing));
	case -ENOSPC:
		return pshm_fail(err,
				 "a limit of the module is reached: " PARAMETERS "max_regions, "
				 "or max_clients below %u, or no free range for a capacity of "
				 "%" PRIu64 " bytes",
				 create->max_clients, (uint64_t)create->capacity);
	default:
		return pshm_fail(err, NULL);
	}
}

static int range_of_mapping(int err, const struct peershm_region_info *region)
{
	uint64_t end = region->base + region->capacity;
	char takers[512];

	if (!pshm_maps_overlap("/proc/self/maps", region->base, end, takers, sizeof(takers)))
		return pshm_fail(err, "range 0x%" PRIx64 "-0x%" PRIx64 " is taken by a mapping",
				 (uint64_t)region->base, end);
	return pshm_fail(err, "range 0x%" PRIx64 "-0x%" PRIx64 " is taken by %s",
			 (uint64_t)region->base, end, takers);
}

static int taken_client_name(int err, int fd, const struct peershm_attach *attach,
			     const struct peershm_region_info *region)
{
	struct peershm_resolve resolve = { .size = sizeof(resolve), .region = region->id };

	memcpy(resolve.name, attach->client_name, sizeof(resolve.name));
	if (!pshm_device_command(fd, PEERSHM_IOC_RESOLVE, &resolve) && resolve.pid)
		return pshm_fail(err, "client name %s is that of a live process, PID %d",
				 attach->client_name, resolve.pid);
	return pshm_fail(err, "client name %s is that of a live process", attach->client_name);
}

static int no_room_to_attach(int err, const struct peershm_region_info *region)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < region->capacity)
		return pshm_fail(err,
				 "the window takes %" PRIu64 " bytes of address space, and "
				 "RLIMIT_AS (ulimit -v) allows this process %" PRIu64,
				 (uint64_t)region->capacity, (uint64_t)limit.rlim_cur);
	return pshm_fail(err, NULL);
}

int pshm_reason_attach(int err, int fd, const struct peershm_attach *attach)
{
	struct peershm_region_info region;

	if (err == -ENOENT)
		return pshm_fail(err, "there is no region of this name");
	if (pshm_stat_name(fd, attach->region_name, &region))
		return pshm_fail(err, NULL); /* one that may not read it is told no more */
	switch (err) {
	case -EACCES:
		return pshm_fail(err, "the region has mode %04o, owner %u and group %u",
				 region.mode, region.uid, region.gid);
	case -EADDRINUSE:
		return range_of_mapping(err, &region);
	case -EAGAIN:
		return pshm_fail(err,
				 "this process locks its memory (mlockall) and the window, %" PRIu64
				 " bytes, exceeds its RLIMIT_MEMLOCK: raise RLIMIT_MEMLOCK, give "
				 "it CAP_IPC_LOCK, or open the region before "
				 "mlockall(MCL_FUTURE)",
				 (uint64_t)region.capacity);
	case -EEXIST:
		return taken_client_name(err, fd, attach, &region);
	case -ENOMEM:
		return no_room_to_attach(err, &region);
	case -ENOSPC:
		return pshm_fail(err,
				 "the region takes %u clients and has them (" PARAMETERS
				 "max_clients is the module's limit), or as many of this user as "
				 "max_user_clients says",
				 region.max_clients);
	default:
		return pshm_fail(err, NULL);
	}
}

int pshm_reason_grow(int err, const struct peershm *handle, uint64_t size)
{
	switch (err) {
	case -ENOMEM:
		return pshm_fail(err, "%s", empty_pool(handle->backing));
	case -ENOSPC:
		if (size > handle->capacity)
			return pshm_fail(err, "beyond the region's capacity of %" PRIu64 " bytes",
					 handle->capacity);
		return pshm_fail(err, "the module's limit on the memory of all regions, or of its "
				      "owner's, is reached (" PARAMETERS "max_bytes, "
				      "max_user_bytes)");
	default:
		return pshm_reason_region(err, handle);
	}
}

int pshm_reason_control(int err, const struct peershm *handle)
{
	if (err == -EACCES && handle->read_only)
		return pshm_fail(err,
				 "%s could be opened for reading alone: this process cannot "
				 "tell the others where it reads",
				 PEERSHM_DEVICE);
	return pshm_fail(err, NULL);
}

int pshm_reason_client(int err, const struct peershm *handle)
{
	if (err == -ENOENT)
		return pshm_fail(err, "there is no such client");
	return pshm_reason_region(err, handle);
}

int pshm_reason_region(int err, const struct peershm *handle)
{
	if (err == -EACCES && handle->read_only)
		return pshm_fail(err, "the region was opened read-only");
	if (err == -ENOENT)
		return pshm_fail(err, "the region is gone");
	return pshm_fail(err, NULL);
}
