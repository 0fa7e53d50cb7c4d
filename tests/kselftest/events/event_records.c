/* SPDX-License-Identifier: GPL-2.0-only */
/* What is recorded of a region, and how much of it is kept. */
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

#define STEP (1 * MIB)

/* More than any log holds. */
#define MANY 5000

static void everything_that_happens_is_an_event(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	struct peershm_event joined, root, left;
	struct client c;
	struct peer *p;
	pid_t pid;

	(void)state;
	assert_ok(client_attach(&c, r->name, "me", 0));
	joined = event_next(fd);
	assert_event_is(&joined, PEERSHM_EVENT_JOINED, getpid(), "me", 0, 0);
	assert_int_equal(joined.client, c.at.client);
	assert_ok(do_grow(c.fd, 0, 4 * STEP, NULL));
	assert_next_event(fd, PEERSHM_EVENT_GREW, getpid(), "me", 0, 4 * STEP);
	assert_ok(do_set_root(c.fd, 0, 0, r->base + 3 * STEP));
	root = event_next(fd);
	assert_event_is(&root, PEERSHM_EVENT_ROOT, getpid(), "", 0, r->base + 3 * STEP);
	assert_int_equal(root.client, joined.client);
	assert_ok(do_shrink_flags(c.fd, 0, PEERSHM_SHRINK_ANNOUNCE, 2 * STEP));
	assert_next_event(fd, PEERSHM_EVENT_SHRINKING, getpid(), "me", 4 * STEP, 2 * STEP);
	assert_ok(do_shrink_flags(c.fd, 0, PEERSHM_SHRINK_CANCEL, 0));
	assert_next_event(fd, PEERSHM_EVENT_SHRINKING, getpid(), "me", 4 * STEP, 4 * STEP);
	assert_ok(do_shrink(c.fd, 0, STEP, NULL));
	assert_next_event(fd, PEERSHM_EVENT_ROOT, getpid(), "", r->base + 3 * STEP, 0);
	assert_next_event(fd, PEERSHM_EVENT_SHRUNK, getpid(), "me", 4 * STEP, STEP);
	client_leave(&c);
	left = event_next(fd);
	assert_event_is(&left, PEERSHM_EVENT_LEFT, getpid(), "me", 0, 0);
	assert_int_equal(left.client, joined.client);
	assert_true(left.time > joined.time);
	assert_int_equal(left.sequence, joined.sequence + 7);

	/* By whoever is no client: no name. */
	assert_ok(do_grow(r->fd, r->id, STEP, NULL));
	assert_next_event(fd, PEERSHM_EVENT_GREW, getpid(), "", STEP, 2 * STEP);
	p = peer_join_flags(r, "p", PEERSHM_ATTACH_READ_ONLY);
	pid = p->pid;
	joined = event_next(fd);
	assert_event_is(&joined, PEERSHM_EVENT_JOINED, pid, "p", 0, 0);
	assert_int_equal(joined.flags, PEERSHM_CLIENT_READ_ONLY);
	peer_kill(p);
	assert_next_event(fd, PEERSHM_EVENT_DIED, pid, "p", 0, 0);
	assert_ok(do_unlink(r->fd, r->name));
	assert_next_event(fd, PEERSHM_EVENT_UNLINKED, getpid(), "", 0, 0);
}

static void what_changes_nothing_is_no_event(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	int fd;

	(void)state;
	region_grow(r, STEP);
	fd = event_watcher(r);
	assert_ok(do_grow_to(c->fd, 0, STEP, NULL));
	assert_ok(do_shrink(c->fd, 0, STEP, NULL));
	assert_error(do_shrink(c->fd, 0, 2 * STEP, NULL), -EINVAL);
	assert_error(do_grow(c->fd, 0, GIB, NULL), -ENOSPC);
	assert_error(do_set_root(c->fd, 0, 1, 0), -EEXIST);
	assert_error(do_attach(r->fd, r->name, "me", 0, NULL), -EALREADY);
	assert_ok(do_stat(c->fd, 0, NULL, NULL));
	event_none(fd);
}

static void every_reader_gets_the_same_events(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *a = client_new(r, "a");
	struct peershm_event mine[16], seen[16];
	int fd = event_watcher(r);

	(void)state;
	region_grow(r, STEP);
	for (int i = 0; i < 8; i++)
		assert_ok(do_set_root(a->fd, 0, i ? r->base + i - 1 : 0, r->base + i));
	assert_int_equal(event_read(fd, seen, 16), 9);
	/* The client's begin with its own `joined`, which it gets once. */
	assert_int_equal(event_read(a->fd, mine, 16), 10);
	assert_event_is(&mine[0], PEERSHM_EVENT_JOINED, getpid(), "a", 0, 0);
	assert_memory_equal(&mine[1], seen, 9 * sizeof(seen[0]));
	for (int i = 1; i < 10; i++)
		assert_int_equal(mine[i].sequence, mine[0].sequence + i);
}

