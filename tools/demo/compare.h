/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same growth with a memfd and with regions: three processes have the memory mapped, it grows
 * step by step, and after each step all three write to every new page. How long does that take?
 */
#ifndef DEMO_COMPARE_H
#define DEMO_COMPARE_H

#include <peershm.h>
#include <stdbool.h>
#include <stdint.h>

#define COMPARE_PEERS 3
#define COMPARE_ROUNDS 5 /* the median of so many is shown */

struct compare {
	const char *title;
	uint64_t faults;   /* of all peers together, in the round with the most */
	uint64_t grow_ns;  /* in the calls that grow */
	uint64_t touch_ns; /* that a peer needs, on average, to write to the new pages */
	uint64_t total_ns; /* until every peer has written to every new page */
};

bool compare_memfd(struct compare *result, uint64_t total, uint64_t step);
bool compare_peershm(struct compare *result, enum peershm_backing backing, uint64_t total,
		     uint64_t step);

/* One of the peers: a client of `region`, or, if that is "", one that maps the memfd. */
int compare_main(const char *region, const char *client);

/* The name of its region, to clean up after a failure. */
#define COMPARE_REGION "peershm-demo-compare"

#endif /* DEMO_COMPARE_H */
