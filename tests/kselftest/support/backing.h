/* SPDX-License-Identifier: GPL-2.0-only */
/* The four backings and what tests do with them. */
#ifndef PEERSHM_TEST_BACKING_H
#define PEERSHM_TEST_BACKING_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/peershm.h>

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

struct backing {
	enum peershm_backing id;
	const char *name;
	uint64_t page;	   /* sizes are multiples of it */
	uint64_t step;	   /* what a test grows by */
	uint64_t capacity; /* room for two steps at least */
};

extern struct backing backings[4];
extern const struct backing *const small, *const thp, *const hugetlb_2m, *const hugetlb_1g;

/* The system's page, which is the page of small. */
#define SYSTEM_PAGE (small->page)

/* Skip the test unless that many bytes of this backing can be had. */
void backing_needs(const struct backing *b, uint64_t bytes);

/* Free pages in the pool of a hugetlb backing; -1 if there is no pool. */
long backing_free_pages(const struct backing *b);

bool backing_is_hugetlb(const struct backing *b);

#endif
