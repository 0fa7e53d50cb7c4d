/* SPDX-License-Identifier: GPL-2.0-only */
/* What can be read from the file of a client, or from one that watches. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define STEP (1 * MIB)

/* More than any log holds. */
#define MANY 5000

static const struct backing *const small = &backings[PEERSHM_SMALL];

static void close_fd(void *fd)
{
	close((int)(intptr_t)fd);
}

/* A file that watches the region, closed after the test. */
static int watcher(const struct region *r)
{
	int fd = device_open(O_RDONLY | O_NONBLOCK);

	assert_true(fd >= 0);
	test_cleanup(close_fd, (void *)(intptr_t)fd);
	assert_ok(do_watch(fd, r->id));
	return fd;
}

static void set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

/* A negative errno value, or how many events. */
static int read_events(int fd, struct peershm_event *events, size_t n)
{
	ssize_t got;

	memset(events, POISON, n * sizeof(*events));
	got = read(fd, events, n * sizeof(*events));
	if (got < 0)
		return -errno;
	assert_int_equal(got % (ssize_t)sizeof(*events), 0);
	return (int)(got / (ssize_t)sizeof(*events));
}

static struct peershm_event next(int fd)
{
	struct peershm_event e;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_int_equal(read_events(fd, &e, 1), 1);
	assert_int_equal(e.size, sizeof(e));
	assert_int_equal(e.reserved, 0);
	return e;
}

static void nothing_left(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct peershm_event e;

	assert_int_equal(poll(&p, 1, 0), 0);
	assert_error(read_events(fd, &e, 1), -EAGAIN);
}

static void assert_event(const struct peershm_event *e, enum peershm_event_type type, pid_t pid,
			 const char *name, uint64_t old_value, uint64_t new_value)
{
	assert_int_equal(e->type, type);
	assert_int_equal(e->pid, pid);
	assert_string_equal(e->name, name);
	assert_int_equal(e->old_value, old_value);
	assert_int_equal(e->new_value, new_value);
	if (!name[0] && type != PEERSHM_EVENT_ROOT)
		assert_int_equal(e->client, 0);
}

#define assert_next(fd, ...)                        \
	do {                                        \
		struct peershm_event e_ = next(fd); \
		assert_event(&e_, __VA_ARGS__);     \
	} while (0)

static void everything_that_happens_is_an_event(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = watcher(r);
	struct peershm_event joined, root, left;
	struct client c;
	struct peer *p;
	pid_t pid;

	(void)state;
	assert_ok(client_attach(&c, r->name, "me", 0));
	joined = next(fd);
	assert_event(&joined, PEERSHM_EVENT_JOINED, getpid(), "me", 0, 0);
	assert_int_equal(joined.client, c.at.client);
	assert_ok(do_grow(c.fd, 0, 4 * STEP, NULL));
	assert_next(fd, PEERSHM_EVENT_GREW, getpid(), "me", 0, 4 * STEP);
	assert_ok(do_set_root(c.fd, 0, 0, r->base + 3 * STEP));
	root = next(fd);
	assert_event(&root, PEERSHM_EVENT_ROOT, getpid(), "", 0, r->base + 3 * STEP);
	assert_int_equal(root.client, joined.client);
	assert_ok(do_shrink_flags(c.fd, 0, PEERSHM_SHRINK_ANNOUNCE, 2 * STEP));
	assert_next(fd, PEERSHM_EVENT_SHRINKING, getpid(), "me", 4 * STEP, 2 * STEP);
	assert_ok(do_shrink_flags(c.fd, 0, PEERSHM_SHRINK_CANCEL, 0));
	assert_next(fd, PEERSHM_EVENT_SHRINKING, getpid(), "me", 4 * STEP, 4 * STEP);
	assert_ok(do_shrink(c.fd, 0, STEP, NULL));
	assert_next(fd, PEERSHM_EVENT_ROOT, getpid(), "", r->base + 3 * STEP, 0);
	assert_next(fd, PEERSHM_EVENT_SHRUNK, getpid(), "me", 4 * STEP, STEP);
	client_leave(&c);
	left = next(fd);
	assert_event(&left, PEERSHM_EVENT_LEFT, getpid(), "me", 0, 0);
	assert_int_equal(left.client, joined.client);
	assert_true(left.time > joined.time);
	assert_int_equal(left.sequence, joined.sequence + 7);

	/* By whoever is no client: no name. */
	assert_ok(do_grow(r->fd, r->id, STEP, NULL));
	assert_next(fd, PEERSHM_EVENT_GREW, getpid(), "", STEP, 2 * STEP);
	p = peer_join_flags(r, "p", PEERSHM_ATTACH_READ_ONLY);
	pid = p->pid;
	joined = next(fd);
	assert_event(&joined, PEERSHM_EVENT_JOINED, pid, "p", 0, 0);
	assert_int_equal(joined.flags, PEERSHM_CLIENT_READ_ONLY);
	peer_kill(p);
	assert_next(fd, PEERSHM_EVENT_DIED, pid, "p", 0, 0);
	assert_ok(do_unlink(r->fd, r->name));
	assert_next(fd, PEERSHM_EVENT_UNLINKED, getpid(), "", 0, 0);
}

