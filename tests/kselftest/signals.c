/* SPDX-License-Identifier: GPL-2.0-only */
/* A signal comes at every point of every command. */
#include "common/harness.h"
#include "common/interruption.h"

/* Without SA_RESTART. */
static void a_signal_anywhere_is_eintr_and_changes_nothing_or_comes_after(void **state)
{
	interrupt_every_command(param_of(state)->backing, CAUGHT);
}

static void a_signal_with_sa_restart_anywhere_lets_the_command_be_done(void **state)
{
	interrupt_every_command(param_of(state)->backing, RESTARTED);
}

static void a_stop_anywhere_lets_the_command_be_done(void **state)
{
	interrupt_every_command(param_of(state)->backing, STOPPED);
}

/* The region has its old size or the new one, and the registry is right. */
static void who_is_killed_anywhere_has_changed_all_or_nothing(void **state)
{
	interrupt_every_command(param_of(state)->backing, KILLED);
}

/* What the signal does to a grow by a page of 1 GiB it does to one by a page of 2 MiB. */
#define TEST_QUICK_BACKINGS(f)                                                                \
	TEST_CASE(#f "_small", f, PEERSHM_SMALL, 0), TEST_CASE(#f "_thp", f, PEERSHM_THP, 0), \
		TEST_CASE(#f "_hugetlb_2m", f, PEERSHM_HUGETLB_2M, 0)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(a_signal_anywhere_is_eintr_and_changes_nothing_or_comes_after),
		TEST_QUICK_BACKINGS(a_signal_with_sa_restart_anywhere_lets_the_command_be_done),
		TEST_QUICK_BACKINGS(a_stop_anywhere_lets_the_command_be_done),
		TEST_QUICK_BACKINGS(who_is_killed_anywhere_has_changed_all_or_nothing),
	};

	return test_run(tests);
}
