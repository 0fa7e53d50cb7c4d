/* SPDX-License-Identifier: GPL-2.0-only */
/* Two regions on which calls are made that have to fail, and that then have to be as before. */
#ifndef PEERSHM_TEST_FIXTURE_H
#define PEERSHM_TEST_FIXTURE_H

#include "command.h"
#include "device.h"
#include "snapshot.h"

/* A region this process is a client of, and one that it is not; both have 1 MiB. */
struct fixture {
	struct region *region, *other;
	struct client *witness;
	struct snapshot *before;
	struct peershm_region_info other_before;
	int files[64];
	unsigned int nr_files;
};

struct fixture *fixture_new(void);
int fixture_file(struct fixture *f); /* a new one */
void fixture_unchanged(struct fixture *f);
void fixture_end(void *f); /* closes the files; also after the test */

/* The argument with which the command would succeed; gives the file for it. */
int fixture_fill(struct fixture *f, const struct command *c, union argument *a);

/* The ioctl gives `want`, and changes nothing if that is an error; `how` it was made. */
void fixture_expect(struct fixture *f, const struct command *c, int fd, void *arg, int want,
		    const char *how);

#endif