/* Runs in a peer: sizes that nobody else makes, one after the other. */
static long grow_and_shrink(void *arg)
{
	unsigned int rounds = *(const unsigned int *)arg;
	int err = 0;

	for (unsigned int i = 0; !err && i < rounds; i++)
		err = i % 2 ? do_shrink(self.fd, 0, 0, NULL) :
			      do_grow(self.fd, 0, (i + 1) * SYSTEM_PAGE, NULL);
	return err;
}

static void the_header_shows_a_change_before_its_event(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peer *p = peer_join(r, "p");
	unsigned int rounds = 200; /* less than the log holds */
	uint64_t generation;

	(void)state;
	event_nonblock(c->fd, true);
	event_next(c->fd);
	event_next(c->fd);
	generation = c->header->generation;
	peer_start(p, grow_and_shrink, &rounds, sizeof(rounds));
	for (unsigned int i = 0; i < rounds; i++) {
		struct peershm_event e = event_next(c->fd);

		assert_int_equal(e.type, i % 2 ? PEERSHM_EVENT_SHRUNK : PEERSHM_EVENT_GREW);
		assert_true(__atomic_load_n(&c->header->generation, __ATOMIC_ACQUIRE) >
			    generation + i);
	}
	assert_ok(peer_finish(p, NULL, 0));
}

/* Runs in a peer: does exec, with the window mapped. */
static long do_exec(void *arg)
{
	(void)arg;
	execl("/bin/sleep", "sleep", "30", NULL);
	execl("/bin/busybox", "sleep", "30", NULL);
	return -errno;
}

static void exec_is_a_death(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = event_watcher(r);

	(void)state;
	peer_start(p, do_exec, NULL, 0);
	assert_next_event(fd, PEERSHM_EVENT_DIED, p->pid, "p", 0, 0);
}

static void unmapping_the_window_is_leaving(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = event_watcher(r);

	(void)state;
	assert_ok(peer_munmap(p, r->base, GIB));
	assert_next_event(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
}

static long do_exit(void *arg)
{
	exit(*(int *)arg);
}

static void ending_without_detach_is_a_death(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = event_watcher(r), status = 0;

	(void)state;
	peer_start(p, do_exit, &status, sizeof(status));
	assert_next_event(fd, PEERSHM_EVENT_DIED, p->pid, "p", 0, 0);
}

static void the_end_of_an_announcement_is_an_event(void **state)
{
	struct peershm_shrink s = { .size = sizeof(s), .flags = PEERSHM_SHRINK_ANNOUNCE };
	struct region *r = region_new(small, GIB);
	struct peer *p;
	int fd;

	(void)state;
	region_grow(r, STEP);
	p = peer_join(r, "p");
	fd = event_watcher(r);
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SHRINK, &s, sizeof(s)));
	assert_next_event(fd, PEERSHM_EVENT_SHRINKING, p->pid, "p", STEP, 0);
	assert_ok(peer_detach(p));
	assert_next_event(fd, PEERSHM_EVENT_SHRINKING, p->pid, "p", STEP, STEP);
	assert_next_event(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
	event_none(fd);
}

/* PIDs */

struct in_namespace {
	char region[PEERSHM_NAME_SIZE];
	uint64_t id;
	int go, ready;
	struct peershm_event events[4];
	int n;
};

static void watch_from_inside(struct in_namespace *n)
{
	int fd = device_open(O_RDONLY);
	struct client c;
	char byte;

	n->n = do_watch(fd, n->id);
	if (!n->n)
		n->n = client_attach(&c, n->region, "inside", 0);
	if (write(n->ready, "", 1) != 1 || read(n->go, &byte, 1) != 1)
		_exit(1);
	if (!n->n)
		n->n = event_read(fd, n->events, 4);
}

/* Runs in a peer; answers with what its child read in a namespace of its own. */
static long enter_namespace(void *arg)
{
	struct in_namespace *n = arg;
	int ends[2];
	pid_t child;

	if (unshare(CLONE_NEWPID))
		return -ENOSYS;
	if (pipe(ends))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		watch_from_inside(n);
		if (write(ends[1], n, sizeof(*n)) != (ssize_t)sizeof(*n))
			_exit(1);
		_exit(0);
	}
	if (read(ends[0], n, sizeof(*n)) != (ssize_t)sizeof(*n))
		return -EIO;
	waitpid(child, NULL, 0);
	return child;
}

