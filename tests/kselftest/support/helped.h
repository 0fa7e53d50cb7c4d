/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether other CPUs took part in what a command does: a kernel thread for each. */
#ifndef PEERSHM_TEST_HELPED_H
#define PEERSHM_TEST_HELPED_H

#include <stdbool.h>

/* From now on, until the test ends, helpers are seen; skips where there can be none. */
void helpers_watch(void);

/* Has one begun since they are watched, or since the last call? */
bool helpers_came(void);

/* For a peer: use this CPU alone, so that nobody helps. */
long use_one_cpu(void *arg);

#endif
