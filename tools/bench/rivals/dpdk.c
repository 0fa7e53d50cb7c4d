// SPDX-License-Identifier: GPL-2.0-only
/*
 * DPDK's dynamic memory: the primary process allocates with rte_malloc(), which maps new huge
 * pages into every secondary before it returns, by a message that a thread in each answers.
 */
#include <stdio.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "../subjects/subject.h"

static const char *const backings[] = { "hugetlb-2m", NULL };

static void *allocated;

/* rte_eal_init() keeps the strings, and may reorder the array: so both are static. */
static bool initialise(const char *kind)
{
	static char kind_option[32];
	static char *arguments[] = { "bench",	   kind_option,		  "--file-prefix=bench",
				     "--no-pci",   "--no-telemetry",	  "--log-level=critical",
				     "--lcores=0", "--match-allocations", NULL };

	snprintf(kind_option, sizeof(kind_option), "--proc-type=%s", kind);
	if (rte_eal_init(8, arguments) >= 0)
		return true;
	fprintf(stderr, "bench: dpdk: rte_eal_init: %s\n", rte_strerror(rte_errno));
	return false;
}

static bool open_primary(const char *backing)
{
	(void)backing;
	return initialise("primary");
}

static bool join(unsigned int peer)
{
	(void)peer;
	return initialise("secondary");
}

static bool grow(uint64_t from, uint64_t to, uint64_t *place)
{
	allocated = rte_malloc(NULL, to - from, 0);
	*place = (uintptr_t)allocated;
	if (!allocated)
		fprintf(stderr, "bench: dpdk: rte_malloc: %s\n", rte_strerror(rte_errno));
	return allocated;
}

static bool shrink(uint64_t from, uint64_t to)
{
	(void)from;
	(void)to;
	rte_free(allocated);
	return true;
}

static bool close_primary(void)
{
	return !rte_eal_cleanup();
}

static char *at(uint64_t place)
{
	return (char *)(uintptr_t)place;
}

const struct subject subject = {
	.name = "dpdk",
	.backings = backings,
	.zero_peers = true,
	.open = open_primary,
	.grow = grow,
	.shrink = shrink,
	.close = close_primary,
	.join = join,
	.at = at,
};