static void pids_are_those_of_the_readers_namespace(void **state)
{
	struct region *r = region_new(small, GIB);
	struct in_namespace n = { .id = r->id };
	struct peer *p, *outside;
	int go[2], ready[2];
	long child;
	char byte;
	int fd = event_watcher(r);

	(void)state;
	memcpy(n.region, r->name, sizeof(n.region));
	assert_int_equal(pipe(go) | pipe(ready), 0);
	n.go = go[0];
	n.ready = ready[1];
	p = peer_new();
	outside = peer_new();
	peer_start(p, enter_namespace, &n, sizeof(n));
	close(ready[1]);
	if (poll(&(struct pollfd){ .fd = ready[0], .events = POLLIN }, 1, DEADLINE_MS) != 1)
		skip_because("no PID namespaces");
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_ok(peer_attach(outside, r->name, "outside", 0));
	assert_int_equal(write(go[1], "", 1), 1);
	child = peer_finish(p, &n, sizeof(n));
	assert_true(child > 0);
	assert_int_equal(n.n, 2);
	assert_event_is(&n.events[0], PEERSHM_EVENT_JOINED, 1, "inside", 0, 0);
	assert_event_is(&n.events[1], PEERSHM_EVENT_JOINED, 0, "outside", 0, 0);
	/* And outside, also now that the process is gone. */
	assert_next_event(fd, PEERSHM_EVENT_JOINED, (pid_t)child, "inside", 0, 0);
	assert_next_event(fd, PEERSHM_EVENT_JOINED, outside->pid, "outside", 0, 0);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
}

static void the_pid_is_known_while_the_process_lives(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	struct peer *p = peer_join(r, "p");

	(void)state;
	assert_ok(peer_detach(p));
	assert_next_event(fd, PEERSHM_EVENT_JOINED, p->pid, "p", 0, 0);
	assert_next_event(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
}

/* Too many */

/* Read what there is; gives how many were lost, and checks that none is missing. */
static uint64_t drain(int fd, uint64_t *sequence, uint64_t *n)
{
	struct peershm_event events[7];
	uint64_t lost = 0;
	int got;

	while ((got = event_read(fd, events, 7)) > 0) {
		for (int i = 0; i < got; i++) {
			if (events[i].type == PEERSHM_EVENT_OVERFLOW) {
				*sequence += events[i].new_value;
				lost += events[i].new_value;
				assert_int_equal(events[i].sequence + 1, *sequence);
			} else {
				assert_int_equal(events[i].sequence, *sequence);
				++*sequence;
				++*n;
			}
		}
	}
	assert_true(got == -EAGAIN || got == 0);
	return lost;
}

static void a_slow_reader_is_told_how_many_it_lost(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peershm_event first;
	uint64_t sequence, n = 0, lost, some;
	int fd;

	(void)state;
	region_grow(r, STEP);
	fd = event_watcher(r);
	event_nonblock(c->fd, true);
	first = event_next(c->fd);
	assert_int_equal(event_next(c->fd).type, PEERSHM_EVENT_GREW);
	sequence = first.sequence + 2;
	event_make(r, c->fd, MANY);
	lost = drain(c->fd, &sequence, &n);
	assert_int_equal(lost + n, MANY);
	assert_true(n >= 64);
	sequence = first.sequence + 2;
	n = 0;
	assert_int_equal(drain(fd, &sequence, &n), lost);

	/* In the middle of reading, and with exactly as many as there is room for. */
	some = n;
	for (unsigned int i = 1; i <= 5; i++) {
		uint64_t before = sequence;

		n = 0;
		event_make(r, c->fd, some);
		assert_int_equal(event_next(fd).sequence, sequence++);
		event_make(r, c->fd, i);
		lost = drain(fd, &sequence, &n);
		assert_int_equal(lost, i - 1);
		assert_int_equal(sequence - before, some + i);
	}
}

static void after_an_overflow_comes_the_newest(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peershm_event e;
	uint64_t last = 0;

	(void)state;
	region_grow(r, STEP);
	event_make(r, c->fd, MANY);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(event_next(c->fd).type, PEERSHM_EVENT_OVERFLOW);
	while (event_read(c->fd, &e, 1) == 1) {
		assert_int_not_equal(e.type, PEERSHM_EVENT_OVERFLOW);
		last = e.type;
	}
	assert_int_equal(last, PEERSHM_EVENT_UNLINKED);
}

static void events_that_nobody_reads_take_no_memory(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	long before, after;

	(void)state;
	region_grow(r, STEP);
	for (int i = 0; i < 100; i++)
		event_watcher(r);
	event_make(r, c->fd, MANY);
	before = meminfo("Slab:") + meminfo("VmallocUsed:");
	event_make(r, c->fd, test_scale(20 * MANY));
	after = meminfo("Slab:") + meminfo("VmallocUsed:");
	assert_true(after - before < (long)(4 * MIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_that_happens_is_an_event),
		TEST(what_changes_nothing_is_no_event),
		TEST(every_reader_gets_the_same_events),
		TEST(the_header_shows_a_change_before_its_event),
		TEST(exec_is_a_death),
		TEST(unmapping_the_window_is_leaving),
		TEST(ending_without_detach_is_a_death),
		TEST(the_end_of_an_announcement_is_an_event),
		TEST(pids_are_those_of_the_readers_namespace),
		TEST(the_pid_is_known_while_the_process_lives),
		TEST(a_slow_reader_is_told_how_many_it_lost),
		TEST(after_an_overflow_comes_the_newest),
		TEST(events_that_nobody_reads_take_no_memory),
	};

	return test_run(tests);
}
