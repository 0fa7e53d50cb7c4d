/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that use the library. */
#ifndef PEERSHM_TEST_LIBRARY_H
#define PEERSHM_TEST_LIBRARY_H

#include <peershm.h>

#include "peer.h"

/* The handle of this process, or of the peer that a function runs in. */
extern struct peershm *shm;

struct open_order {
	char region[PEERSHM_NAME_SIZE], client[PEERSHM_NAME_SIZE];
	unsigned int flags;
};

/* In a peer, with a struct open_order: open `shm`, with a capacity of 1 GiB if it is made. */
long open_by_library(void *arg);

/* A peer that has opened the region, which it makes if it is not there. */
struct peer *library_peer(const char *region, const char *client);

/* The same in this process with a new region; closed after the test. */
struct peershm *open_here(char name[PEERSHM_NAME_SIZE], const char *client,
			  const struct peershm_options *options);
void close_here(void);

#endif
