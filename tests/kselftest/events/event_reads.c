/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading events with read(): buffers, waiting, signals, and several readers at once. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"
#include "support/task.h"

#define STEP (1 * MIB)

CASE(a_buffer_too_small_is_einval)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peershm_event e[2];
	char *bytes = (char *)e;

	for (size_t n = 0; n < sizeof(e[0]); n++) {
		assert_int_equal(read(c->fd, bytes, n), -1);
		assert_int_equal(errno, EINVAL);
	}
	/* With room for more than one record, but less than two, it reads one. */
	region_grow(r, STEP);
	assert_int_equal(read(c->fd, e, sizeof(e) - 1), sizeof(e[0]));
	assert_int_equal(e[0].type, PEERSHM_EVENT_JOINED);
	assert_int_equal(event_next(c->fd).type, PEERSHM_EVENT_GREW);
}

CASE(a_bad_buffer_is_efault_and_loses_no_event)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	char *memory = mmap(NULL, 2 * SYSTEM_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct peershm_event *e;

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + SYSTEM_PAGE, SYSTEM_PAGE), 0);
	region_grow(r, STEP);
	event_nonblock(c->fd, true);
	assert_int_equal(read(c->fd, memory + SYSTEM_PAGE, 1024), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(read(c->fd, memory + SYSTEM_PAGE - 100, 1024), -1);
	assert_int_equal(errno, EFAULT);
	/* There is room for the first record, but not for the second. */
	e = (void *)(memory + SYSTEM_PAGE - sizeof(*e) - 64);
	assert_int_equal(read(c->fd, e, 1024), sizeof(*e));
	assert_int_equal(e->type, PEERSHM_EVENT_JOINED);
	assert_int_equal(event_next(c->fd).type, PEERSHM_EVENT_GREW);
	event_none(c->fd);
	munmap(memory, SYSTEM_PAGE);
}

CASE(readv_puts_a_record_together)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	char one[50], two[100], three[300];
	struct iovec v[] = { { one, sizeof(one) }, { two, sizeof(two) }, { three, sizeof(three) } };
	struct peershm_event e;

	/* It does not wait for a second record to fill the rest. */
	assert_int_equal(readv(c->fd, v, 3), sizeof(e));
	memcpy(&e, one, sizeof(one));
	memcpy((char *)&e + sizeof(one), two, sizeof(e) - sizeof(one));
	assert_event_is(&e, PEERSHM_EVENT_JOINED, getpid(), "me", 0, 0);
}

CASE(without_an_event_a_nonblocking_read_is_eagain)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct peershm_event e;

	event_next(c->fd);
	event_nonblock(c->fd, true);
	assert_error(event_read(c->fd, &e, 1), -EAGAIN);
	region_grow(r, STEP);
	assert_int_equal(event_read(c->fd, &e, 1), 1);
	assert_error(event_read(c->fd, &e, 1), -EAGAIN);
}

CASE(who_is_not_attached_gets_enotconn)
{
	struct region *r = region_new(small, GIB);
	int fd = device_open(O_RDWR);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct peershm_event e;

	test_close(fd);
	assert_error(event_read(fd, &e, 1), -ENOTCONN);
	assert_int_equal(read(fd, &e, 1), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLERR);
	assert_ok(do_attach(fd, r->name, "me", 0, NULL));
	assert_int_equal(event_next(fd).type, PEERSHM_EVENT_JOINED);
	assert_ok(do_detach(fd));
	assert_error(event_read(fd, &e, 1), -ENOTCONN);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLERR);
	/* After it has attached again, the file reads the events from then on. */
	assert_ok(do_attach(fd, r->name, "again", 0, NULL));
	assert_next_event(fd, PEERSHM_EVENT_JOINED, getpid(), "again", 0, 0);
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
	got = event_read(o->fd, &o->event, 1);
	return got;
}

