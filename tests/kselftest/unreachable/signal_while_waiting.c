/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A signal comes while a command waits: for another who grows, for an event, for the name of a
 * client that is dying. (For a peer that cannot be reached: hung.c.)
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
 * Somebody else holds the lock that growing and shrinking take, as it grows by this: until a
 * signal ends that, long before it is done.
 */
#define HELD_LENGTH (768 * MIB)

/* The peer is in a command, or reads an event: its system call, and how much that reads. */
static bool is_in_device(const struct peer *p)
{
	unsigned long length;
	char path[64];
	FILE *file;
	long call;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/syscall", p->pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fscanf(file, "%ld %*x %*x %lx", &call, &length);
	fclose(file);
	return n == 2 &&
	       (call == SYS_ioctl || (call == SYS_read && length == sizeof(struct peershm_event)));
}

static bool is_waiting(void *arg)
{
	const struct peer *p = arg;

	return is_in_device(p) && task_sleeps(p->pid);
}

/* No signal is on its way to it: it has left its wait for the last one. */
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

static void wait_for_the_lock(const char *command, enum how how)
{
	const struct backing *b = &backings[PEERSHM_SMALL];
	struct region *r = region_new(b, 2 * GIB);
	struct run run = { .how = how }, held = { .how = CAUGHT };
	struct peershm_region_info info;
	struct peer *holder, *p;
	struct client *witness;
	long before;

	region_grow(r, few_pages(b));
	witness = client_new(r, "witness");
	holder = peer_join(r, "holder");
	p = command_peer(r, true);
	run.target = target_of(r, few_pages(b));
	run.command = command_find(command);
	held.target = run.target;
	held.target.length = HELD_LENGTH;
	held.command = command_find("grow");
	before = taken(b);
	peer_start(holder, run_command, &held, sizeof(held));
	assert_true(taken_until_at_least(b, before + (long)(4 * MIB), DEADLINE_MS));
	peer_start(p, run_command, &run, sizeof(run));
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	assert_int_equal(kill(p->pid, signal_of[how]), 0);

	switch (how) {
	case CAUGHT:
		assert_ok(peer_finish(p, &run, sizeof(run)));
		assert_error(run.err, -EINTR);
		break;
	case KILLED:
		assert_error(peer_finish(p, &run, sizeof(run)), -ESRCH);
		break;
	case STOPPED:
		assert_int_equal(waitpid(p->pid, NULL, WUNTRACED), p->pid);
		peer_continue(p);
		assert_true(test_until(waits_again, p, DEADLINE_MS));
		break;
	case RESTARTED:
		assert_true(test_until(waits_again, p, DEADLINE_MS));
		break;
	}
	/* All this while the lock was held. */
	assert_error(peer_finish_within(holder, NULL, 0, 0), -ETIMEDOUT);
	assert_ok(do_stat(witness->fd, 0, NULL, &info));
	assert_int_equal(info.active, few_pages(b));

	assert_int_equal(kill(holder->pid, SIGUSR1), 0);
	assert_ok(peer_finish(holder, &held, sizeof(held)));
	assert_error(held.err, -EINTR);
	if (how == RESTARTED || how == STOPPED) {
		assert_ok(peer_finish(p, &run, sizeof(run)));
		assert_ok(run.err);
	}
}

static void waiting_for_another_grower_is_interrupted(void **state)
{
	(void)state;
	wait_for_the_lock("grow", CAUGHT);
	wait_for_the_lock("shrink", CAUGHT);
	wait_for_the_lock("set reserve", CAUGHT);
}

static void waiting_for_another_grower_goes_on_after_sa_restart(void **state)
{
	(void)state;
	wait_for_the_lock("grow", RESTARTED);
	wait_for_the_lock("shrink", RESTARTED);
	wait_for_the_lock("set reserve", RESTARTED);
}

static void waiting_for_another_grower_goes_on_after_a_stop(void **state)
{
	(void)state;
	wait_for_the_lock("grow", STOPPED);
	wait_for_the_lock("shrink", STOPPED);
	wait_for_the_lock("set reserve", STOPPED);
}

static void killed_while_waiting_for_another_grower_is_gone_at_once(void **state)
{
	(void)state;
	wait_for_the_lock("grow", KILLED);
	wait_for_the_lock("shrink", KILLED);
	wait_for_the_lock("set reserve", KILLED);
}

/* The peer's own `joined` is the first event, and there is no second one. */
static void wait_for_an_event(enum how how)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct run run = { .how = how };
	struct client *witness;
	struct peer *p;

	region_grow(r, few_pages(r->backing));
	witness = client_new(r, "witness");
	p = command_peer(r, true);
	run.target = target_of(r, few_pages(r->backing));
	run.command = command_find("read");
	assert_ok(peer_call(p, run_command, &run, sizeof(run)));
	assert_ok(run.err);
	peer_start(p, run_command, &run, sizeof(run));
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	assert_int_equal(kill(p->pid, signal_of[how]), 0);
	if (how == KILLED) {
		assert_error(peer_finish(p, &run, sizeof(run)), -ESRCH);
		assert_true(region_until_clients(r, 1, DEADLINE_MS));
		return;
	}
	if (how == CAUGHT) {
		assert_ok(peer_finish(p, &run, sizeof(run)));
		assert_error(run.err, -EINTR);
		return;
	}
	if (how == STOPPED) {
		assert_int_equal(waitpid(p->pid, NULL, WUNTRACED), p->pid);
		peer_continue(p);
	}
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	assert_ok(do_set_root(witness->fd, 0, 0, r->base));
	assert_ok(peer_finish(p, &run, sizeof(run)));
	assert_ok(run.err);
}