static void what_changes_nothing_is_no_event(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	int fd;

	(void)state;
	region_grow(r, STEP);
	fd = watcher(r);
	assert_ok(do_grow_to(c->fd, 0, STEP, NULL));
	assert_ok(do_shrink(c->fd, 0, STEP, NULL));
	assert_error(do_shrink(c->fd, 0, 2 * STEP, NULL), -EINVAL);
	assert_error(do_grow(c->fd, 0, GIB, NULL), -ENOSPC);
	assert_error(do_set_root(c->fd, 0, 1, 0), -EEXIST);
	assert_error(do_attach(r->fd, r->name, "me", 0, NULL), -EALREADY);
	assert_ok(do_stat(c->fd, 0, NULL, NULL));
	nothing_left(fd);
}

static void every_reader_gets_the_same_events(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *a = client_new(r, "a");
	struct peershm_event mine[16], seen[16];
	int fd = watcher(r);

	(void)state;
	region_grow(r, STEP);
	for (int i = 0; i < 8; i++)
		assert_ok(do_set_root(a->fd, 0, i ? r->base + i - 1 : 0, r->base + i));
	assert_int_equal(read_events(fd, seen, 16), 9);
	/* The client's begin with its own `joined`, which it gets once. */
	assert_int_equal(read_events(a->fd, mine, 16), 10);
	assert_event(&mine[0], PEERSHM_EVENT_JOINED, getpid(), "a", 0, 0);
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
	set_nonblock(c->fd, true);
	next(c->fd);
	next(c->fd);
	generation = c->header->generation;
	peer_start(p, grow_and_shrink, &rounds, sizeof(rounds));
	for (unsigned int i = 0; i < rounds; i++) {
		struct peershm_event e = next(c->fd);

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
	int fd = watcher(r);

	(void)state;
	peer_start(p, do_exec, NULL, 0);
	assert_next(fd, PEERSHM_EVENT_DIED, p->pid, "p", 0, 0);
}

static void unmapping_the_window_is_leaving(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = watcher(r);

	(void)state;
	assert_ok(peer_munmap(p, r->base, GIB));
	assert_next(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
}

static long do_exit(void *arg)
{
	exit(*(int *)arg);
}

static void ending_without_detach_is_a_death(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = watcher(r), status = 0;

	(void)state;
	peer_start(p, do_exit, &status, sizeof(status));
	assert_next(fd, PEERSHM_EVENT_DIED, p->pid, "p", 0, 0);
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
	fd = watcher(r);
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SHRINK, &s, sizeof(s)));
	assert_next(fd, PEERSHM_EVENT_SHRINKING, p->pid, "p", STEP, 0);
	assert_ok(peer_detach(p));
	assert_next(fd, PEERSHM_EVENT_SHRINKING, p->pid, "p", STEP, STEP);
	assert_next(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
	nothing_left(fd);
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
		n->n = read_events(fd, n->events, 4);
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
	int fd = watcher(r);

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
	assert_event(&n.events[0], PEERSHM_EVENT_JOINED, 1, "inside", 0, 0);
	assert_event(&n.events[1], PEERSHM_EVENT_JOINED, 0, "outside", 0, 0);
	/* And outside, also now that the process is gone. */
	assert_next(fd, PEERSHM_EVENT_JOINED, (pid_t)child, "inside", 0, 0);
	assert_next(fd, PEERSHM_EVENT_JOINED, outside->pid, "outside", 0, 0);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
}

static void the_pid_is_known_while_the_process_lives(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = watcher(r);
	struct peer *p = peer_join(r, "p");

	(void)state;
	assert_ok(peer_detach(p));
	assert_next(fd, PEERSHM_EVENT_JOINED, p->pid, "p", 0, 0);
	assert_next(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
}

/* Too many */

static void change_root(const struct region *r, int fd, unsigned int n)
{
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	for (unsigned int i = 0; i < n; i++) {
		uint64_t root = r->base + (info.root - r->base + 1) % STEP;

		assert_ok(do_set_root(fd, fd == r->fd ? r->id : 0, info.root, root));
		info.root = root;
	}
}

/* Read what there is; gives how many were lost, and checks that none is missing. */
static uint64_t drain(int fd, uint64_t *sequence, uint64_t *n)
{
	struct peershm_event events[7];
	uint64_t lost = 0;
	int got;

	while ((got = read_events(fd, events, 7)) > 0) {
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
	fd = watcher(r);
	set_nonblock(c->fd, true);
	first = next(c->fd);
	assert_int_equal(next(c->fd).type, PEERSHM_EVENT_GREW);
	sequence = first.sequence + 2;
	change_root(r, c->fd, MANY);
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
		change_root(r, c->fd, some);
		assert_int_equal(next(fd).sequence, sequence++);
		change_root(r, c->fd, i);
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
	change_root(r, c->fd, MANY);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(next(c->fd).type, PEERSHM_EVENT_OVERFLOW);
	while (read_events(c->fd, &e, 1) == 1) {
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
		watcher(r);
	change_root(r, c->fd, MANY);
	before = meminfo("Slab:") + meminfo("VmallocUsed:");
	change_root(r, c->fd, test_scale(20 * MANY));
	after = meminfo("Slab:") + meminfo("VmallocUsed:");
	assert_true(after - before < (long)(4 * MIB));
}

/* read() */

static void a_buffer_too_small_is_einval(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peershm_event e[2];
	char *bytes = (char *)e;

	(void)state;
	for (size_t n = 0; n < sizeof(e[0]); n++) {
		assert_int_equal(read(c->fd, bytes, n), -1);
		assert_int_equal(errno, EINVAL);
	}
	/* More than one, less than two: one. */
	region_grow(r, STEP);
	assert_int_equal(read(c->fd, e, sizeof(e) - 1), sizeof(e[0]));
	assert_int_equal(e[0].type, PEERSHM_EVENT_JOINED);
	assert_int_equal(next(c->fd).type, PEERSHM_EVENT_GREW);
}

static void a_bad_buffer_is_efault_and_loses_no_event(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	char *memory = mmap(NULL, 2 * SYSTEM_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct peershm_event *e;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + SYSTEM_PAGE, SYSTEM_PAGE), 0);
	region_grow(r, STEP);
	set_nonblock(c->fd, true);
	assert_int_equal(read(c->fd, memory + SYSTEM_PAGE, 1024), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(read(c->fd, memory + SYSTEM_PAGE - 100, 1024), -1);
	assert_int_equal(errno, EFAULT);
	/* The first fits, the second does not. */
	e = (void *)(memory + SYSTEM_PAGE - sizeof(*e) - 64);
	assert_int_equal(read(c->fd, e, 1024), sizeof(*e));
	assert_int_equal(e->type, PEERSHM_EVENT_JOINED);
	assert_int_equal(next(c->fd).type, PEERSHM_EVENT_GREW);
	nothing_left(c->fd);
	munmap(memory, SYSTEM_PAGE);
}

static void readv_puts_a_record_together(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	char one[50], two[100], three[300];
	struct iovec v[] = { { one, sizeof(one) }, { two, sizeof(two) }, { three, sizeof(three) } };
	struct peershm_event e;

	(void)state;
	/* Does not wait for a second record to fill the rest. */
	assert_int_equal(readv(c->fd, v, 3), sizeof(e));
	memcpy(&e, one, sizeof(one));
	memcpy((char *)&e + sizeof(one), two, sizeof(e) - sizeof(one));
	assert_event(&e, PEERSHM_EVENT_JOINED, getpid(), "me", 0, 0);
}

static void without_an_event_a_nonblocking_read_is_eagain(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peershm_event e;

	(void)state;
	next(c->fd);
	set_nonblock(c->fd, true);
	assert_error(read_events(c->fd, &e, 1), -EAGAIN);
	region_grow(r, STEP);
	assert_int_equal(read_events(c->fd, &e, 1), 1);
	assert_error(read_events(c->fd, &e, 1), -EAGAIN);
}

static void who_is_not_attached_gets_enotconn(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = device_open(O_RDWR);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct peershm_event e;

	(void)state;
	test_cleanup(close_fd, (void *)(intptr_t)fd);
	assert_error(read_events(fd, &e, 1), -ENOTCONN);
	assert_int_equal(read(fd, &e, 1), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLERR);
	assert_ok(do_attach(fd, r->name, "me", 0, NULL));
	assert_int_equal(next(fd).type, PEERSHM_EVENT_JOINED);
	assert_ok(do_detach(fd));
	assert_error(read_events(fd, &e, 1), -ENOTCONN);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLERR);
	/* Attached again, the file begins anew. */
	assert_ok(do_attach(fd, r->name, "again", 0, NULL));
	assert_next(fd, PEERSHM_EVENT_JOINED, getpid(), "again", 0, 0);
	assert_ok(do_detach(fd));
}

struct file_order {
	int fd;
	int revents;
	struct peershm_event event;
};

static long read_in_peer(void *arg)
{
	struct file_order *o = arg;
	struct pollfd p = { .fd = o->fd, .events = POLLIN };
	int got;

	poll(&p, 1, 0);
	o->revents = p.revents;
	got = read_events(o->fd, &o->event, 1);
	return got;
}

static void an_inherited_file_reads_nothing(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct file_order o = { .fd = c->fd };
	int fd = watcher(r);
	struct peer *p = peer_new();

	(void)state;
	region_grow(r, STEP);
	assert_error(peer_call(p, read_in_peer, &o, sizeof(o)), -ENOTCONN);
	assert_int_equal(o.revents, POLLERR);
	o.fd = fd;
	assert_error(peer_call(p, read_in_peer, &o, sizeof(o)), -ENOTCONN);
	assert_int_equal(o.revents, POLLERR);
	assert_int_equal(next(c->fd).type, PEERSHM_EVENT_JOINED);
	assert_int_equal(next(fd).type, PEERSHM_EVENT_GREW);
}

static long read_own(void *arg)
{
	(void)arg;
	return read_events(self.fd, &(struct peershm_event){ 0 }, 1);
}

static void a_blocked_read_is_woken_by_an_event(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	struct client *c = client_new(r, "me");

	(void)state;
	assert_int_equal(peer_call(p, read_own, NULL, 0), 1);
	assert_int_equal(peer_call(p, read_own, NULL, 0), 1);
	peer_start(p, read_own, NULL, 0);
	assert_error(peer_finish_within(p, NULL, 0, 50), -ETIMEDOUT);
	assert_ok(do_grow(c->fd, 0, STEP, NULL));
	assert_int_equal(peer_finish(p, NULL, 0), 1);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Interrupted by a handler without SA_RESTART, after the first events. */
static long read_interrupted(void *arg)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct peershm_event e;

	(void)arg;
	sigaction(SIGUSR1, &action, NULL);
	return read_events(self.fd, &e, 1);
}

static bool sleeps(void *arg)
{
	const struct peer *p = arg;
	char path[64], line[256] = "";
	FILE *f;
	char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", p->pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	state = strrchr(line, ')');
	return state && state[2] == 'S';
}

static void a_blocked_read_is_interrupted_by_a_signal(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	long got;

	(void)state;
	assert_int_equal(peer_call(p, read_own, NULL, 0), 1);
	peer_start(p, read_interrupted, NULL, 0);
	do {
		assert_true(test_until(sleeps, p, DEADLINE_MS));
		assert_int_equal(kill(p->pid, SIGUSR1), 0);
		got = peer_finish_within(p, NULL, 0, 100);
	} while (got == -ETIMEDOUT);
	assert_error(got, -EINTR);
	/* And a fatal one ends it. */
	peer_start(p, read_own, NULL, 0);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, DEADLINE_MS));
}

/* A peer that waits for the end of a region, and for nothing else. */
static long wait_for_the_end(void *arg)
{
	uint64_t id = *(uint64_t *)arg;
	struct pollfd p = { .fd = device_open(O_RDONLY), .events = 0 };
	long got = do_watch(p.fd, id);

	if (!got)
		/* at a deadline of its own it would look once more, unwoken */
		got = poll(&p, 1, -1) == 1 ? p.revents : -errno;
	close(p.fd);
	return got;
}

static void who_waits_for_the_end_alone_is_woken_by_it(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_new();

	(void)state;
	peer_start(p, wait_for_the_end, &r->id, sizeof(r->id));
	usleep(300000); /* it is to be asleep by then */
	region_grow(r, STEP);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(peer_finish(p, NULL, 0), POLLHUP);
}

/* poll() */

static void poll_tells_of_events_and_of_the_end(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLRDNORM };
	struct peershm_event e;

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLRDNORM);
	next(c->fd);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLRDNORM | POLLHUP);
	assert_next(c->fd, PEERSHM_EVENT_UNLINKED, getpid(), "", 0, 0);
	/* No read waits any more. */
	assert_int_equal(read_events(c->fd, &e, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLHUP);
	/* The client goes on, and so do its events. */
	assert_ok(do_grow(c->fd, 0, STEP, NULL));
	assert_next(c->fd, PEERSHM_EVENT_GREW, getpid(), "me", 0, STEP);
	assert_int_equal(read_events(c->fd, &e, 1), 0);
}

