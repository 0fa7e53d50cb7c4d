/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "interruption.h"
#include "taken.h"
#include "tracepoint.h"

/* A delay grows by at least this, and later by a part of itself. */
#define DELAY_STEP_NS 250
#define LONG_NS 50000000ULL
#define MAX_RUNS 60
#define FEW_RUNS 16  /* for commands that never wait */
#define LEAST_RUNS 4 /* also with a small PEERSHM_TEST_SCALE */
#define EACH_UP_TO 8 /* so many passes of a tracepoint are tried one by one */

/* Commands pass these when they allocate, free, or put pages into a file. */
static const char *const tracepoints[] = {
	"kmem/mm_page_alloc",
	"kmem/mm_page_free",
	"kmem/kmem_cache_alloc",
	"kmem/kmalloc",
	"filemap/mm_filemap_add_to_page_cache",
	"filemap/mm_filemap_delete_from_page_cache",
};
#define NR_TRACEPOINTS ((int)(sizeof(tracepoints) / sizeof(tracepoints[0])))

volatile sig_atomic_t caught;

static void on_signal(int signal)
{
	(void)signal;
	caught = 1;
}

const int signal_of[] = {
	[CAUGHT] = SIGUSR1,
	[RESTARTED] = SIGUSR1,
	[STOPPED] = SIGSTOP,
	[KILLED] = SIGKILL,
};

/* In the peer: the timer and the perf event are made once, and armed for each run. */
static timer_t timer;
static int event = -1;
static long event_tracepoint;

static long make_timer(int signal)
{
	struct sigevent sigevent = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal };

	return timer_create(CLOCK_MONOTONIC, &sigevent, &timer) ? -errno : 0;
}

static long make_event(long tracepoint, int signal)
{
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };

	if (event >= 0 && event_tracepoint == tracepoint)
		return 0;
	if (event >= 0)
		close(event);
	event = tracepoint_open(tracepoint);
	event_tracepoint = tracepoint;
	if (event < 0 || fcntl(event, F_SETFL, O_ASYNC) || fcntl(event, F_SETSIG, signal) ||
	    fcntl(event, F_SETOWN_EX, &owner))
		return -errno;
	return 0;
}

/*
 * A command that starts over passes the tracepoint again. If each pass sent the signal that has it
 * start over, it would never end.
 */
static bool starts_over(const struct run *run)
{
	return run->how == STOPPED || run->how == RESTARTED;
}

static long arm(const struct run *run)
{
	struct itimerspec in = {
		.it_value = { (time_t)(run->at / 1000000000), (long)(run->at % 1000000000) },
	};
	uint64_t period = run->at;

	if (!run->tracepoint)
		return timer_settime(timer, 0, &in, NULL) ? -errno : 0;
	if (ioctl(event, PERF_EVENT_IOC_PERIOD, &period))
		return -errno;
	if (starts_over(run) ? ioctl(event, PERF_EVENT_IOC_REFRESH, 1) :
			       ioctl(event, PERF_EVENT_IOC_ENABLE, 0))
		return -errno;
	return 0;
}

static void disarm(const struct run *run)
{
	const struct itimerspec never = { 0 };

	if (!run->tracepoint) {
		timer_settime(timer, 0, &never, NULL);
		return;
	}
	ioctl(event, PERF_EVENT_IOC_DISABLE, 0);
	if (starts_over(run)) {
		close(event);
		event = -1;
	}
}

/* In the peer: run the command while a signal is on its way; with at == 0, without one. */
long run_command(void *arg)
{
	struct run *run = arg;
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = run->how == RESTARTED ? SA_RESTART : 0,
	};
	static bool made;
	uint64_t start;
	long err = 0;

	if (sigaction(SIGUSR1, &action, NULL))
		return -errno;
	if (run->tracepoint)
		err = make_event(run->tracepoint, signal_of[run->how]);
	else if (!made)
		err = make_timer(signal_of[run->how]);
	made |= !run->tracepoint;
	if (err)
		return err;
	caught = 0;
	if (run->at)
		err = arm(run);
	if (err)
		return err;
	start = now_ns();
	run->err = command_run(run->command, &run->target);
	run->took = now_ns() - start;
	run->arrived = caught;
	disarm(run);
	return 0;
}

long run_prepare(void *arg)
{
	struct run *run = arg;

	return command_prepare(run->command, &run->target);
}

long run_undo(void *arg)
{
	struct run *run = arg;

	return command_undo(run->command, &run->target);
}

long interrupt_after(uint64_t ns)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const struct run run = { .at = ns };
	static bool made;
	long err = 0;

	if (sigaction(SIGUSR1, &action, NULL))
		return -errno;
	if (!made)
		err = make_timer(SIGUSR1);
	made = true;
	caught = 0;
	return err ? err : arm(&run);
}

void interrupt_never(void)
{
	const struct run run = { 0 };

	disarm(&run);
}

