/* SPDX-License-Identifier: GPL-2.0-only */
#include "harness.h"
#include "library.h"

struct peershm *shm;

static const struct peershm_options default_options = { .capacity = GIB };

long open_by_library(void *arg)
{
	const struct open_order *o = arg;

	return peershm_open(&shm, o->region, o->client, o->flags, &default_options);
}

struct peer *library_peer(const char *region, const char *client)
{
	struct open_order o = { .flags = PEERSHM_CREATE };
	struct peer *p = peer_new();

	put_name(o.region, region);
	put_name(o.client, client);
	assert_ok(peer_call(p, open_by_library, &o, sizeof(o)));
	return p;
}

void close_here(void)
{
	peershm_close(shm);
	shm = NULL;
}

static void close_after_test(void *unused)
{
	(void)unused;
	close_here();
}

struct peershm *open_here(char name[PEERSHM_NAME_SIZE], const char *client,
			  const struct peershm_options *options)
{
	region_name(name);
	assert_ok(peershm_open(&shm, name, client, PEERSHM_CREATE,
			       options ? options : &default_options));
	assert_non_null(shm);
	test_cleanup(close_after_test, NULL);
	return shm;
}
