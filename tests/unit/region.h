/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A case with the region "routes" on the fake device, one client of it, and a handle without one. */
#ifndef TESTS_UNIT_REGION_H
#define TESTS_UNIT_REGION_H

#include "fake_device.h"

static struct peershm *client;
static struct peershm *administrator;

static int region_setup(void **state)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };

	fake_setup(state);
	return peershm_open(&client, "routes", "bgpd", PEERSHM_CREATE, &options) ||
	       peershm_open(&administrator, "routes", NULL, 0, NULL);
}

static int region_teardown(void **state)
{
	peershm_close(administrator);
	peershm_close(client);
	return fake_teardown(state);
}

#define REGION_CASE(name) CASE_WITH(name, region_setup, region_teardown)

#endif /* TESTS_UNIT_REGION_H */
