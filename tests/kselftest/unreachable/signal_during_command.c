/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A signal comes at every point of every command, as during a grow: it is interrupted and has
 * changed nothing, or it is done. Commands that wait are in signal_while_waiting.c.
 */
#include <sys/time.h>

#include "support/harness.h"
#include "support/interruption.h"
#include "support/taken.h"
#include "support/tracepoint.h"

CASES(a_signal_anywhere_is_eintr_and_changes_nothing_or_comes_after, ALL_BACKINGS)
{
	interrupt_every_command(b, CAUGHT);
}

/* Without pages of 1 GiB, here and below: they show no more than pages of 2 MiB. */
CASES(a_signal_with_sa_restart_anywhere_lets_the_command_be_done, UP_TO_2M)
{
	interrupt_every_command(b, RESTARTED);
}

CASES(a_stop_anywhere_lets_the_command_be_done, UP_TO_2M)
{
	interrupt_every_command(b, STOPPED);
}

/* The region has its old size or the new one, and the registry is right. */
CASES(who_is_killed_anywhere_has_changed_all_or_nothing, UP_TO_2M)
{
	interrupt_every_command(b, KILLED);
}

static volatile sig_atomic_t nr_alarms;

static void count_alarm(int signal)
{
	(void)signal;
	nr_alarms++;
}

struct timed_grow {
	uint64_t length;
	unsigned int tries; /* out: until a signal came while it grew */
};

static long grow_under_a_timer(void *arg)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = count_alarm, .sa_flags = SA_RESTART };
	struct timed_grow *t = arg;
	int alarms;
	long err;

	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &often, NULL))
		return -errno;
	do {
		t->tries++;
		alarms = nr_alarms;
		err = do_grow(self.fd, 0, t->length, NULL);
		alarms = nr_alarms - alarms;
		if (!err && !alarms)
			err = do_shrink(self.fd, 0, 0, NULL);
	} while (!err && !alarms && t->tries < 50);
	setitimer(ITIMER_REAL, &never, NULL);
	return err ? err : alarms;
}

CASES(a_periodic_signal_with_sa_restart_does_not_keep_a_grow_from_ending, ALL_BACKINGS)
{
	uint64_t most = b->id == PEERSHM_SMALL ? 8 * MIB : 64 * MIB; /* see io_uring_task_work.c */
	struct timed_grow t = { .length = b->page > most ? b->page : most };
	struct region *r;
	struct peer *p;

	backing_needs(b, t.length);
	r = region_new(b, b->capacity);
	p = peer_join(r, "alarmed");
	/* The answer is how often the handler ran: it did run during the grow. */
	assert_true(peer_call(p, grow_under_a_timer, &t, sizeof(t)) > 0);
	assert_int_equal(region_size(r), t.length);
	assert_int_equal(peer_present(p, r->base, t.length), t.length);
}

/* Interrupt a grow when it has passed a tracepoint so often; gives what the region then keeps. */
static uint64_t kept_by_grow(const struct region *r, struct peer *p, const char *tracepoint,
			     uint64_t times)
{
	struct run run = {
		.target = target_of(r, 0),
		.command = command_find("grow"),
		.how = CAUGHT,
		.tracepoint = tracepoint_id(tracepoint),
		.at = times,
	};
	struct peershm_region_info info;

	if (run.tracepoint < 0)
		skip_because("no tracepoint %s", tracepoint);
	run.target.length = 16 * MIB;
	assert_ok(peer_call(p, run_command, &run, sizeof(run)));
	assert_error(run.err, -EINTR);
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.reserved;
}

/* It is kept for a second after the last grow. */
#define KEPT_MS 1000

static bool is_given_back(void *arg)
{
	const struct region *r = arg;
	struct peershm_region_info info;

	return !do_stat(r->fd, r->id, NULL, &info) && !info.reserved;
}

CASE(what_a_grow_keeps_stays_while_it_is_made_again_without_progress)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "grower");
	uint64_t kept = 0, again, began = 0, last = 0, now;
	bool late = true;

	do {
		/* From the beginning if this process was too slow. */
		if (late) {
			assert_true(test_until(is_given_back, r, DEADLINE_MS));
			last = now_ms();
			kept = kept_by_grow(r, p, "kmem/mm_page_alloc", 500);
			assert_in_range(kept, SYSTEM_PAGE, 16 * MIB - SYSTEM_PAGE);
			began = now_ms();
		}
		now = now_ms();
		/* By the memory for its answer, which it allocates before all else. */
		again = kept_by_grow(r, p, "kmem/kmalloc", 1);
		late = now_ms() - last >= KEPT_MS;
		if (!late)
			assert_int_equal(again, kept);
		last = now;
	} while (late || last - began < 2 * KEPT_MS);
	assert_true(test_until(is_given_back, r, DEADLINE_MS));
}

static void ignore(int signal)
{
	(void)signal;
}

/* In a peer: attach, with a signal every five milliseconds. */
static long attach_under_signals(void *arg)
{
	const struct sigaction action = { .sa_handler = ignore };
	struct itimerval each = { { 0, 5000 }, { 0, 5000 } };
	int fd = device_open(O_RDWR);
	long err;

	if (fd < 0 || sigaction(SIGALRM, &action, NULL))
		return -EIO;
	setitimer(ITIMER_REAL, &each, NULL);
	err = do_attach(fd, arg, "late", 0, NULL);
	each.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &each, NULL);
	close(fd);
	return err;
}

/* Pages of 1 GiB, as it takes long to clear them. */
CASE(an_attach_that_waits_for_a_grow_of_the_pool_is_interrupted)
{
	const struct backing *b = hugetlb_1g;
	uint64_t length = 2 * b->page;
	struct peer *late = peer_new();
	struct region *r = region_with(b, 0, length);
	struct peer *holder = peer_join(r, "holder");
	long before = taken(b);

	peer_start(holder, grow_self, &length, sizeof(length));
	assert_true(taken_until_at_least(b, before + (long)b->page, DEADLINE_MS));
	assert_error(peer_call(late, attach_under_signals, r->name, sizeof(r->name)), -EINTR);
	/* The grow has not ended yet. */
	assert_error(peer_finish_within(holder, NULL, 0, 0), -ETIMEDOUT);
	assert_ok(peer_finish(holder, NULL, 0));
	assert_int_equal(region_nr_clients(r), 1);
}

int main(void)
{
	hold_tracepoints();
	return cases_run();
}