static void a_blocked_read_ends_when_the_region_is_unlinked(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");

	(void)state;
	assert_int_equal(peer_call(p, read_own, NULL, 0), 1);
	peer_start(p, read_own, NULL, 0);
	assert_error(peer_finish_within(p, NULL, 0, 50), -ETIMEDOUT);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(peer_finish(p, NULL, 0), 1);
	assert_int_equal(peer_call(p, read_own, NULL, 0), 0);
}

static void epoll_is_told_once_an_edge(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct epoll_event want = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	(void)state;
	test_cleanup(close_fd, (void *)(intptr_t)ep);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &want), 0);
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 1); /* joined */
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 0);
	region_grow(r, STEP);
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events & (EPOLLIN | EPOLLHUP | EPOLLERR), EPOLLIN);
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 0);
	next(c->fd);
	next(c->fd);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events & (EPOLLIN | EPOLLHUP | EPOLLERR), EPOLLIN | EPOLLHUP);
}

static void epoll_of_a_file_that_changes_its_region_is_safe(void **state)
{
	struct region *r[2] = { region_new(small, GIB), region_new(small, GIB) };
	struct epoll_event want = { .events = EPOLLIN }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int fd = device_open(O_RDWR);

	(void)state;
	test_cleanup(close_fd, (void *)(intptr_t)ep);
	test_cleanup(close_fd, (void *)(intptr_t)fd);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want), 0);
	for (unsigned int i = 0; i < test_scale(200); i++) {
		assert_ok(do_attach(fd, r[i % 2]->name, "me", 0, NULL));
		assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
		assert_true(got.events & EPOLLIN);
		assert_ok(do_detach(fd));
		assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
		assert_int_equal(got.events, EPOLLERR);
	}
	/* Once more, with the region gone before the file. */
	assert_ok(do_attach(fd, r[0]->name, "me", 0, NULL));
	assert_ok(do_unlink(r[0]->fd, r[0]->name));
	assert_ok(do_detach(fd));
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events, EPOLLERR);
}

