/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A signal comes while a command waits: for another client that grows, for an event, or for the
 * name of a client that is dying. (For a client that cannot be reached: mmap_lock_held.c. At any
 * other point of a command: signal_during_command.c.)
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/interruption.h"
#include "support/taken.h"
#include "support/task.h"

/*
 * Another client grows by this much, and so holds the lock that growing and shrinking take, until a
 * signal ends its grow, long before that is done.
 */
#define HELD_LENGTH (768 * MIB)

/* The peer sleeps in a command of the device, or as it reads one event. */
static bool is_waiting(void *arg)
{
	const struct peer *p = arg;
	unsigned long length;
	long call = task_call(p->pid, &length);

	return (call == SYS_ioctl ||
		(call == SYS_read && length == sizeof(struct peershm_event))) &&
	       task_sleeps(p->pid);
}

/* The peer has taken the last signal: none is pending. */
static bool has_no_signal(const struct peer *p)
{
	unsigned long long pending = 1;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", p->pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file) && sscanf(line, "ShdPnd: %llx", &pending) != 1)
		;
	fclose(file);
	return pending == 0;
}

static bool waits_again(void *arg)
{
	return has_no_signal(arg) && is_waiting(arg);
}

/* A command of a peer that is to wait. */
static struct run waiting_run(const struct region *r, const char *command, enum how how)
{
	struct run run = { .how = how };

	run.target = target_of(r, few_pages(small));
	run.command = command_find(command);
	return run;
}

/* The command begins in the peer, and waits; then the signal comes. */
static void interrupt_the_wait(struct peer *p, struct run *run)
{
	peer_start(p, run_command, run, sizeof(*run));
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	assert_int_equal(kill(p->pid, signal_of[run->how]), 0);
}

/* The signal ends the wait, or the peer. */
static void the_wait_ends(struct peer *p, struct run *run)
{
	if (run->how == KILLED) {
		assert_error(peer_finish(p, run, sizeof(*run)), -ESRCH);
	} else {
		assert_ok(peer_finish(p, run, sizeof(*run)));
		assert_error(run->err, -EINTR);
	}
}

static bool ends_the_wait(enum how how)
{
	return how == CAUGHT || how == KILLED;
}

/* A peer that the signal has stopped goes on. */
static void go_on(struct peer *p, enum how how)
{
	if (how == STOPPED) {
		assert_int_equal(waitpid(p->pid, NULL, WUNTRACED), p->pid);
		peer_continue(p);
	}
}

static void the_command_gets_done(struct peer *p, struct run *run)
{
	assert_ok(peer_finish(p, run, sizeof(*run)));
	assert_ok(run->err);
}

static void wait_for_the_lock(const char *command, enum how how)
{
	struct region *r = region_new(small, 2 * GIB);
	struct run held = waiting_run(r, "grow", CAUGHT), run = waiting_run(r, command, how);
	struct peershm_region_info info;
	struct peer *holder, *p;
	struct client *witness;
	long before;

	region_grow(r, few_pages(small));
	witness = client_new(r, "witness");
	holder = peer_join(r, "holder");
	p = command_peer(r, true);
	held.target.length = HELD_LENGTH;
	before = taken(small);
	peer_start(holder, run_command, &held, sizeof(held));
	assert_true(taken_until_at_least(small, before + (long)(4 * MIB), DEADLINE_MS));
	interrupt_the_wait(p, &run);
	if (ends_the_wait(how)) {
		the_wait_ends(p, &run);
	} else {
		go_on(p, how);
		assert_true(test_until(waits_again, p, DEADLINE_MS));
	}
	/* The lock was held all this while. */
	assert_error(peer_finish_within(holder, NULL, 0, 0), -ETIMEDOUT);
	assert_ok(do_stat(witness->fd, 0, NULL, &info));
	assert_int_equal(info.active, few_pages(small));

	assert_int_equal(kill(holder->pid, SIGUSR1), 0);
	the_wait_ends(holder, &held);
	if (!ends_the_wait(how))
		the_command_gets_done(p, &run);
}

static void wait_for_the_lock_in_each_command(enum how how)
{
	wait_for_the_lock("grow", how);
	wait_for_the_lock("shrink", how);
	wait_for_the_lock("set reserve", how);
}

CASE(waiting_for_another_grower_is_interrupted)
{
	wait_for_the_lock_in_each_command(CAUGHT);
}

CASE(waiting_for_another_grower_goes_on_after_sa_restart)
{
	wait_for_the_lock_in_each_command(RESTARTED);
}

CASE(waiting_for_another_grower_goes_on_after_a_stop)
{
	wait_for_the_lock_in_each_command(STOPPED);
}

CASE(killed_while_waiting_for_another_grower_is_gone_at_once)
{
	wait_for_the_lock_in_each_command(KILLED);
}