static void waiting_for_an_event_is_interrupted(void **state)
{
	(void)state;
	wait_for_an_event(CAUGHT);
	wait_for_an_event(KILLED);
}

static void waiting_for_an_event_goes_on(void **state)
{
	(void)state;
	wait_for_an_event(RESTARTED);
	wait_for_an_event(STOPPED);
}

/*
 * A process that dumps core into a pipe that nobody reads is on its way out for as long as
 * the reader likes. The reader is this program, run by the kernel with this argument.
 */
#define NEVER_READS "--never-reads"
#define CORE_PATTERN "/proc/sys/kernel/core_pattern"

static int never_reads(void)
{
	struct pollfd pipe = { .fd = STDIN_FILENO };

	/* Until the one who dumps is gone; but no longer than a test may take. */
	return poll(&pipe, 1, 240000) < 0;
}

static void pattern_restore(void *old)
{
	if (file_write(CORE_PATTERN, old))
		print_error(CORE_PATTERN " is not put back\n");
	free(old);
}

static void dump_into_a_pipe_that_nobody_reads(void)
{
	char pattern[128], self_path[100] = "", *old = calloc(1, 256);
	FILE *file = fopen(CORE_PATTERN, "re");
	ssize_t n;

	assert_non_null(old);
	assert_non_null(file);
	assert_non_null(fgets(old, 256, file));
	fclose(file);
	n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	assert_true(n > 0);
	snprintf(pattern, sizeof(pattern), "|%s " NEVER_READS, self_path);
	test_cleanup(pattern_restore, old);
	assert_ok(file_write(CORE_PATTERN, pattern));
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

/* A client with the name that "attach" wants, which dumps core and does not come to an end. */
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
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct run run = { .how = how };
	struct snapshot *before;
	struct peer *dumper, *p;

	region_grow(r, few_pages(r->backing));
	before = snapshot_take(client_new(r, "witness"));
	dumper = peer_that_dumps(r);
	p = command_peer(r, false);
	snapshot_again(before);
	run.target = target_of(r, few_pages(r->backing));
	run.command = command_find("attach");
	peer_start(p, run_command, &run, sizeof(run));
	assert_true(test_until(is_waiting, p, DEADLINE_MS));
	assert_int_equal(kill(p->pid, signal_of[how]), 0);
	if (how == CAUGHT) {
		assert_ok(peer_finish(p, &run, sizeof(run)));
		assert_error(run.err, -EINTR);
		snapshot_same(before);
	} else if (how == KILLED) {
		assert_error(peer_finish(p, &run, sizeof(run)), -ESRCH);
		snapshot_same(before);
	} else {
		if (how == STOPPED) {
			assert_int_equal(waitpid(p->pid, NULL, WUNTRACED), p->pid);
			peer_continue(p);
		}
		assert_ok(peer_finish(p, &run, sizeof(run)));
		assert_ok(run.err);
		assert_int_equal(region_nr_clients(r), 2);
	}
	assert_true(peer_runs(dumper));
	peers_end();
}

static void waiting_for_a_dying_clients_name_is_interrupted(void **state)
{
	(void)state;
	wait_for_the_name(CAUGHT);
	wait_for_the_name(KILLED);
}

static void waiting_for_a_dying_clients_name_goes_on(void **state)
{
	(void)state;
	wait_for_the_name(RESTARTED);
	wait_for_the_name(STOPPED);
}

/* The second that a dying client is given is one in all, however often the wait begins. */
static void a_periodic_signal_with_sa_restart_does_not_keep_an_attach_from_ending(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct run run = { .how = RESTARTED };
	uint64_t start;
	struct peer *p;
	long err;

	(void)state;
	peer_that_dumps(r);
	p = command_peer(r, false);
	run.target = target_of(r, few_pages(r->backing));
	run.command = command_find("attach");
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

static void a_blocked_signal_interrupts_nothing(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct run run = { .how = CAUGHT };
	struct peer *p;
	struct region *r;

	backing_needs(b, 2 * few_pages(b));
	r = region_new(b, b->capacity);
	region_grow(r, few_pages(b));
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
	const struct CMUnitTest tests[] = {
		TEST(waiting_for_another_grower_is_interrupted),
		TEST(waiting_for_another_grower_goes_on_after_sa_restart),
		TEST(waiting_for_another_grower_goes_on_after_a_stop),
		TEST(killed_while_waiting_for_another_grower_is_gone_at_once),
		TEST(waiting_for_an_event_is_interrupted),
		TEST(waiting_for_an_event_goes_on),
		TEST(waiting_for_a_dying_clients_name_is_interrupted),
		TEST(waiting_for_a_dying_clients_name_goes_on),
		TEST(a_periodic_signal_with_sa_restart_does_not_keep_an_attach_from_ending),
		TEST_BACKINGS(a_blocked_signal_interrupts_nothing),
	};

	if (argc == 2 && !strcmp(argv[1], NEVER_READS))
		return never_reads();
	return test_run(tests);
}
