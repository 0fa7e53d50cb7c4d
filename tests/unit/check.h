/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmocka, and the headers that it needs before it. */
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

#endif /* TESTS_UNIT_CHECK_H */
