// SPDX-License-Identifier: GPL-2.0-only
/*
 * peershm itself. The process that grows opens the region without a client name, so it is no client:
 * with 0 peers there is nobody to map for.
 */
#include <errno.h>
#include <peershm.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "subject.h"

#define REGION "bench"
#define RESERVE_MS 60000

static const char *const backings[] = { "thp", "small", "hugetlb-2m", "hugetlb-1g", NULL };

static struct peershm *shm;

static bool done(const char *what, int err)
{
	if (err)
		fprintf(stderr, "bench: peershm: %s: %s\n", what, peershm_strerror(err));
	return !err;
}

static bool open_region(const char *backing)
{
	struct peershm_options options = { .capacity = BENCH_CAPACITY };

	if (!done("its backing", peershm_backing_find(backing, &options.backing)))
		return false;
	peershm_unlink(REGION); /* that a run left which was killed */
	return done("making it",
		    peershm_open(&shm, REGION, NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &options));
}

static bool close_region(void)
{
	peershm_close(shm);
	return done("unlinking it", peershm_unlink(REGION));
}

static bool reached(const char *what, int err, const struct peershm_report *report)
{
	if (!done(what, err))
		return false;
	if (report->mapped == report->nr_peers)
		return true;
	fprintf(stderr, "bench: peershm: %s: %u of %u clients mapped\n", what, report->mapped,
		report->nr_peers);
	return false;
}

static bool grow(uint64_t from, uint64_t to, uint64_t *place)
{
	struct peershm_report report = { .timeout_ms = 10000 };

	*place = from;
	return reached("growing", peershm_grow(shm, to, &report), &report);
}

static bool shrink(uint64_t from, uint64_t to)
{
	(void)to;
	/* no peer is in a read section, and waiting for readers is not what is measured */
	return done("shrinking", peershm_shrink_force(shm, from));
}

static bool map(uint64_t length)
{
	struct peershm_report report = { .timeout_ms = 10000 };

	return reached("mapping", peershm_map_all(shm, 0, length, &report), &report);
}

/* The module fills the reserve in the background; how long that takes is not measured. */
static bool keep_reserve(uint64_t length)
{
	struct peershm_region_info info = { 0 };
	int err;

	err = peershm_set_reserve(shm, length);
	for (int ms = 0; !err; ms++) {
		err = peershm_stat(shm, &info);
		if (!err && info.reserved == length)
			return true;
		if (ms == RESERVE_MS)
			err = -ETIMEDOUT;
		usleep(1000);
	}
	return done("the reserve", err);
}

static bool join(unsigned int peer)
{
	char name[16];

	snprintf(name, sizeof(name), "peer-%u", peer);
	return done("opening", peershm_open(&shm, REGION, name, 0, NULL));
}

static bool leave(void)
{
	peershm_close(shm);
	shm = NULL;
	return true;
}

static char *at(uint64_t place)
{
	return shm ? (char *)peershm_base(shm) + place : NULL;
}

const struct subject subject = {
	.name = "peershm",
	.backings = backings,
	.zero_peers = true,
	.open = open_region,
	.grow = grow,
	.shrink = shrink,
	.close = close_region,
	.join = join,
	.at = at,
	.leave = leave,
	.map = map,
	.keep_reserve = keep_reserve,
};
