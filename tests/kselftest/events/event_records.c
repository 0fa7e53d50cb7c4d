/* SPDX-License-Identifier: GPL-2.0-only */
/* Which events are recorded of a region, what they say, and how many are kept. */
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

#define STEP (1 * MIB)

/* More than are kept. */
#define MANY 5000

CASE(everything_that_happens_is_an_event)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	struct peershm_event joined, root, left;
	uint64_t cookie = 0;
	struct client c;
	struct peer *p;
	pid_t pid;

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
	assert_ok(do_shrink_flags(c.fd, 0, PEERSHM_SHRINK_ANNOUNCE, 2 * STEP, &cookie));
	assert_next_event(fd, PEERSHM_EVENT_SHRINKING, getpid(), "me", 4 * STEP, 2 * STEP);
	assert_ok(do_shrink_flags(c.fd, 0, PEERSHM_SHRINK_CANCEL, 0, &cookie));
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

	/* Of a process that is no client no name is recorded. */
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

CASE(what_changes_nothing_is_no_event)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	int fd;

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

CASE(every_reader_gets_the_same_events)
{
	struct region *r = region_new(small, GIB);
	struct client *a = client_new(r, "a");
	int fd = event_watcher(r);
	struct peershm_event mine[16], seen[16];

	region_grow(r, STEP);
	for (int i = 0; i < 8; i++)
		assert_ok(do_set_root(a->fd, 0, i ? r->base + i - 1 : 0, r->base + i));
	assert_int_equal(event_read(fd, seen, 16), 9);
	/* The client's events begin with that of its own attach. */
	assert_int_equal(event_read(a->fd, mine, 16), 10);
	assert_event_is(&mine[0], PEERSHM_EVENT_JOINED, getpid(), "a", 0, 0);
	assert_memory_equal(&mine[1], seen, 9 * sizeof(seen[0]));
	for (int i = 1; i < 10; i++)
		assert_int_equal(mine[i].sequence, mine[0].sequence + i);
}

/* In a peer: grow to one size after the other, and shrink to nothing in between. */
static long grow_and_shrink(void *arg)
{
	unsigned int rounds = *(const unsigned int *)arg;
	int err = 0;

	for (unsigned int i = 0; !err && i < rounds; i++)
		err = i % 2 ? do_shrink(self.fd, 0, 0, NULL) :
			      do_grow(self.fd, 0, (i + 1) * SYSTEM_PAGE, NULL);
	return err;
}

CASE(the_header_shows_a_change_before_its_event)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peer *p = peer_join(r, "p");
	/* Fewer than are kept. */
	unsigned int rounds = 200;
	uint64_t generation;

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

CASE(exec_is_a_death)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = event_watcher(r);

	peer_exec(p);
	assert_next_event(fd, PEERSHM_EVENT_DIED, p->pid, "p", 0, 0);
}

CASE(unmapping_the_window_is_leaving)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = event_watcher(r);

	assert_ok(peer_munmap(p, r->base, GIB));
	assert_next_event(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
}

static long do_exit(void *arg)
{
	exit(*(int *)arg);
}

CASE(ending_without_detach_is_a_death)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int fd = event_watcher(r), status = 0;

	peer_start(p, do_exit, &status, sizeof(status));
	assert_next_event(fd, PEERSHM_EVENT_DIED, p->pid, "p", 0, 0);
}

CASE(the_end_of_an_announcement_is_an_event)
{
	struct peershm_shrink s = { .size = sizeof(s), .flags = PEERSHM_SHRINK_ANNOUNCE };
	struct region *r = region_new(small, GIB);
	struct peer *p;
	int fd;

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

/* In a peer: a file that watches the region, and what it reads. */
static int watching;

static long watch(void *region)
{
	watching = device_open(O_RDONLY);
	return do_watch(watching, *(uint64_t *)region);
}

static long read_two(void *events)
{
	return event_read(watching, events, 2);
}

CASE(pids_are_those_of_the_readers_namespace)
{
	struct region *r = region_new(small, GIB);
	struct peer *inside = peer_new_in_pid_namespace(), *outside = peer_new();
	pid_t pid = inside->pid;
	int fd = event_watcher(r);
	struct peershm_event events[2];

	assert_ok(peer_call(inside, watch, &r->id, sizeof(r->id)));
	assert_ok(peer_attach(inside, r->name, "inside", 0));
	assert_ok(peer_attach(outside, r->name, "outside", 0));
	assert_int_equal(peer_call(inside, read_two, events, sizeof(events)), 2);
	assert_event_is(&events[0], PEERSHM_EVENT_JOINED, 1, "inside", 0, 0);
	assert_event_is(&events[1], PEERSHM_EVENT_JOINED, 0, "outside", 0, 0);
	/* Out here, too, even after the process has gone. */
	peer_kill(inside);
	assert_next_event(fd, PEERSHM_EVENT_JOINED, pid, "inside", 0, 0);
	assert_next_event(fd, PEERSHM_EVENT_JOINED, outside->pid, "outside", 0, 0);
}

CASE(the_pid_is_known_while_the_process_lives)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	struct peer *p = peer_join(r, "p");

	assert_ok(peer_detach(p));
	assert_next_event(fd, PEERSHM_EVENT_JOINED, p->pid, "p", 0, 0);
	assert_next_event(fd, PEERSHM_EVENT_LEFT, p->pid, "p", 0, 0);
}

/*
 * Read all events there are: they are in sequence, but for those that an overflow says are lost.
 * Gives how many are lost; *n is how many were read.
 */
static uint64_t drain(int fd, uint64_t *sequence, uint64_t *n)
{
	uint64_t lost = 0;
	struct peershm_event events[7];
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

CASE(a_slow_reader_is_told_how_many_it_lost)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	uint64_t sequence, n = 0, lost, some;
	struct peershm_event first;
	int fd;

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

	/* An overflow in the middle of reading, from one event too many on. */
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

CASE(after_an_overflow_comes_the_newest)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	uint64_t last = 0;
	struct peershm_event e;

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

CASE(events_that_nobody_reads_take_no_memory)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	long before, after;

	region_grow(r, STEP);
	for (int i = 0; i < 100; i++)
		event_watcher(r);
	event_make(r, c->fd, MANY);
	before = meminfo("Slab:") + meminfo("VmallocUsed:");
	event_make(r, c->fd, test_scale(20 * MANY));
	after = meminfo("Slab:") + meminfo("VmallocUsed:");
	assert_true(after - before < (long)(4 * MIB));
}
