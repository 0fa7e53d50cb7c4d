/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting for events with poll() and epoll. */
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"
#include "support/task.h"
#include "support/tracepoint.h"

#define STEP (1 * MIB)

/* In a peer: wait for the end of a region, and for nothing else. */
static long wait_for_the_end(void *arg)
{
	uint64_t id = *(uint64_t *)arg;
	struct pollfd p = { .fd = device_open(O_RDONLY), .events = 0 };
	long got = do_watch(p.fd, id);

	/* No deadline: at its end poll() would look once more without being woken. */
	if (!got)
		got = poll(&p, 1, -1) == 1 ? p.revents : -errno;
	close(p.fd);
	return got;
}

/* What poll() of the C library calls: newer architectures have no other one. */
#ifdef SYS_poll
#define POLL_CALL SYS_poll
#else
#define POLL_CALL SYS_ppoll
#endif

/* The peer sleeps in poll(). */
static bool is_polling(void *arg)
{
	const struct peer *p = arg;
	unsigned long third;

	return task_call(p->pid, &third) == POLL_CALL && task_sleeps(p->pid);
}

CASE(who_waits_for_the_end_alone_is_woken_by_it)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_new();

	peer_start(p, wait_for_the_end, &r->id, sizeof(r->id));
	assert_true(test_until(is_polling, p, DEADLINE_MS));
	region_grow(r, STEP);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(peer_finish(p, NULL, 0), POLLHUP);
}

CASE(poll_tells_of_events_and_of_the_end)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLRDNORM };
	struct peershm_event e;

	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLRDNORM);
	event_next(c->fd);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLRDNORM | POLLHUP);
	assert_next_event(c->fd, PEERSHM_EVENT_UNLINKED, getpid(), "", 0, 0);
	/* A read does not wait any more. */
	assert_int_equal(event_read(c->fd, &e, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLHUP);
	/* The client goes on, and so do its events. */
	assert_ok(do_grow(c->fd, 0, STEP, NULL));
	assert_next_event(c->fd, PEERSHM_EVENT_GREW, getpid(), "me", 0, STEP);
	assert_int_equal(event_read(c->fd, &e, 1), 0);
}

CASE(epoll_is_told_once_an_edge)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct epoll_event want = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	test_close(ep);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &want), 0);
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 1); /* joined */
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 0);
	region_grow(r, STEP);
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events & (EPOLLIN | EPOLLHUP | EPOLLERR), EPOLLIN);
	assert_int_equal(epoll_wait(ep, &got, 1, 0), 0);
	event_next(c->fd);
	event_next(c->fd);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events & (EPOLLIN | EPOLLHUP | EPOLLERR), EPOLLIN | EPOLLHUP);
}

CASE(epoll_of_a_file_that_changes_its_region_is_safe)
{
	struct region *r[2] = { region_new(small, GIB), region_new(small, GIB) };
	struct epoll_event want = { .events = EPOLLIN }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int fd = device_open(O_RDWR);

	test_close(ep);
	test_close(fd);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want), 0);
	for (unsigned int i = 0; i < test_scale(200); i++) {
		assert_ok(do_attach(fd, r[i % 2]->name, "me", 0, NULL));
		assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
		assert_true(got.events & EPOLLIN);
		assert_ok(do_detach(fd));
		assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
		assert_int_equal(got.events, EPOLLERR);
	}
	/* Once more, with the region unlinked before the file leaves it. */
	assert_ok(do_attach(fd, r[0]->name, "me", 0, NULL));
	assert_ok(do_unlink(r[0]->fd, r[0]->name));
	assert_ok(do_detach(fd));
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events, EPOLLERR);
}

/* A thread that sleeps in an epoll, and an eventfd in that epoll to wake it by. */
struct sleeper {
	pthread_t thread;
	int ep, direct;
	pid_t tid;
	unsigned int woken;
	bool stop;
};

static void *sleep_in_epoll(void *arg)
{
	struct sleeper *s = arg;
	struct epoll_event got;

	__atomic_store_n(&s->tid, gettid(), __ATOMIC_RELEASE);
	while (epoll_wait(s->ep, &got, 1, -1) == 1 && !__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
		__atomic_add_fetch(&s->woken, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The thread stores its ID before it sleeps for the first time. */
static bool is_asleep(void *arg)
{
	pid_t tid = __atomic_load_n(&((struct sleeper *)arg)->tid, __ATOMIC_ACQUIRE);

	return tid && task_sleeps(tid);
}

static bool is_woken(void *arg)
{
	return __atomic_load_n(&((struct sleeper *)arg)->woken, __ATOMIC_ACQUIRE) > 0;
}

static void sleeper_end(void *arg)
{
	struct sleeper *s = arg;

	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	eventfd_write(s->direct, 1);
	pthread_join(s->thread, NULL);
}

/* A perf event that counts how often the calling thread wakes the sleeper. */
static int count_wakeups(const struct sleeper *s)
{
	long id = tracepoint_id("sched/sched_waking");
	char filter[32];
	int fd;

	if (id < 0)
		skip_because("the kernel has no tracepoint of wakeups");
	fd = tracepoint_open(id);
	test_close(fd);
	snprintf(filter, sizeof(filter), "pid == %d", s->tid);
	assert_int_equal(ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter), 0);
	assert_int_equal(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), 0);
	return fd;
}

static uint64_t wakeups(int fd)
{
	uint64_t n;

	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	return n;
}

/*
 * If whoever causes an event woke each of the epolls, all other events would wait for that. The
 * sleeper in one of them shows who does: this thread can wake it, by the eventfd, but does not by
 * the event that it causes.
 */
CASE(many_epolls_of_a_reader_cost_nobody_else)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r), counter;
	struct epoll_event want = { .events = EPOLLIN | EPOLLET };
	static struct sleeper s;
	int eps[64];

	region_grow(r, STEP);
	event_next(fd);
	for (unsigned int i = 0; i < 64; i++) {
		eps[i] = epoll_create1(EPOLL_CLOEXEC);
		test_close(eps[i]);
		assert_int_equal(epoll_ctl(eps[i], EPOLL_CTL_ADD, fd, &want), 0);
	}
	s = (struct sleeper){ .ep = eps[0], .direct = eventfd(0, EFD_CLOEXEC) };
	test_close(s.direct);
	assert_int_equal(epoll_ctl(s.ep, EPOLL_CTL_ADD, s.direct, &want), 0);
	assert_int_equal(pthread_create(&s.thread, NULL, sleep_in_epoll, &s), 0);
	test_cleanup(sleeper_end, &s);
	assert_true(test_until(is_asleep, &s, DEADLINE_MS));
	counter = count_wakeups(&s);

	assert_int_equal(eventfd_write(s.direct, 1), 0);
	assert_true(test_until(is_woken, &s, DEADLINE_MS));
	assert_int_equal(wakeups(counter), 1);

	assert_true(test_until(is_asleep, &s, DEADLINE_MS));
	__atomic_store_n(&s.woken, 0, __ATOMIC_RELEASE);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base));
	assert_true(test_until(is_woken, &s, DEADLINE_MS));
	assert_int_equal(wakeups(counter), 1);
	for (unsigned int i = 1; i < 64; i++) {
		struct epoll_event got;

		assert_int_equal(epoll_wait(eps[i], &got, 1, DEADLINE_MS), 1);
		assert_int_equal(got.events, EPOLLIN);
	}
}
