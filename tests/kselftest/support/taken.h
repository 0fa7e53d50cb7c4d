/* SPDX-License-Identifier: GPL-2.0-only */
/* How much memory of a backing the whole machine has in use, and waiting for it. */
#ifndef PEERSHM_TEST_TAKEN_H
#define PEERSHM_TEST_TAKEN_H

#include <stdbool.h>

#include "backing.h"

/* In bytes. For huge pages of a pool only differences mean something: it counts what is free. */
long taken(const struct backing *b);

/* Wait until at most, or at least, so many bytes are in use; false if they never are. */
bool taken_until_at_most(const struct backing *b, long bytes, unsigned int ms);
bool taken_until_at_least(const struct backing *b, long bytes, unsigned int ms);

#endif
