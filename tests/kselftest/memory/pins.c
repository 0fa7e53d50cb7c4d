/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that is registered with io_uring is pinned: a transfer goes to those pages, whatever
 * becomes of the region. So a shrink waits for it.
 */
#include <liburing.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"
#include "support/interruption.h"

static struct io_uring ring;

static void end_ring(void *unused)
{
	(void)unused;
	io_uring_queue_exit(&ring);
}

/* A client of a region of two steps, that has pinned a page at this offset. */
static struct client *with_pin(struct region *r, uint64_t offset)
{
	struct client *c = client_new(r, "pinner");
	struct iovec page = { at_address(r->base + offset), SYSTEM_PAGE };
	int err;

	region_grow(r, 2 * r->backing->step);
	err = io_uring_queue_init(2, &ring, 0);
	if (err == -ENOSYS || err == -EPERM)
		skip_because("io_uring: %s", strerror(-err));
	assert_ok(err);
	test_cleanup(end_ring, NULL);
	err = io_uring_register_buffers(&ring, &page, 1);
	if (err == -EOPNOTSUPP)
		skip_because("this kernel registers no such memory");
	assert_ok(err);
	return c;
}

static struct region *region_to_pin(const struct backing *b)
{
	return region_with(b, 0, 2 * b->step);
}

static int shrink(const struct client *c, uint32_t flags, uint64_t size, int timeout_ms)
{
	struct peershm_shrink s = {
		.size = sizeof(s), .flags = flags, .new_size = size, .timeout_ms = timeout_ms
	};

	return xioctl(c->fd, PEERSHM_IOC_SHRINK, &s);
}

CASES(a_shrink_gives_up_at_its_deadline_and_says_how_much_is_pinned, ALL_BACKINGS)
{
	struct region *r = region_to_pin(b);
	struct client *c = with_pin(r, b->step);
	struct snapshot *before = snapshot_take(c);
	uint64_t began;

	assert_error(shrink(c, 0, b->step, 0), -EBUSY);
	assert_reason(PEERSHM_REASON_PINNED, b->page);
	began = now_ms();
	assert_error(shrink(c, 0, b->step, 200), -EBUSY);
	assert_reason(PEERSHM_REASON_PINNED, b->page);
	assert_true(now_ms() - began >= 200);
	snapshot_same(before);
	assert_ok(io_uring_unregister_buffers(&ring));
	assert_ok(shrink(c, 0, b->step, 0));
	assert_int_equal(region_size(r), b->step);
}

static void *unpin(void *unused)
{
	usleep(300000);
	io_uring_unregister_buffers(&ring);
	return unused;
}

CASES(a_shrink_goes_on_when_the_memory_is_not_pinned_any_more, ALL_BACKINGS)
{
	struct region *r = region_to_pin(b);
	struct client *c = with_pin(r, b->step);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, unpin, NULL), 0);
	assert_ok(shrink(c, 0, 0, PEERSHM_TIMEOUT_NEVER));
	pthread_join(thread, NULL);
	assert_int_equal(region_size(r), 0);
}

CASES(an_announced_shrink_waits_in_the_same_way, ALL_BACKINGS)
{
	struct region *r = region_to_pin(b);
	struct client *c = with_pin(r, b->step);
	uint64_t cookie;

	assert_ok(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_ANNOUNCE, b->step, &cookie));
	assert_error(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_ANNOUNCED, b->step, &cookie), -EBUSY);
	assert_reason(PEERSHM_REASON_PINNED, b->page);
	/* It is still in force. */
	assert_ok(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_ANNOUNCED | PEERSHM_SHRINK_FORCE,
				  b->step, &cookie));
	assert_int_equal(region_size(r), b->step);
}

CASES(force_does_not_look, ALL_BACKINGS)
{
	struct region *r = region_to_pin(b);
	struct client *c = with_pin(r, b->step);

	assert_ok(shrink(c, PEERSHM_SHRINK_FORCE, b->step, 0));
	assert_int_equal(region_size(r), b->step);
}

CASES(what_stays_in_the_region_may_be_pinned, ALL_BACKINGS)
{
	struct region *r = region_to_pin(b);
	struct client *c = with_pin(r, b->step - b->page);

	assert_ok(shrink(c, 0, b->step, 0));
	assert_int_equal(region_size(r), b->step);
}

CASE(a_signal_ends_the_waiting)
{
	struct region *r = region_to_pin(small);
	struct client *c = with_pin(r, small->step);
	struct snapshot *before = snapshot_take(c);

	assert_ok(interrupt_after(100000000));
	assert_error_changes_nothing(before, shrink(c, 0, 0, PEERSHM_TIMEOUT_NEVER), -EINTR);
	interrupt_never();
}

/* A pipe only reads, and whoever may read the region could fill one and leave it. */
CASES(a_page_in_a_pipe_holds_up_no_shrink_and_is_read_as_it_was, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, 3 * b->step); /* a step is in the pipe, too */
	struct client *c = client_new(r, "writer");
	char text[16] = "in the pipe", got[16];
	struct iovec part = { at_address(r->base + b->step), sizeof(text) };
	int pipes[2];

	region_grow(r, 2 * b->step);
	memcpy(part.iov_base, text, sizeof(text));
	assert_int_equal(pipe(pipes), 0);
	test_close(pipes[0]);
	test_close(pipes[1]);
	assert_int_equal(vmsplice(pipes[1], &part, 1, 0), sizeof(text));
	assert_ok(shrink(c, 0, b->step, 0));
	region_grow(r, b->step);
	memset(part.iov_base, 0xff, sizeof(text));
	assert_int_equal(read(pipes[0], got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, text, sizeof(text));
}
