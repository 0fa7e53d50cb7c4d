/* SPDX-License-Identifier: GPL-2.0-only */
#include "case.h"
#include "deadline.h"
#include "harness.h"

#define MAX_CASES 128

struct test_case {
	struct param param; /* *state points to it, and so to all of this */
	void (*run)(void);
	void (*run_with)(const struct backing *b);
};

static struct test_case cases[MAX_CASES];
static struct CMUnitTest tests[MAX_CASES];
static size_t nr_cases;

static void run_case(void **state)
{
	const struct test_case *c = *state;

	if (c->run)
		c->run();
	else
		c->run_with(c->param.backing);
}

static struct test_case *add(const char *name, const char *suffix, const struct backing *b)
{
	struct test_case *c = &cases[nr_cases];
	char *whole;

	/* Before main(), so there is no test that could fail. */
	if (nr_cases == MAX_CASES || asprintf(&whole, "%s%s", name, suffix) < 0)
		abort();
	c->param = (struct param){ .test = whole, .backing = b };
	tests[nr_cases++] = (struct CMUnitTest){
		whole, run_case, test_setup, test_teardown, c,
	};
	return c;
}

void case_add(const char *name, void (*run)(void))
{
	add(name, "", small)->run = run;
}

void cases_add(const char *name, void (*run)(const struct backing *b), unsigned int which)
{
	static const char *const suffixes[] = { "_small", "_thp", "_hugetlb_2m", "_hugetlb_1g" };

	for (unsigned int i = 0; i < 4; i++) {
		if (which & 1U << i)
			add(name, suffixes[i], &backings[i])->run_with = run;
	}
}

int cases_run(void)
{
	return test_main(tests, nr_cases);
}

int cases_run_without_device(void)
{
	return run_with_deadlines(tests, nr_cases);
}

__attribute__((weak)) int main(void)
{
	return cases_run();
}
