/* SPDX-License-Identifier: GPL-2.0-only */
/* Contents that can be checked, and peers that write to a region while it is under pressure. */
#ifndef PEERSHM_TEST_LOAD_H
#define PEERSHM_TEST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "peer.h"

/*
 * In every page the first words belong to the writers of a load, one to each. The rest of the
 * page is contents: each word follows from its address and a seed.
 */
#define LOAD_WRITERS 4

/* Fill a range with contents, or check them, in a peer. The check fails at a wrong word. */
void peer_fill(struct peer *p, uint64_t address, uint64_t length, uint64_t seed);
void peer_check(struct peer *p, uint64_t address, uint64_t length, uint64_t seed);

/*
 * How much of a backing to put under a load whose pages move: for every page that moves, all
 * CPUs wait for each other.
 */
uint64_t load_length(const struct backing *b);

/* Get ready for a load. To be called before there are peers. */
void load_prepare(void);

/*
 * Let the peers, at most LOAD_WRITERS, each write to every page of the range, in rounds,
 * and check before it writes that its word is what it wrote there the round before.
 */
void load_start(struct peer *const *peers, unsigned int n, uint64_t address, uint64_t length);

/* Wait until every writer has been through the range another time. */
void load_goes_on(void);

/* End it; fails the test if a writer found a word that it had not written. */
void load_stop(void);

#endif
