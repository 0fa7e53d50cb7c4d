/* SPDX-License-Identifier: GPL-2.0-only */
/* Every command of the device, as a peer runs it, and how to take it back. */
#ifndef PEERSHM_TEST_COMMAND_H
#define PEERSHM_TEST_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "peer.h"

/* Of memory that an operation is done to: few pages, as each is many points to fail at. */
#define STEP(b) ((b)->id == PEERSHM_SMALL ? 16 * (b)->page : (b)->page)

enum operation_where {
	OPERATION_OUTSIDE, /* in a peer that is no client */
	OPERATION_UNDONE,  /* the same; the module undoes it if it cannot give its answer */
	OPERATION_INSIDE,  /* in a client */
};

/* What an operation is done to. The region has `step` bytes and a client "witness". */
struct operation_target {
	char region[PEERSHM_NAME_SIZE];
	uint64_t id, base, step, capacity;
	uint64_t length; /* that is grown by */
	enum peershm_backing backing;
};

/*
 * They run in a peer, with a struct operation_target. What run needs is prepared first, which
 * may have been done before; prepare and undo may be NULL.
 */
struct operation {
	const char *name;
	peer_function prepare;
	peer_function run;
	peer_function undo;
	enum operation_where where;
};

extern const struct operation operations[];
extern const int nr_operations;
int operation_find(const char *name);
long operation_prepare(int operation, struct operation_target *target);
long operation_undo(int operation, struct operation_target *target);

/* What peers that are gone did to a region is undone; `file` is another client's. */
void operation_clean(int file, const struct operation_target *target);

/* False of what is the same with all sizes of pages, and clears one each time that takes long. */
bool operation_is_worth(int operation, const struct backing *b);

/* Who did it may be a client or not, and by another name. */
bool operation_attaches(int operation);

/* What was in the memory is gone when it has been undone. */
bool operation_shrinks(int operation);

struct operation_target operation_target_of(const struct region *r, uint64_t step);

/* A peer that is ready for the operations of that kind. */
struct peer *operation_peer(const struct region *r, bool client);

#endif