/* WATCH */

static void a_watcher_is_no_client(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = watcher(r);
	struct peershm_event e;

	(void)state;
	assert_int_equal(region_nr_clients(r), 0);
	assert_error(do_stat(fd, 0, NULL, NULL), -ENOTCONN);
	assert_error(do_detach(fd), -ENOTCONN);
	assert_error(do_watch(fd, r->id), -EBUSY);
	assert_error(do_attach(fd, r->name, "me", PEERSHM_ATTACH_READ_ONLY, NULL), -EBUSY);
	assert_error(read_events(fd, &e, 1), -EAGAIN);
	assert_int_equal(region_nr_clients(r), 0);
}

/* Each event wakes all that wait for one, under a lock. */
static void watchers_are_limited(void **state)
{
	struct peershm_region_info info;
	char name[PEERSHM_NAME_SIZE];
	int fds[3];
	int fd = device_open(O_RDWR);

	(void)state;
	assert_true(fd >= 0);
	region_name(name);
	assert_ok(do_create_mode(fd, name, 0600, 2));
	assert_ok(do_stat(fd, 0, name, &info));
	for (unsigned int i = 0; i < 3; i++) {
		fds[i] = device_open(O_RDONLY);
		assert_true(fds[i] >= 0);
		assert_error(do_watch(fds[i], info.id), i < 2 ? 0 : -ENOSPC);
	}
	close(fds[0]);
	assert_ok(do_watch(fds[2], info.id));
	close(fds[1]);
	close(fds[2]);
	close(fd);
}

