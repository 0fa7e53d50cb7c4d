/* SPDX-License-Identifier: GPL-2.0-only */
#include <poll.h>
#include <unistd.h>

#include "event.h"
#include "harness.h"

int event_watcher(const struct region *r)
{
	int fd = device_open(O_RDONLY | O_NONBLOCK);

	test_close(fd);
	assert_ok(do_watch(fd, r->id));
	return fd;
}

void event_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

int event_read(int fd, struct peershm_event *events, size_t n)
{
	ssize_t got;

	memset(events, POISON, n * sizeof(*events));
	got = read(fd, events, n * sizeof(*events));
	if (got < 0)
		return -errno;
	assert_int_equal(got % (ssize_t)sizeof(*events), 0);
	return (int)(got / (ssize_t)sizeof(*events));
}

struct peershm_event event_next(int fd)
{
	struct peershm_event e;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	assert_int_equal(event_read(fd, &e, 1), 1);
	assert_int_equal(e.size, sizeof(e));
	assert_int_equal(e.reserved, 0);
	return e;
}

void event_none(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct peershm_event e;

	assert_int_equal(poll(&p, 1, 0), 0);
	assert_error(event_read(fd, &e, 1), -EAGAIN);
}

void assert_event_is(const struct peershm_event *e, enum peershm_event_type type, pid_t pid,
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

void event_make(const struct region *r, int fd, unsigned int n)
{
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	for (unsigned int i = 0; i < n; i++) {
		uint64_t root = r->base + (info.root - r->base + 1) % MIB;

		assert_ok(do_set_root(fd, fd == r->fd ? r->id : 0, info.root, root));
		info.root = root;
	}
}
