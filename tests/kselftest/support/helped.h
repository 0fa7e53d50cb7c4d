/* SPDX-License-Identifier: GPL-2.0-only */
/* Did kernel threads on other CPUs help a command? */
#ifndef PEERSHM_TEST_HELPED_H
#define PEERSHM_TEST_HELPED_H

#include <stdbool.h>

/* Watch for helpers until the test ends; skips where there can be none. */
void helpers_watch(void);

/* Has a helper begun since the watch began, or since the last call? */
bool helpers_came(void);

/* For a peer: use only the CPU that it runs on, so that nobody helps it. */
long use_one_cpu(void *arg);

#endif