static void who_is_a_client_does_not_watch(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");

	(void)state;
	assert_error(do_watch(c->fd, r->id), -EBUSY);
	assert_error(do_watch(r->fd, 0), -EINVAL);
	assert_error(do_watch(r->fd, r->id + 1000), -ENOENT);
}

static void a_watcher_keeps_nothing_of_the_region(void **state)
{
	struct region *r = region_new(small, GIB);
	long before = meminfo("Shmem:");
	struct peershm_event e[4];
	int fd = watcher(r);

	(void)state;
	region_grow(r, 64 * MIB);
	assert_true(meminfo_until_at_least("Shmem:", before + (long)(60 * MIB), DEADLINE_MS));
	assert_ok(do_unlink(r->fd, r->name));
	assert_true(meminfo_until_at_most("Shmem:", before + (long)(4 * MIB), DEADLINE_MS));
	assert_int_equal(read_events(fd, e, 4), 2);
	assert_int_equal(e[0].type, PEERSHM_EVENT_GREW);
	assert_int_equal(e[1].type, PEERSHM_EVENT_UNLINKED);
	assert_int_equal(read_events(fd, e, 4), 0);
}

struct stranger {
	uint64_t id;
};

static long watch_as_stranger(void *arg)
{
	const struct stranger *s = arg;
	int fd = device_open(O_RDONLY);
	int err = do_watch(fd, s->id);

	close(fd);
	return err;
}

