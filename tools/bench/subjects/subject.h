/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is measured: one way of having memory that grows and is shared. Each is a program of its
 * own, made of its subject, the crew of peers, and the rounds that are the same for all.
 */
#ifndef PEERSHM_BENCH_SUBJECT_H
#define PEERSHM_BENCH_SUBJECT_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_CAPACITY (2ULL << 30) /* of addresses, for what needs to reserve them */

struct subject {
	const char *name;
	const char *const *backings; /* ends with NULL; the first is the default */
	bool zero_peers;	     /* can it grow with nobody there? */

	/* In the process that grows. Peers are processes already, and wait. */
	bool (*open)(const char *backing);
	/* Gives the place of the new memory, which at() of a peer makes an address. */
	bool (*grow)(uint64_t from, uint64_t to, uint64_t *place);
	bool (*shrink)(uint64_t from, uint64_t to); /* NULL: it does not */
	bool (*close)(void);

	/* In a peer. */
	bool (*join)(unsigned int peer);
	char *(*at)(uint64_t place);
	/* Told of new memory, where peers have to be told; else NULL. */
	bool (*receive)(char *memory, uint64_t length);
	/* Undo join; NULL where a process cannot. */
	bool (*leave)(void);

	/* Only where there is such a call: NULL elsewhere. */
	bool (*map)(uint64_t length);	       /* into all peers, of what is there */
	bool (*keep_reserve)(uint64_t length); /* and wait until it is there */
};

/* The one of this program. */
extern const struct subject subject;

#endif
