/* SPDX-License-Identifier: GPL-2.0-only */
#include "harness.h"
#include "taken.h"

struct wanted {
	const struct backing *backing;
	long bytes;
};

long taken(const struct backing *b)
{
	if (backing_is_hugetlb(b))
		return -backing_free_pages(b) * (long)b->page;
	return meminfo("Shmem:");
}

static bool at_most(void *arg)
{
	const struct wanted *w = arg;

	return taken(w->backing) <= w->bytes;
}

static bool at_least(void *arg)
{
	const struct wanted *w = arg;

	return taken(w->backing) >= w->bytes;
}

bool taken_until_at_most(const struct backing *b, long bytes, unsigned int ms)
{
	return test_until(at_most, &(struct wanted){ b, bytes }, ms);
}

bool taken_until_at_least(const struct backing *b, long bytes, unsigned int ms)
{
	return test_until(at_least, &(struct wanted){ b, bytes }, ms);
}