static void watching_needs_read_permission(void **state)
{
	struct region *r = region_new(small, GIB);
	struct stranger s = { .id = r->id };
	struct peershm_region_info info;
	char name[PEERSHM_NAME_SIZE];
	struct peer *p = peer_new();
	int fd = device_open(O_RDWR);

	(void)state;
	test_cleanup(close_fd, (void *)(intptr_t)fd);
	peer_become(p, 4242, 4242);
	assert_error(peer_call(p, watch_as_stranger, &s, sizeof(s)), -EACCES);
	region_name(name);
	assert_ok(do_create_mode(fd, name, 0604, 0));
	assert_ok(do_stat(fd, 0, name, &info));
	s.id = info.id;
	assert_ok(peer_call(p, watch_as_stranger, &s, sizeof(s)));
}

static void files_that_read_events_hold_the_module(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = watcher(r);

	(void)state;
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(syscall(SYS_delete_module, "peershm", O_NONBLOCK), -1);
	assert_true(errno == EWOULDBLOCK || errno == EBUSY);
	assert_int_equal(next(fd).type, PEERSHM_EVENT_UNLINKED);
}

/* Several at once */

#define READERS 4

struct crowd {
	int fd;
	uint64_t first, n;
	unsigned char *seen;
	int err;
};

static void *read_as_one_of_many(void *arg)
{
	struct crowd *c = arg;
	struct peershm_event events[3];
	int got;

	while ((got = read_events(c->fd, events, 3)) > 0) {
		for (int i = 0; i < got; i++) {
			if (events[i].type == PEERSHM_EVENT_OVERFLOW)
				__atomic_fetch_add(&c->n, events[i].new_value, __ATOMIC_RELAXED);
			else if (__atomic_fetch_add(&c->seen[events[i].sequence - c->first], 1,
						    __ATOMIC_RELAXED))
				c->err = -EEXIST;
			else
				__atomic_fetch_add(&c->n, 1, __ATOMIC_RELAXED);
		}
	}
	if (got)
		c->err = got;
	return NULL;
}

static void threads_that_read_one_file_share_its_events(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	unsigned int n = test_scale(20000);
	struct crowd crowd = { .seen = calloc(1, n + 16) };
	pthread_t threads[READERS];

	(void)state;
	assert_non_null(crowd.seen);
	crowd.fd = watcher(r);
	set_nonblock(crowd.fd, false);
	region_grow(r, STEP);
	crowd.first = next(crowd.fd).sequence + 1;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_as_one_of_many, &crowd), 0);
	change_root(r, c->fd, n);
	assert_ok(do_unlink(r->fd, r->name));
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_ok(crowd.err);
	assert_int_equal(crowd.n, n + 1); /* and the end */
	free(crowd.seen);
}

