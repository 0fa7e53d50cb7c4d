/* SPDX-License-Identifier: GPL-2.0-only */
/* Peers that do things to one region at once, thousands of times, in step. */
#ifndef PEERSHM_TEST_RACE_H
#define PEERSHM_TEST_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include "peer.h"

#define RACE_PEERS 4

/* What one peer of a race is told. */
struct race {
	char region[PEERSHM_NAME_SIZE];
	uint64_t id, base;
	uint64_t page, part; /* the backing's, and what the race grows by at a time */
	uint32_t seed;
	unsigned int me, rounds;
};

/* What the peers of a race share. */
struct race_shared {
	uint64_t values[RACE_PEERS];
	char message[256];
};

extern struct race_shared *race_shared;

/* Run the functions, one in each peer, and fail if one of them does. */
void race_run(const struct region *r, const peer_function *functions, unsigned int n,
	      unsigned int rounds);

/*
 * Wait until all peers of the race are here; race_meet_two() for two of them.
 * False if the others do not come.
 */
bool race_meet(void);
bool race_meet_two(void);

/* Wait for a random time, most often shorter than a command takes. */
void race_stagger(uint32_t *seed);

long race_failed(const char *what, long value, const char *file, int line);

/* In a peer: end the race unless the condition holds. */
#define race_expect(condition, value)                                                      \
	do {                                                                               \
		if (!(condition))                                                          \
			return race_failed(#condition, (long)(value), __FILE__, __LINE__); \
	} while (0)

/* In a peer: end the race unless the call gives 0. */
#define race_ok(call)                                                                \
	do {                                                                         \
		long err_ = (call);                                                  \
		if (err_)                                                            \
			return race_failed(#call " is 0", err_, __FILE__, __LINE__); \
	} while (0)

/* In a peer: become a client of the race's region. */
int race_join(const struct race *race, const char *name);

/* In a peer: wait for the others, or end the race. */
#define race_together()                                                               \
	do {                                                                          \
		if (!race_meet())                                                     \
			return race_failed("the others came", 0, __FILE__, __LINE__); \
	} while (0)

#endif
