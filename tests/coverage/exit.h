/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else when coverage is counted. A child that calls _exit() writes its
 * counts first, and a peer gets the time to do so before it is killed.
 */
#if !defined(PEERSHM_TEST_COVERAGE_EXIT_H) && !defined(__cplusplus)
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
