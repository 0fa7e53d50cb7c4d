/* SPDX-License-Identifier: GPL-2.0-only */
/* A test: its parameters, its verdict, its clock. */
#ifndef PEERSHM_TEST_TEST_H
#define PEERSHM_TEST_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backing.h"

/* What a test is run with: its *state. */
struct param {
	const char *test;
	const struct backing *backing;
	unsigned int peers;
};

#define TEST_CASE(name, f, b, n)                                    \
	{                                                           \
		name, f, test_setup, test_teardown, &(struct param) \
		{                                                   \
			name, &backings[b], n                       \
		}                                                   \
	}

/* One test, or one for each of backings[], in a table for test_run(). */
#define TEST(f) TEST_CASE(#f, f, 0, 0)
#define TEST_BACKINGS_PEERS(f, suffix, n)                                             \
	TEST_CASE(#f suffix "_small", f, 0, n), TEST_CASE(#f suffix "_thp", f, 1, n), \
		TEST_CASE(#f suffix "_hugetlb_2m", f, 2, n),                          \
		TEST_CASE(#f suffix "_hugetlb_1g", f, 3, n)
#define TEST_BACKINGS(f) TEST_BACKINGS_PEERS(f, "", 0)

#define test_run(table) test_main(table, sizeof(table) / sizeof((table)[0]))

static inline const struct param *param_of(void **state)
{
	return *state;
}

int test_setup(void **state);
int test_teardown(void **state);
int test_main(const struct CMUnitTest *tests, size_t n);

/* Name of the test that runs. */
const char *test_name(void);

/* Register what has to be put back when the test is over, last in first out. */
void test_cleanup(void (*undo)(void *), void *arg);
void test_close(int fd); /* close it then */

/* n, times the environment variable PEERSHM_TEST_SCALE (default 1), at least 1. */
unsigned int test_scale(unsigned int n);

/* The seed of this run: PEERSHM_TEST_SEED, or picked and printed. */
unsigned int test_seed(void);
uint32_t test_random(uint32_t *seed);

/* Is the kernel older than this version? */
bool kernel_before(unsigned int major, unsigned int minor);
bool machine_is_arm64(void);

uint64_t now_ms(void);
uint64_t now_ns(void);

/* Wait until condition(arg) holds; false if it does not within ms. */
bool test_until(bool (*condition)(void *), void *arg, unsigned int ms);

/* A case that takes too long fails (deadline.h): one of many steps says that it goes on. */
void test_goes_on(void);

/* How long an answer may take on a slow emulated machine. */
#define DEADLINE_MS 30000

#define skip_because(...)                   \
	do {                                \
		print_message("# SKIP ");   \
		print_message(__VA_ARGS__); \
		print_message("\n");        \
		skip();                     \
	} while (0)

void test_error(long got, long want, const char *what, const char *file, int line);

/* The call gives 0, or exactly this errno value (negative). */
#define assert_error(call, want)                                           \
	do {                                                               \
		long got_ = (call);                                        \
		if (got_ != (want))                                        \
			test_error(got_, want, #call, __FILE__, __LINE__); \
	} while (0)
#define assert_ok(call) assert_error(call, 0)

#endif
