/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is measured: one way of having memory that grows and is shared. Each is a program of its
 * own, linked from its subject, from the crew of peers and from the rounds, which are the same for
 * all.
 */
#ifndef PEERSHM_BENCH_SUBJECT_H
#define PEERSHM_BENCH_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_CAPACITY (2ULL << 30) /* the addresses that a subject maps or sets aside */

struct subject {
	const char *name;
	const char *const *backings; /* ends with NULL; the first is the default */
	bool zero_peers;	     /* can it grow without any peer? */

	/* In the process that grows. The peers have been forked before, and wait. */
	bool (*open)(const char *backing);
	/* *place says where the new memory is; at() in a peer makes an address of it. */
	bool (*grow)(uint64_t from, uint64_t to, uint64_t *place);
	bool (*shrink)(uint64_t from, uint64_t to); /* NULL: it does not */
	bool (*close)(void);

	/* In a peer. */
	bool (*join)(unsigned int peer);
	char *(*at)(uint64_t place);
	/* What a peer does when it is told of new memory; NULL where it need not be told. */
	bool (*receive)(char *memory, uint64_t length);
	/* Undo join(); NULL where a process cannot. */
	bool (*leave)(void);

	/* NULL where there is no such call. */
	bool (*map)(uint64_t length);	       /* map the first bytes into all peers */
	bool (*keep_reserve)(uint64_t length); /* and wait until the reserve is full */
};

/* Each program defines its own. */
extern const struct subject subject;

#endif
