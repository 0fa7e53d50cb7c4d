/* SPDX-License-Identifier: GPL-2.0-only */
/* The cases of a program, each in a process of its own. */
#ifndef PEERSHM_TEST_DEADLINE_H
#define PEERSHM_TEST_DEADLINE_H

#include "test.h"

/*
 * Run those that PEERSHM_TEST_FILTER lets through, and print TAP; gives the exit status. A
 * case has PEERSHM_TEST_SECONDS, or test_goes_on() again and again.
 */
int run_with_deadlines(const struct CMUnitTest *tests, size_t n);

#endif
