/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Creating a region, and explaining why that failed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define MAX_LISTED 256 /* regions to look at */
#define LEAST_BASE (16ULL << 20)
#define MOST_CLIENTS 1024U

static bool ranges_overlap(const struct peershm_region_info *region,
			   const struct peershm_create *create)
{
	return region->base < create->base + create->capacity &&
	       create->base < region->base + region->capacity;
}

/* The regions that the caller may read. Returns how many; the caller frees the array. */
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

/* Find the region that has the address range. */
static int range_taken(int err, int fd, const struct peershm_create *create)
{
	const struct peershm_region_info *taker = NULL;
	struct peershm_region_info *regions;
	uint32_t n = list_regions(fd, &regions);

	for (uint32_t i = 0; i < n && !taker; i++) {
		if (ranges_overlap(&regions[i], create))
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

/*
 * Find the limit of the module that is reached, in the order in which the module checks
 * them. The caller may not be allowed to list all regions, so the cause is not always
 * found.
 */
static int limit_reached(int err, int fd, const struct peershm_create *create)
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
				 "%u clients are more than a region can have: " PSHM_PARAMETERS
				 "max_clients is %" PRIu64 ", and more than %u are not possible",
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

static int argument_refused(int err, const struct peershm_create *create)
{
	uint64_t unit = alignment(create);
	uint64_t base = create->base;

	if (create->mode & ~0777U)
		return pshm_fail(err, "mode 0%o is more than permission bits, 0 to 0777",
				 create->mode);
	if (base && base < LEAST_BASE)
		return pshm_fail(err, "base 0x%" PRIx64 " is below 0x%llx", base, LEAST_BASE);
	if (base % unit)
		return pshm_fail(err, "base 0x%" PRIx64 " is not a multiple of 0x%" PRIx64, base,
				 unit);
	if (base)
		return pshm_fail(err,
				 "a capacity of %" PRIu64 " bytes at base 0x%" PRIx64
				 " reaches beyond the address space of a process",
				 (uint64_t)create->capacity, base);
	return pshm_fail(err, "the module refuses a capacity of %" PRIu64 " bytes",
			 (uint64_t)create->capacity);
}

static int create_failed(int err, int fd, const struct peershm_create *create)
{
	switch (err) {
	case -EADDRINUSE:
		return range_taken(err, fd, create);
	case -EINVAL:
		return argument_refused(err, create);
	case -ENODEV:
		return pshm_fail(err, "%s", missing_backing(create->backing));
	case -EPERM:
		return pshm_reason_pool(err);
	case -ENOMEM:
		return pshm_fail(err, "%s", pshm_reason_memory(create->backing));
	case -ENOSPC:
		return limit_reached(err, fd, create);
	default:
		return pshm_fail(err, NULL);
	}
}

/* Returns -EEXIST without a message, because for the caller it may not be a failure. */
int pshm_create(int fd, struct peershm_create *create)
{
	int err = pshm_device_command(fd, PEERSHM_IOC_CREATE, create);

	return err && err != -EEXIST ? create_failed(err, fd, create) : err;
}
