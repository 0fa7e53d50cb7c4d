/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The peers: processes that sleep on a futex until all of them are given an order. The last one
 * that is done wakes the process that gave it. Nobody polls.
 */
#ifndef PEERSHM_BENCH_CREW_H
#define PEERSHM_BENCH_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define CREW_MAX 64

enum order {
	ORDER_JOIN,
	ORDER_LEAVE,
	ORDER_RECEIVE, /* call the subject's receive() for the new memory, if it has one */
	ORDER_WRITE,   /* write to every page of it */
	ORDER_TAKE,    /* ORDER_RECEIVE, then ORDER_WRITE */
	ORDER_FORGET,  /* zap the page table entries for it */
	ORDER_TABLES,  /* tell how large the page tables are */
	ORDER_END,
};

struct crew;

/*
 * Fork the peers, which are numbered from `first`. To be called before the process that grows
 * opens or maps anything, so that the peers inherit none of it.
 */
struct crew *crew_start(unsigned int peers, unsigned int first);

/*
 * Give an order to all peers, and wait until they have done it. The sum of their answers goes to
 * *sum, which may be NULL: for ORDER_WRITE and ORDER_TAKE page faults since the order before, for
 * ORDER_TABLES bytes, for ORDER_JOIN nanoseconds. False if a peer failed.
 */
bool crew_do(struct crew *crew, enum order order, uint64_t place, uint64_t length, uint64_t *sum);

/* End the peers. False if one of them did not exit with status 0. */
bool crew_end(struct crew *crew);

uint64_t bench_now(void);

#endif
