/* SPDX-License-Identifier: GPL-2.0-only */
/* Where memory lies: NUMA nodes, and page frames. */
#ifndef PEERSHM_TEST_PLACE_H
#define PEERSHM_TEST_PLACE_H

#include <stdint.h>

/* The first two nodes that have memory; skips if there is only one. */
void two_nodes(int nodes[2]);

/* The last node that has memory; -1 if there is only one. */
int last_node(void);

/*
 * The entries of /proc/self/pagemap for the pages of a range, each of which is touched first; for
 * the caller to free.
 */
uint64_t *page_entries(uint64_t address, uint64_t length);

#define PAGE_PRESENT(entry) ((entry) >> 63)
#define PAGE_FRAME(entry) ((entry) & ((1ULL << 55) - 1))

#endif
