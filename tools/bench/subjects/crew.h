/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Peers: processes that sleep on a futex until they are told to do something, all at once, and
 * wake the one who told them when the last is done. Nobody polls.
 */
#ifndef PEERSHM_BENCH_CREW_H
#define PEERSHM_BENCH_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define CREW_MAX 64

enum order {
	ORDER_JOIN,
	ORDER_LEAVE,
	ORDER_RECEIVE, /* what the subject's peers do about new memory */
	ORDER_WRITE,   /* to every page of it */
	ORDER_TAKE,    /* both */
	ORDER_FORGET,  /* empty the page tables of it */
	ORDER_TABLES,  /* how large are they? */
	ORDER_END,
};

struct crew;

/*
 * To be called before the process that grows does anything: peers inherit nothing. They are
 * numbered from `first`.
 */
struct crew *crew_start(unsigned int peers, unsigned int first);

/*
 * Have all of them do it. The sum of what they answer goes to *sum, which may be NULL: page faults
 * since the order before, bytes of page tables, or for ORDER_JOIN nanoseconds. False if one failed.
 */
bool crew_do(struct crew *crew, enum order order, uint64_t place, uint64_t length, uint64_t *sum);

/* End them, and see that they ended well. */
bool crew_end(struct crew *crew);

uint64_t bench_now(void);

#endif
