/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmocka, and the headers that it needs before it. The cases of a program, each defined in one
 * place, run in the order of the file:
 *
 *	CASE(name) { ... }
 *	CASE_WITH(name, setup, teardown) { ... }     what `setup` has left is in `state`
 */
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CASE(name) CASE_WITH(name, NULL, NULL)
#define CASE_WITH(name, setup, teardown)                                             \
	static void name(void **state);                                              \
	__attribute__((constructor)) static void name##_is_a_case(void)              \
	{                                                                            \
		case_add((struct CMUnitTest){ #name, name, setup, teardown, NULL }); \
	}                                                                            \
	static void name(__attribute__((unused)) void **state)

void case_add(struct CMUnitTest test);

#define assert_contains(text, part)                                      \
	do {                                                             \
		if (!strstr(text, part))                                 \
			fail_msg("\"%s\" is not in \"%s\"", part, text); \
	} while (0)

#define skip_because(why)                          \
	do {                                       \
		print_message("# SKIP %s\n", why); \
		skip();                            \
	} while (0)

/* A thread is cancelled by the unwinder of libgcc_s, which a small system may lack. */
#define skip_without_cancellation()                            \
	do {                                                   \
		if (!dlopen("libgcc_s.so.1", RTLD_LAZY))       \
			skip_because("no libgcc_s.so.1 here"); \
	} while (0)

#endif /* TESTS_UNIT_CHECK_H */
