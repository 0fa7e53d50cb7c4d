/* SPDX-License-Identifier: GPL-2.0-only */
/* All that a client can see of a region, to show that an error changed nothing. */
#ifndef PEERSHM_TEST_SNAPSHOT_H
#define PEERSHM_TEST_SNAPSHOT_H

#include "device.h"

struct snapshot;

/* Of the region this client is attached to; freed after the test. */
struct snapshot *snapshot_take(const struct client *witness);

/* The region's generation: how many changes there had been. */
uint64_t snapshot_generation(const struct snapshot *s);

/* Take it again. */
void snapshot_again(struct snapshot *s);

/*
 * Wait until the kernel has done what it does in the background: it gives memory back that is too
 * much for the reserve, as an interrupted grow leaves it, and maps again what clients lost with
 * that of the page tables that they share.
 */
bool snapshot_settled(const struct snapshot *s);

/* Fail if anything but the generation differs: a client may have come and left. */
void snapshot_same_but_count_(struct snapshot *s, const char *file, int line);
#define snapshot_same_but_count(s) snapshot_same_but_count_(s, __FILE__, __LINE__)

/* Fail unless size, registry and header are what they were. */
void snapshot_same_(const struct snapshot *s, const char *file, int line);
#define snapshot_same(s) snapshot_same_(s, __FILE__, __LINE__)

/* The call gives that errno value, and nothing has changed. */
#define assert_error_changes_nothing(s, call, want) \
	do {                                        \
		assert_error(call, want);           \
		snapshot_same(s);                   \
	} while (0)

#endif
