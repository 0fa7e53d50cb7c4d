/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting for events: poll() and epoll. */
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/event.h"
#include "common/harness.h"

#define STEP (1 * MIB)

static const struct backing *const small = &backings[PEERSHM_SMALL];

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

static void poll_tells_of_events_and_of_the_end(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLRDNORM };
	struct peershm_event e;

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLRDNORM);
	event_next(c->fd);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLRDNORM | POLLHUP);
	assert_next_event(c->fd, PEERSHM_EVENT_UNLINKED, getpid(), "", 0, 0);
	/* No read waits any more. */
	assert_int_equal(event_read(c->fd, &e, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLHUP);
	/* The client goes on, and so do its events. */
	assert_ok(do_grow(c->fd, 0, STEP, NULL));
	assert_next_event(c->fd, PEERSHM_EVENT_GREW, getpid(), "me", 0, STEP);
	assert_int_equal(event_read(c->fd, &e, 1), 0);
}

static void epoll_is_told_once_an_edge(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");
	struct epoll_event want = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	(void)state;
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

static void epoll_of_a_file_that_changes_its_region_is_safe(void **state)
{
	struct region *r[2] = { region_new(small, GIB), region_new(small, GIB) };
	struct epoll_event want = { .events = EPOLLIN }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int fd = device_open(O_RDWR);

	(void)state;
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
	/* Once more, with the region gone before the file. */
	assert_ok(do_attach(fd, r[0]->name, "me", 0, NULL));
	assert_ok(do_unlink(r[0]->fd, r[0]->name));
	assert_ok(do_detach(fd));
	assert_int_equal(epoll_wait(ep, &got, 1, DEADLINE_MS), 1);
	assert_int_equal(got.events, EPOLLERR);
}

#define EVENTS 10

/* The least time that a round of events takes who is the cause of them, in ns. */
static uint64_t cost_of_events(const struct region *r)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int round = 0; round < 20; round++) {
		struct timespec t[2];
		uint64_t ns;

		clock_gettime(CLOCK_MONOTONIC, &t[0]);
		for (unsigned int i = 0; i < EVENTS; i++) {
			uint64_t root = i % 2 ? 0 : r->base;

			assert_ok(do_set_root(r->fd, r->id, r->base - root, root));
		}
		clock_gettime(CLOCK_MONOTONIC, &t[1]);
		ns = (uint64_t)((t[1].tv_sec - t[0].tv_sec) * 1000000000 + t[1].tv_nsec -
				t[0].tv_nsec);
		if (ns < least)
			least = ns;
	}
	assert_true(least > 0);
	return least;
}

/* Whoever causes an event would tell each of them, and keep all others waiting for it. */
static void many_epolls_of_a_reader_cost_nobody_else(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	uint64_t without, with;
	int eps[64];

	(void)state;
	region_grow(r, STEP);
	without = cost_of_events(r);
	for (unsigned int i = 0; i < 64; i++) {
		eps[i] = epoll_create1(EPOLL_CLOEXEC);
		test_close(eps[i]);
	}
	for (unsigned int n = 0; n < 64; n++) {
		struct epoll_event want = { .events = EPOLLIN | EPOLLET };
		int copy = dup(fd);

		test_close(copy);
		for (unsigned int i = 0; i < 64; i++) {
			struct epoll_event got;

			assert_int_equal(epoll_ctl(eps[i], EPOLL_CTL_ADD, copy, &want), 0);
			/* what is there already, so that only what comes is told below */
			assert_int_equal(epoll_wait(eps[i], &got, 1, 0), 1);
		}
	}
	with = cost_of_events(r);
	print_message("an event costs %llu ns, with 4096 epolls that wait for it %llu ns\n",
		      (unsigned long long)without / EVENTS, (unsigned long long)with / EVENTS);
	assert_true(with < 10 * without);
	for (unsigned int i = 0; i < 64; i++) {
		struct epoll_event got;

		assert_int_equal(epoll_wait(eps[i], &got, 1, DEADLINE_MS), 1);
		assert_int_equal(got.events, EPOLLIN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_waits_for_the_end_alone_is_woken_by_it),
		TEST(poll_tells_of_events_and_of_the_end),
		TEST(epoll_is_told_once_an_edge),
		TEST(epoll_of_a_file_that_changes_its_region_is_safe),
		TEST(many_epolls_of_a_reader_cost_nobody_else),
	};

	return test_run(tests);
}
