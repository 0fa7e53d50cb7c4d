/* SPDX-License-Identifier: GPL-2.0-only */
/* Grows that have to return in time although one of the peers cannot be reached. */
#ifndef PEERSHM_TEST_TIMELY_H
#define PEERSHM_TEST_TIMELY_H

#include "peer.h"

#define TIMELY_PEERS 16

/* How long a grow may wait for its peers. */
#define TIMELY_MS 5

/* Grow, and fail the test if that waited longer than it may. */
void timely_grow(const struct region *r, uint64_t length, struct peershm_grow *g);

/* So many clients, p0 to p15. */
void timely_peers(const struct region *r, struct peer *peers[TIMELY_PEERS]);

/*
 * Grow by a page, a thousand times (by the scale). Only the odd peer may be deferred; all others
 * have the memory. Gives how often the odd one was deferred.
 */
unsigned int timely_grows(const struct region *r, struct peer *peers[TIMELY_PEERS],
			  const struct peer *odd);

/* Fails the test unless the odd peer soon has all of the region, without any further call. */
void timely_catches_up(const struct region *r, struct peer *odd);

struct peershm_client_info timely_info(const struct region *r, const struct peer *p);

#endif
