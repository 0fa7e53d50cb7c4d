/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the cases of a program. */
#include <errno.h>

#include "check.h"

static struct CMUnitTest cases[64];
static size_t nr_cases;

void case_add(struct CMUnitTest test)
{
	assert_true(nr_cases < sizeof(cases) / sizeof(cases[0]));
	cases[nr_cases++] = test;
}

/* Weak: a program may still have a main() of its own. */
__attribute__((weak)) int main(void)
{
	return _cmocka_run_group_tests(program_invocation_short_name, cases, nr_cases, NULL, NULL);
}