CASE(an_inherited_file_reads_nothing)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct file_order o = { .fd = c->fd };
	int fd = event_watcher(r);
	struct peer *p = peer_new();

	region_grow(r, STEP);
	assert_error(peer_call(p, read_in_peer, &o, sizeof(o)), -ENOTCONN);
	assert_int_equal(o.revents, POLLERR);
	o.fd = fd;
	assert_error(peer_call(p, read_in_peer, &o, sizeof(o)), -ENOTCONN);
	assert_int_equal(o.revents, POLLERR);
	assert_int_equal(event_next(c->fd).type, PEERSHM_EVENT_JOINED);
	assert_int_equal(event_next(fd).type, PEERSHM_EVENT_GREW);
}

static long read_own(void *arg)
{
	(void)arg;
	return event_read(self.fd, &(struct peershm_event){ 0 }, 1);
}

CASE(a_blocked_read_is_woken_by_an_event)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	struct client *c = client_new(r, "me");

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

/* In a peer: read, with a handler without SA_RESTART. */
static long read_interrupted(void *arg)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct peershm_event e;

	(void)arg;
	sigaction(SIGUSR1, &action, NULL);
	return event_read(self.fd, &e, 1);
}

static bool sleeps(void *arg)
{
	return task_sleeps(((struct peer *)arg)->pid);
}

CASE(a_blocked_read_is_interrupted_by_a_signal)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	long got;

	assert_int_equal(peer_call(p, read_own, NULL, 0), 1);
	peer_start(p, read_interrupted, NULL, 0);
	do {
		assert_true(test_until(sleeps, p, DEADLINE_MS));
		assert_int_equal(kill(p->pid, SIGUSR1), 0);
		got = peer_finish_within(p, NULL, 0, 100);
	} while (got == -ETIMEDOUT);
	assert_error(got, -EINTR);
	/* A fatal signal ends the read, too. */
	peer_start(p, read_own, NULL, 0);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, DEADLINE_MS));
}

CASE(a_blocked_read_ends_when_the_region_is_unlinked)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");

	assert_int_equal(peer_call(p, read_own, NULL, 0), 1);
	peer_start(p, read_own, NULL, 0);
	assert_error(peer_finish_within(p, NULL, 0, 50), -ETIMEDOUT);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(peer_finish(p, NULL, 0), 1);
	assert_int_equal(peer_call(p, read_own, NULL, 0), 0);
}

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

	while ((got = event_read(c->fd, events, 3)) > 0) {
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

CASE(threads_that_read_one_file_share_its_events)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	unsigned int n = test_scale(20000);
	struct crowd crowd = { .seen = calloc(1, n + 16) };
	pthread_t threads[READERS];

	assert_non_null(crowd.seen);
	crowd.fd = event_watcher(r);
	event_nonblock(crowd.fd, false);
	region_grow(r, STEP);
	crowd.first = event_next(crowd.fd).sequence + 1;
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_as_one_of_many, &crowd), 0);
	event_make(r, c->fd, n);
	assert_ok(do_unlink(r->fd, r->name));
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	assert_ok(crowd.err);
	/* One more: the end of the region. */
	assert_int_equal(crowd.n, n + 1);
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
		int got = event_read(x->fd, &e, 1);

		if (got < 0 && got != -ENOTCONN && got != -EAGAIN && got != -EINTR)
			x->err = got;
	}
	return NULL;
}

CASE(reading_races_with_detach)
{
	struct region *r = region_new(small, GIB);
	struct racer x = { .fd = device_open(O_RDWR) };
	pthread_t threads[2];

	test_close(x.fd);
	region_grow(r, STEP);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_until_stopped, &x), 0);
	for (unsigned int i = 0; i < test_scale(1000); i++) {
		assert_ok(do_attach(x.fd, r->name, "me", 0, NULL));
		event_make(r, x.fd, i % 4);
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
		got = event_read(x->fd, e, 4);
	} while (got > 0);
	x->err = got;
	return NULL;
}

CASE(a_read_that_waits_ends_with_detach)
{
	struct region *r = region_new(small, GIB);

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

CASE(a_read_outlives_the_close_of_its_file)
{
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
		/* If it began before the close, it goes on until the region is unlinked. */
		assert_ok(do_unlink(r->fd, r->name));
		pthread_join(thread, NULL);
		assert_true(x.err == 0 || x.err == -EBADF);
	}
}
