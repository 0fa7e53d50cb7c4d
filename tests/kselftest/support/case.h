/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cases of a program, each defined in one place. main() runs them in the order of the file.
 *
 *	CASE(name) { ... }              a case
 *	CASES(name, BACKINGS) { ... }   one for each of these backings, with the backing in `b`;
 *	                                they are called name_small, name_thp and so on
 */
#ifndef PEERSHM_TEST_CASE_H
#define PEERSHM_TEST_CASE_H

#include "backing.h"

/* Backings for CASES(), in the order of backings[]. */
#define SMALL (1U << 0)
#define THP (1U << 1)
#define HUGETLB_2M (1U << 2)
#define HUGETLB_1G (1U << 3)
#define TMPFS (SMALL | THP)
#define HUGETLB (HUGETLB_2M | HUGETLB_1G)
#define UP_TO_2M (TMPFS | HUGETLB_2M)
#define ALL_BACKINGS (TMPFS | HUGETLB)

#define CASE(name)                                                      \
	static void name(void);                                         \
	__attribute__((constructor)) static void name##_is_a_case(void) \
	{                                                               \
		case_add(#name, name);                                  \
	}                                                               \
	static void name(void)

#define CASES(name, backings)                                           \
	static void name(const struct backing *b);                      \
	__attribute__((constructor)) static void name##_is_a_case(void) \
	{                                                               \
		cases_add(#name, name, backings);                       \
	}                                                               \
	static void name(const struct backing *b)

void case_add(const char *name, void (*run)(void));
void cases_add(const char *name, void (*run)(const struct backing *b), unsigned int backings);

/* For a program that has a main() of its own. */
int cases_run(void);
int cases_run_without_device(void);

#endif
