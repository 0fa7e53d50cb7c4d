/* SPDX-License-Identifier: GPL-2.0-only */
/* A signal comes at every point of every command. */
#include <sys/time.h>

#include "support/harness.h"
#include "support/interruption.h"
#include "support/taken.h"

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

static void ignore(int signal)
{
	(void)signal;
}

/* With a signal each few milliseconds. */
static long attach_under_signals(void *arg)
{
	const struct sigaction action = { .sa_handler = ignore };
	struct itimerval each = { { 0, 5000 }, { 0, 5000 } };
	const struct target *target = arg;
	int fd = device_open(O_RDWR);
	long err;

	if (fd < 0 || sigaction(SIGALRM, &action, NULL))
		return -EIO;
	setitimer(ITIMER_REAL, &each, NULL);
	err = do_attach(fd, target->region, "late", 0, NULL);
	each.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &each, NULL);
	close(fd);
	return err;
}

static long grow_by_target(void *arg)
{
	return do_grow(self.fd, 0, ((struct target *)arg)->length, NULL);
}

/* Pages of 1 GiB: to clear them takes long. */
static void an_attach_that_waits_for_a_grow_of_the_pool_is_interrupted(void **state)
{
	const struct backing *b = &backings[PEERSHM_HUGETLB_1G];
	struct target target;
	long before;
	struct peer *holder, *late = peer_new();
	struct region *r;

	(void)state;
	backing_needs(b, 2 * b->page);
	r = region_new(b, b->capacity);
	target = target_of(r, b->page);
	target.length = 2 * b->page;
	holder = peer_join(r, "holder");
	before = taken(b);
	peer_start(holder, grow_by_target, &target, sizeof(target));
	assert_true(taken_until_at_least(b, before + (long)b->page, DEADLINE_MS));
	assert_error(peer_call(late, attach_under_signals, &target, sizeof(target)), -EINTR);
	/* All this while it grew. */
	assert_error(peer_finish_within(holder, NULL, 0, 0), -ETIMEDOUT);
	assert_ok(peer_finish(holder, NULL, 0));
	assert_int_equal(region_nr_clients(r), 1);
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
		TEST(an_attach_that_waits_for_a_grow_of_the_pool_is_interrupted),
		TEST_QUICK_BACKINGS(who_is_killed_anywhere_has_changed_all_or_nothing),
	};

	hold_tracepoints();
	return test_run(tests);
}
