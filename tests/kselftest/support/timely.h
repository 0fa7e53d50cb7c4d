/* SPDX-License-Identifier: GPL-2.0-only */
/* Grows that are to be in time, whatever hinders one of the peers. */
#ifndef PEERSHM_TEST_TIMELY_H
#define PEERSHM_TEST_TIMELY_H

#include "peer.h"

#define TIMELY_PEERS 16

/* What a grow is told to wait for its peers. */
#define TIMELY_MS 5

/* Grow, and see that it waited no longer than it was told. */
void timely_grow(const struct region *r, uint64_t length, struct peershm_grow *g);

/* So many clients, p0 to p15. */
void timely_peers(const struct region *r, struct peer *peers[TIMELY_PEERS]);

/*
 * A thousand times (by the scale) by a page, with those peers. The odd one may be deferred,
 * nobody else: they have all of it. Gives how often it was.
 */
unsigned int timely_grows(const struct region *r, struct peer *peers[TIMELY_PEERS],
			  const struct peer *odd);

/* The odd one has all of the region before long, with nobody doing anything for it. */
void timely_catches_up(const struct region *r, struct peer *odd);

struct peershm_client_info timely_info(const struct region *r, const struct peer *p);

#endif