struct racer {
	int fd;
	bool stop;
	int err;
};

static void *read_until_stopped(void *arg)
{
	struct racer *x = arg;
	struct peershm_event e;

	while (!__atomic_load_n(&x->stop, __ATOMIC_RELAXED)) {
		int got = read_events(x->fd, &e, 1);

		if (got < 0 && got != -ENOTCONN && got != -EAGAIN && got != -EINTR)
			x->err = got;
	}
	return NULL;
}

static void reading_races_with_detach(void **state)
{
	struct region *r = region_new(small, GIB);
	struct racer x = { .fd = device_open(O_RDWR) };
	pthread_t threads[2];

	(void)state;
	test_cleanup(close_fd, (void *)(intptr_t)x.fd);
	region_grow(r, STEP);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_until_stopped, &x), 0);
	for (unsigned int i = 0; i < test_scale(1000); i++) {
		assert_ok(do_attach(x.fd, r->name, "me", 0, NULL));
		change_root(r, x.fd, i % 4);
		assert_ok(do_detach(x.fd));
	}
	__atomic_store_n(&x.stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_ok(x.err);
	assert_int_equal(region_nr_clients(r), 0);
}

static void *read_once(void *arg)
{
	struct racer *x = arg;
	struct peershm_event e[4];
	int got;

	do {
		got = read_events(x->fd, e, 4);
	} while (got > 0);
	x->err = got;
	return NULL;
}

static void a_read_that_waits_ends_with_detach(void **state)
{
	struct region *r = region_new(small, GIB);

	(void)state;
	for (unsigned int i = 0; i < test_scale(200); i++) {
		struct racer x = { .fd = device_open(O_RDWR) };
		pthread_t thread;

		assert_true(x.fd >= 0);
		assert_ok(do_attach(x.fd, r->name, "me", 0, NULL));
		assert_int_equal(pthread_create(&thread, NULL, read_once, &x), 0);
		if (i % 2)
			sched_yield();
		assert_ok(do_detach(x.fd));
		pthread_join(thread, NULL);
		assert_error(x.err, -ENOTCONN);
		close(x.fd);
	}
}

static void a_read_outlives_the_close_of_its_file(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < test_scale(50); i++) {
		struct region *r = region_new(small, GIB);
		struct racer x = { .fd = device_open(O_RDONLY) };
		pthread_t thread;

		assert_true(x.fd >= 0);
		assert_ok(do_watch(x.fd, r->id));
		assert_int_equal(pthread_create(&thread, NULL, read_once, &x), 0);
		if (i % 2)
			sched_yield();
		close(x.fd);
		/* If it was in time, it waits for the end of the region. */
		assert_ok(do_unlink(r->fd, r->name));
		pthread_join(thread, NULL);
		assert_true(x.err == 0 || x.err == -EBADF);
	}
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
		TEST(a_buffer_too_small_is_einval),
		TEST(a_bad_buffer_is_efault_and_loses_no_event),
		TEST(readv_puts_a_record_together),
		TEST(without_an_event_a_nonblocking_read_is_eagain),
		TEST(who_is_not_attached_gets_enotconn),
		TEST(an_inherited_file_reads_nothing),
		TEST(a_blocked_read_is_woken_by_an_event),
		TEST(a_blocked_read_is_interrupted_by_a_signal),
		TEST(poll_tells_of_events_and_of_the_end),
		TEST(a_blocked_read_ends_when_the_region_is_unlinked),
		TEST(epoll_is_told_once_an_edge),
		TEST(epoll_of_a_file_that_changes_its_region_is_safe),
		TEST(a_watcher_is_no_client),
		TEST(watchers_are_limited),
		TEST(who_waits_for_the_end_alone_is_woken_by_it),
		TEST(who_is_a_client_does_not_watch),
		TEST(a_watcher_keeps_nothing_of_the_region),
		TEST(watching_needs_read_permission),
		TEST(files_that_read_events_hold_the_module),
		TEST(threads_that_read_one_file_share_its_events),
		TEST(reading_races_with_detach),
		TEST(a_read_that_waits_ends_with_detach),
		TEST(a_read_outlives_the_close_of_its_file),
	};

	return test_run(tests);
}
