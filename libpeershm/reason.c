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
#include <unistd.h>

#include "internal.h"

#define MAX_LISTED 256 /* regions that are looked at */
#define LEAST_BASE (16ULL << 20)
#define MOST_CLIENTS 1024U
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

/* The regions that the caller may know of, for free(); gives how many. */
static uint32_t list_regions(int fd, struct peershm_region_info **regions)
{
	int found;

	*regions = pshm_alloc(MAX_LISTED * sizeof(**regions));
	if (!*regions)
		return 0;
	found = pshm_query_regions(fd, *regions, MAX_LISTED);
	if (found < 0)
		return 0;
	return found < MAX_LISTED ? (uint32_t)found : MAX_LISTED;
}

/* The region that has the range asked for. */
static int range_of_region(int err, int fd, const struct peershm_create *create)
{
	const struct peershm_region_info *taker = NULL;
	struct peershm_region_info *regions;
	uint32_t n = list_regions(fd, &regions);

	for (uint32_t i = 0; i < n && !taker; i++) {
		if (overlap(&regions[i], create))
			taker = &regions[i];
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
			      "CAP_IPC_LOCK and for the group in " PSHM_PARAMETERS "hugetlb_group");
}

/*
 * In the order in which the module looks. What it holds against a caller that
 * may not list every region is not always to be seen.
 */
static int limit_of_regions(int err, int fd, const struct peershm_create *create)
{
	struct peershm_region_info *regions;
	uint32_t n = list_regions(fd, &regions);
	uint64_t capacity = create->capacity;
	uint32_t own = 0;
	uint64_t most;

	for (uint32_t i = 0; i < n; i++) {
		if (regions[i].uid != geteuid())
			continue;
		capacity += regions[i].capacity;
		own++;
	}
	free(regions);
	if (!pshm_parameter("max_clients", &most) &&
	    (create->max_clients > most || create->max_clients > MOST_CLIENTS))
		return pshm_fail(err,
				 "%u clients are more than a region may have: " PSHM_PARAMETERS
				 "max_clients is %" PRIu64 ", and %u is the most",
				 create->max_clients, most, MOST_CLIENTS);
	if (!pshm_parameter("max_regions", &most) && n >= most)
		return pshm_fail(err,
				 "there are %u regions, and " PSHM_PARAMETERS
				 "max_regions is %" PRIu64,
				 n, most);
	if (!pshm_exempt() && !pshm_parameter("max_user_regions", &most) && own >= most)
		return pshm_fail(err,
				 "this user has %u regions, and " PSHM_PARAMETERS
				 "max_user_regions is %" PRIu64,
				 own, most);
	if (!pshm_exempt() && !pshm_parameter("max_user_capacity", &most) && capacity > most)
		return pshm_fail(err,
				 "with a capacity of %" PRIu64 " bytes the regions of this user "
				 "would have %" PRIu64 ", and " PSHM_PARAMETERS
				 "max_user_capacity is %" PRIu64,
				 (uint64_t)create->capacity, capacity, most);
	return pshm_fail(err,
			 "no range of addresses is free for a capacity of %" PRIu64
			 " bytes, or a limit of the module is reached (" PSHM_PARAMETERS
			 "max_regions, max_user_regions, max_user_capacity%s%s)",
			 (uint64_t)create->capacity, create->max_clients ? ", max_clients" : "",
			 create->reserve ? ", max_bytes, max_user_bytes" : "");
}

static uint64_t alignment(const struct peershm_create *create)
{
	if (create->backing == PEERSHM_HUGETLB_2M || create->backing == PEERSHM_HUGETLB_1G)
		return PSHM_GIB;
	return pshm_page_unit(create->backing);
}

static int not_taken(int err, const struct peershm_create *create)
{
	uint64_t unit = alignment(create);
	uint64_t base = create->base;

	if (create->mode & ~0777U)
		return pshm_fail(err, "mode 0%o is more than permission bits, 0 to 0777",
				 create->mode);
	if (base && base < LEAST_BASE)
		return pshm_fail(err, "base 0x%" PRIx64 " is below 0x%llx", base, LEAST_BASE);
	if (base % unit)
		return pshm_fail(err, "base 0x%" PRIx64 " is no multiple of 0x%" PRIx64, base,
				 unit);
	if (base)
		return pshm_fail(err,
				 "a capacity of %" PRIu64 " bytes at base 0x%" PRIx64
				 " is beyond the addresses of a process",
				 (uint64_t)create->capacity, base);
	return pshm_fail(err, "the module does not take a capacity of %" PRIu64 " bytes",
			 (uint64_t)create->capacity);
}

int pshm_reason_create(int err, int fd, const struct peershm_create *create)
{
	switch (err) {
	case -EADDRINUSE:
		return range_of_region(err, fd, create);
	case -EEXIST:
		return pshm_fail(err, "there is a region of this name already");
	case -EINVAL:
		return not_taken(err, create);
	case -ENODEV:
		return pshm_fail(err, "%s", missing_backing(create->backing));
	case -EPERM:
		return pshm_reason_pool(err);
	case -ENOMEM:
		return pshm_fail(err, "%s", empty_pool(create->backing));
	case -ENOSPC:
		return limit_of_regions(err, fd, create);
	default:
		return pshm_fail(err, NULL);
	}
}

/* Who may read a region is told who may write it. */
static int denied(int err, const struct peershm_region_info *region)
{
	return pshm_fail(
		err,
		"denied: the region has mode %04o, owner %u and group %u; this process may "
		"read it (open it with PEERSHM_READ_ONLY)",
		region->mode, region->uid, region->gid);
}

int pshm_reason_unlink(int err, int fd, const char *name)
{
	struct peershm_region_info region;

	if (err == -ENOENT)
		return pshm_fail(err, "there is no region of this name");
	if (err == -EACCES && !pshm_query_name(fd, name, &region))
		return pshm_fail(err, "denied: only the owner, user %u, may remove the region",
				 region.uid);
	if (err == -EACCES)
		return pshm_fail(err, "denied: only the owner may remove the region");
	return pshm_fail(err, NULL);
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
	if (pshm_query_name(fd, attach->region_name, &region))
		return pshm_fail(err, NULL); /* one that may not read it is told no more */
	switch (err) {
	case -EACCES:
		if (!(attach->flags & PEERSHM_ATTACH_READ_ONLY))
			return denied(err, &region);
		return pshm_fail(err, "denied: the region has mode %04o, owner %u and group %u",
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
				 "the region takes %u clients and has them (" PSHM_PARAMETERS
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
				      "owner's, is reached (" PSHM_PARAMETERS "max_bytes, "
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

/* The client of this name, or if that is empty, of this PID. */
int pshm_reason_client(int err, const struct peershm *handle, const char *name, pid_t pid)
{
	struct peershm_region_info region;

	if (err != -ENOENT || (!handle->client && pshm_query_region(handle, &region)))
		return pshm_reason_region(err, handle);
	if (*name)
		return pshm_fail(err, "there is no client named %s", name);
	return pshm_fail(err, "process %d is no client", pid);
}

int pshm_reason_region(int err, const struct peershm *handle)
{
	struct peershm_region_info region;

	if (err == -EACCES && handle->read_only)
		return pshm_fail(err, "the region was opened read-only");
	if (err == -EACCES && !pshm_query_region(handle, &region))
		return denied(err, &region);
	if (err == -ENOENT)
		return pshm_fail(err, "the region is gone");
	return pshm_fail(err, NULL);
}
