/* SPDX-License-Identifier: GPL-2.0-only */
/* Every command with arguments that are good, for tests to spoil. */
#ifndef PEERSHM_TEST_FIXTURE_H
#define PEERSHM_TEST_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "snapshot.h"

/* A region this process is a client of, and one that it is not. */
struct fixture {
	struct region *region, *other;
	struct client *witness;
	struct snapshot *before;
	struct peershm_region_info other_before;
	int files[64];
	unsigned int nr_files;
};

union argument {
	uint32_t size;
	struct peershm_create create;
	struct peershm_attach attach;
	struct peershm_detach detach;
	struct peershm_grow grow;
	struct peershm_peer_map peer_map;
	struct peershm_shrink shrink;
	struct peershm_set_root set_root;
	struct peershm_get_root get_root;
	struct peershm_roots roots;
	struct peershm_clients clients;
	struct peershm_resolve resolve;
	struct peershm_regions regions;
	struct peershm_stat stat;
	struct peershm_unlink unlink;
	struct peershm_set_reserve set_reserve;
	struct peershm_watch watch;
	char bytes[1024];
};

/* Both regions have 1 MiB. */
struct fixture *fixture_new(void);
int fixture_file(struct fixture *f); /* a new one */
void fixture_unchanged(struct fixture *f);
void fixture_end(void *f); /* closes the files; also after the test */

struct call {
	const char *name;
	unsigned long command;
	size_t size;
	/* Arguments with which it would succeed, and the file for it. */
	int (*fill)(struct fixture *f, union argument *a);
};

/* In the order of the table every call can be made once in a fixture. */
extern const struct call calls[];
extern const unsigned int nr_calls;

#define for_each_call(c) for (const struct call *c = calls; c < calls + nr_calls; c++)

int call_prepare(struct fixture *f, const struct call *c, union argument *a);

/* The call gives `want`, and changes nothing if that is an error; `how` it was made. */
void call_expect(struct fixture *f, const struct call *c, int fd, void *arg, int want,
		 const char *how);

#endif