/* The peer reads the event of its own attach first, and then waits for the next one. */
static void wait_for_an_event(enum how how)
{
	struct region *r = region_new(small, GIB);
	struct run run = waiting_run(r, "read", how);
	struct client *witness;
	struct peer *p;

	region_grow(r, few_pages(small));
	witness = client_new(r, "witness");
	p = command_peer(r, true);
	assert_ok(peer_call(p, run_command, &run, sizeof(run)));
	assert_ok(run.err);
	interrupt_the_wait(p, &run);
	if (ends_the_wait(how)) {
		the_wait_ends(p, &run);
		assert_true(region_until_clients(r, how == KILLED ? 1 : 2, DEADLINE_MS));
		return;
	}
	go_on(p, how);
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	assert_ok(do_set_root(witness->fd, 0, 0, r->base));
	the_command_gets_done(p, &run);
}

CASE(waiting_for_an_event_is_interrupted)
{
	wait_for_an_event(CAUGHT);
	wait_for_an_event(KILLED);
}

CASE(waiting_for_an_event_goes_on)
{
	wait_for_an_event(RESTARTED);
	wait_for_an_event(STOPPED);
}

/*
 * A process that dumps core into a pipe is not gone before the reader has read all of it. Here the
 * reader is this program, which the kernel starts with this argument, and it never reads.
 */
#define NEVER_READS "--never-reads"

static int never_reads(void)
{
	struct pollfd pipe = { .fd = STDIN_FILENO };

	/* Until the process that dumps is gone, but no longer than a test may take. */
	return poll(&pipe, 1, 240000) < 0;
}

static void dump_into_a_pipe_that_nobody_reads(void)
{
	char pattern[128], self_path[100] = "";
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);

	assert_true(n > 0);
	snprintf(pattern, sizeof(pattern), "|%s " NEVER_READS, self_path);
	setting_set("/proc/sys/kernel/core_pattern", pattern);
}

static long dump_core(void *arg)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	size_t length = 4 * MIB;
	char *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (memory == MAP_FAILED || setrlimit(RLIMIT_CORE, &all))
		return -errno;
	memset(memory, 1, length);
	abort();
}

/* A client with the name that "attach" wants. It dumps core, and does not come to an end. */
static struct peer *peer_that_dumps(const struct region *r)
{
	struct peer *p = peer_join(r, COMMAND_CLIENT);

	dump_into_a_pipe_that_nobody_reads();
	peer_start(p, dump_core, NULL, 0);
	assert_error(peer_finish_within(p, NULL, 0, 1000), -ETIMEDOUT);
	return p;
}

static void wait_for_the_name(enum how how)
{
	struct region *r = region_new(small, GIB);
	struct run run = waiting_run(r, "attach", how);
	struct snapshot *before;
	struct peer *dumper, *p;

	region_grow(r, few_pages(small));
	before = snapshot_take(client_new(r, "witness"));
	dumper = peer_that_dumps(r);
	p = command_peer(r, false);
	snapshot_again(before);
	interrupt_the_wait(p, &run);
	if (ends_the_wait(how)) {
		the_wait_ends(p, &run);
		snapshot_same(before);
	} else {
		go_on(p, how);
		the_command_gets_done(p, &run);
		assert_int_equal(region_nr_clients(r), 2);
	}
	assert_true(peer_runs(dumper));
	peers_end();
}

CASE(waiting_for_a_dying_clients_name_is_interrupted)
{
	wait_for_the_name(CAUGHT);
	wait_for_the_name(KILLED);
}

CASE(waiting_for_a_dying_clients_name_goes_on)
{
	wait_for_the_name(RESTARTED);
	wait_for_the_name(STOPPED);
}

/* ATTACH gives a dying client one second in all, however often the signal makes it start over. */
CASE(a_periodic_signal_with_sa_restart_does_not_keep_an_attach_from_ending)
{
	struct region *r = region_new(small, GIB);
	struct run run = waiting_run(r, "attach", RESTARTED);
	uint64_t start;
	struct peer *p;
	long err;

	peer_that_dumps(r);
	p = command_peer(r, false);
	peer_start(p, run_command, &run, sizeof(run));
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	start = now_ms();
	do {
		kill(p->pid, SIGUSR1);
		err = peer_finish_within(p, &run, sizeof(run), 100);
	} while (err == -ETIMEDOUT && now_ms() < start + 10000);
	assert_ok(err);
	assert_ok(run.err);
}

static long run_with_a_blocked_signal(void *arg)
{
	sigset_t set, pending;
	long err;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) || raise(SIGUSR1))
		return -errno;
	err = run_command(arg);
	if (!err && (sigpending(&pending) || !sigismember(&pending, SIGUSR1) || caught))
		err = -EPROTO;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return !err && !caught ? -EPROTO : err;
}

CASES(a_blocked_signal_interrupts_nothing, ALL_BACKINGS)
{
	struct run run = { .how = CAUGHT };
	struct region *r = region_with(b, few_pages(b), 2 * few_pages(b));
	struct peer *p;

	client_new(r, "witness");
	for_each_command(c)
	{
		run.command = c;
		run.target = target_of(r, few_pages(b));
		p = command_peer(r, c->where == INSIDE);
		assert_ok(peer_call(p, run_prepare, &run, sizeof(run)));
		assert_ok(peer_call(p, run_with_a_blocked_signal, &run, sizeof(run)));
		assert_ok(run.err);
		assert_ok(peer_call(p, run_undo, &run, sizeof(run)));
		peers_end();
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], NEVER_READS))
		return never_reads();
	return cases_run();
}