/* A stopped peer goes on; gives how often it was. */
static unsigned int keep_going(struct peer *p)
{
	unsigned int stops = 0;
	int status;

	while (waitpid(p->pid, &status, WUNTRACED | WNOHANG) == p->pid && WIFSTOPPED(status)) {
		stops++;
		peer_continue(p);
	}
	return stops;
}

static long run_in(struct peer *p, struct run *run)
{
	uint64_t end = now_ms() + DEADLINE_MS;
	unsigned int stops = 0;
	long err;

	peer_start(p, run_command, run, sizeof(*run));
	do {
		if (run->how == STOPPED)
			stops += keep_going(p);
		err = peer_finish_within(p, run, sizeof(*run), run->how == STOPPED ? 1 : 1000);
	} while (err == -ETIMEDOUT && now_ms() < end);
	if (run->how == STOPPED)
		run->arrived = stops > 0;
	return err;
}

void stamp(const struct region *r, uint64_t length)
{
	for (uint64_t i = 0; i < length; i += r->backing->page)
		*(uint64_t *)at_address(r->base + i) = r->base + i;
}

static void check_contents(const struct region *r, uint64_t old_size, uint64_t size, bool reserve)
{
	for (uint64_t i = 0; i < size; i += r->backing->page)
		assert_int_equal(*(uint64_t *)at_address(r->base + i),
				 i < old_size ? r->base + i : 0);
	/* With a reserve of the pool's pages an access beyond the size may succeed (the ABI). */
	if (size < r->backing->capacity && !(reserve && backing_is_hugetlb(r->backing)))
		assert_int_equal(touch(r->base + size, false), SIGBUS);
}

/* The peer was killed: the region is as before the command, or as after it. */
static void check_killed(struct trial *t)
{
	const struct target *target = &t->run.target;
	struct peershm_region_info info;
	struct peershm_header *h = malloc(t->witness->at.header_length);

	assert_non_null(h);
	waitpid(t->peer->pid, NULL, 0);
	t->peer->pid = 0;
	assert_true(region_until_clients(t->region, 1, 1000));
	assert_ok(do_stat(t->witness->fd, 0, NULL, &info));
	assert_ok(header_copy(t->witness, h));
	assert_int_equal(h->size, info.active);
	assert_int_equal(h->nr_clients, 1);
	assert_int_equal(h->root, info.root);
	free(h);
	assert_true(info.active == target->step || info.active == 0 ||
		    info.active == target->step + target->length);
	assert_true(info.root == 0 || info.root == target->base + 64);
	check_contents(t->region, target->step, info.active, info.reserve > 0);

	command_clean(t->witness->fd, target);
	stamp(t->region, target->step);
	peers_end();
	t->peer = command_peer(t->region, t->client);
}

/* The command returned: is that what it may answer, and what the region should be? */
static void check_answer(struct trial *t)
{
	const struct run *run = &t->run;
	const char *name = run->command->name;

	if (run->err && (run->err != -EINTR || run->how != CAUGHT || !run->arrived))
		fail_msg("%s: %s, with a signal at %llu of %ld", name, strerror((int)-run->err),
			 (unsigned long long)run->at, run->tracepoint);
	if (run->err) {
		/* It will not be gone on with: what a grow has kept goes at once. */
		assert_ok(do_set_reserve(t->witness->fd, 0, 0));
		assert_true(snapshot_settled(t->before));
		snapshot_same(t->before);
		check_contents(t->region, run->target.step, run->target.step, false);
		return;
	}
	if (run->command->undo)
		assert_ok(peer_call(t->peer, run_undo, &t->run, sizeof(t->run)));
	if (command_shrinks(run->command))
		stamp(t->region, run->target.step);
}

bool interrupt(struct trial *t, struct outcomes *o)
{
	long err;

	if (t->run.command->prepare)
		assert_ok(peer_call(t->peer, run_prepare, &t->run, sizeof(t->run)));
	snapshot_again(t->before);
	err = run_in(t->peer, &t->run);
	if (err == -ESRCH && t->run.how == KILLED) {
		o->points++;
		o->interrupted++;
		check_killed(t);
		return true;
	}
	assert_ok(err);
	if (t->run.arrived) {
		o->points++;
		if (t->run.err)
			o->interrupted++;
		else
			o->completed++;
	}
	check_answer(t);
	return t->run.arrived;
}

/* Each run clears a GiB. */
static bool takes_long(const struct backing *b)
{
	return b->page >= GIB;
}

static uint64_t next_delay(uint64_t delay, uint64_t took, unsigned int coarse)
{
	uint64_t part = took > LONG_NS ? delay : delay / 2;

	if (part < DELAY_STEP_NS)
		part = DELAY_STEP_NS;
	return delay + part * coarse;
}

