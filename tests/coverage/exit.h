/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included first when coverage is counted: a child that _exit()s has its counts written, too,
 * and a peer is not killed unless it does not.
 */
#ifndef PEERSHM_TEST_COVERAGE_EXIT_H
#define PEERSHM_TEST_COVERAGE_EXIT_H

#include <unistd.h>

void __gcov_dump(void);

static inline _Noreturn void counted_exit(int status)
{
	__gcov_dump();
	_exit(status);
}

#define _exit(status) counted_exit(status)
#define PEER_END_MS 2000

#endif