/* How many points to try: fewer in a short run, but never none. */
static unsigned int some(const struct trial *t, unsigned int n)
{
	unsigned int scaled = test_scale(n);

	if (takes_long(t->region->backing))
		return LEAST_RUNS / 2;
	return scaled < LEAST_RUNS ? LEAST_RUNS : scaled;
}

static struct outcomes interrupt_by_timer(struct trial *t, uint64_t took)
{
	unsigned int most = some(t, t->run.command->waits ? MAX_RUNS : FEW_RUNS);
	/* Clearing a GiB takes long, and so does a new peer for a killed one. */
	unsigned int coarse = t->run.how == KILLED || takes_long(t->region->backing) ? 3 : 1;
	struct outcomes o = { 0 };
	unsigned int runs = 0;

	t->run.tracepoint = 0;
	t->run.at = 1;
	/* Stop at the third signal in a row that is late: one may have come later than it was to. */
	for (unsigned int late = 0; late < 3 && runs < most; runs++) {
		late = interrupt(t, &o) ? 0 : late + 1;
		t->run.at = next_delay(t->run.at, took, coarse);
	}
	return o;
}

static struct outcomes interrupt_at_tracepoint(struct trial *t, long id)
{
	unsigned int most = some(t, t->run.how == KILLED ? 8 : 24);
	struct outcomes o = { 0 };

	t->run.tracepoint = id;
	t->run.at = 1;
	/* First every pass, then in steps that grow. */
	while (o.points < most && interrupt(t, &o))
		t->run.at += 1 + t->run.at / EACH_UP_TO;
	return o;
}

static void outcomes_add(struct outcomes *to, const struct outcomes *from)
{
	to->points += from->points;
	to->interrupted += from->interrupted;
	to->completed += from->completed;
}

void hold_tracepoints(void)
{
	for (int i = 0; i < NR_TRACEPOINTS; i++) {
		long id = tracepoint_id(tracepoints[i]);

		if (id >= 0)
			tracepoint_open(id);
	}
}

static struct outcomes interrupt_everywhere(struct trial *t)
{
	const char *name = t->run.command->name;
	struct outcomes by_timer, o = { 0 };

	/* How long it takes without a signal. */
	t->run.at = 0;
	t->run.tracepoint = 0;
	interrupt(t, &o);
	assert_ok(t->run.err);
	by_timer = interrupt_by_timer(t, t->run.took);
	for (int i = 0; i < NR_TRACEPOINTS; i++) {
		long id = tracepoint_id(tracepoints[i]);
		struct outcomes some;

		if (id < 0)
			continue;
		some = interrupt_at_tracepoint(t, id);
		outcomes_add(&o, &some);
	}
	print_message("# %s: %u delays, %u passes of tracepoints; %u %s, %u completed\n", name,
		      by_timer.points, o.points, by_timer.interrupted + o.interrupted,
		      t->run.how == KILLED ? "killed" : "interrupted",
		      by_timer.completed + o.completed);
	outcomes_add(&o, &by_timer);
	return o;
}

void interrupt_every_command(const struct backing *b, enum how how)
{
	struct trial t = { .run = { .how = how } };
	struct outcomes o = { 0 }, grow = { 0 };
	unsigned int tried = 0;
	struct region *r;
	long taken_before;

	backing_needs(b, 2 * few_pages(b));
	r = region_new(b, b->capacity);
	region_grow(r, few_pages(b));
	t.region = r;
	t.witness = client_new(r, "witness");
	t.run.target = target_of(r, few_pages(b));
	stamp(r, few_pages(b));
	taken_before = taken(b);

	for_each_command(c)
	{
		struct outcomes some;

		/* Only a command that waits can be stopped or restarted in the middle. */
		if ((how == RESTARTED || how == STOPPED || takes_long(b)) && !c->waits)
			continue;
		if (!command_is_worth(c, b))
			continue;
		tried++;
		t.run.command = c;
		if (!t.peer || t.client != (c->where == INSIDE)) {
			peers_end();
			t.client = c->where == INSIDE;
			t.peer = command_peer(r, t.client);
			t.before = snapshot_take(t.witness);
		}
		some = interrupt_everywhere(&t);
		outcomes_add(&o, &some);
		if (c != command_find("grow"))
			continue;
		grow = some;
		t.run.target.length = 4 * (b->id == PEERSHM_SMALL ? MIB : b->page);
		if (!backing_is_hugetlb(b) && (how == CAUGHT || how == KILLED)) {
			some = interrupt_everywhere(&t);
			outcomes_add(&grow, &some);
		}
		t.run.target.length = few_pages(b);
	}
	print_message("# in all %u points, %u interrupted, %u completed\n", o.points, o.interrupted,
		      o.completed);
	assert_true(o.points >= tried);
	if (how == CAUGHT || how == KILLED)
		assert_true(grow.interrupted > 0);
	if (how != KILLED)
		assert_true(o.completed > 0);
	assert_true(taken_until_at_most(b, taken_before + (long)MIB, 5000));
}
