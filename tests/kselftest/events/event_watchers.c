/* SPDX-License-Identifier: GPL-2.0-only */
/* WATCH: a file that reads the events of a region without being a client of it. */
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

#define STEP (1 * MIB)

CASE(a_watcher_is_no_client)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	struct peershm_event e;

	assert_int_equal(region_nr_clients(r), 0);
	assert_error(do_stat(fd, 0, NULL, NULL), -ENOTCONN);
	assert_error(do_detach(fd), -ENOTCONN);
	assert_error(do_watch(fd, r->id), -EBUSY);
	assert_error(do_attach(fd, r->name, "me", PEERSHM_ATTACH_READ_ONLY, NULL), -EBUSY);
	assert_error(event_read(fd, &e, 1), -EAGAIN);
	assert_int_equal(region_nr_clients(r), 0);
}

/* Each event wakes all readers that wait, under a lock: so their number has a limit. */
CASE(watchers_are_limited)
{
	struct region *r = region_of_mode(small, 0600, 2);
	int fds[3];

	for (unsigned int i = 0; i < 3; i++) {
		fds[i] = device_open(O_RDONLY);
		assert_true(fds[i] >= 0);
		assert_error(do_watch(fds[i], r->id), i < 2 ? 0 : -ENOSPC);
	}
	close(fds[0]);
	assert_ok(do_watch(fds[2], r->id));
	close(fds[1]);
	close(fds[2]);
}

CASE(who_is_a_client_does_not_watch)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "me");

	assert_error(do_watch(c->fd, r->id), -EBUSY);
	assert_error(do_watch(r->fd, 0), -EINVAL);
	assert_error(do_watch(r->fd, r->id + 1000), -ENOENT);
}

CASE(a_watcher_keeps_nothing_of_the_region)
{
	struct region *r = region_new(small, GIB);
	long before = meminfo("Shmem:");
	int fd = event_watcher(r);
	struct peershm_event e[4];

	region_grow(r, 64 * MIB);
	assert_true(meminfo_until_at_least("Shmem:", before + (long)(60 * MIB), DEADLINE_MS));
	assert_ok(do_unlink(r->fd, r->name));
	assert_true(meminfo_until_at_most("Shmem:", before + (long)(4 * MIB), DEADLINE_MS));
	assert_int_equal(event_read(fd, e, 4), 2);
	assert_int_equal(e[0].type, PEERSHM_EVENT_GREW);
	assert_int_equal(e[1].type, PEERSHM_EVENT_UNLINKED);
	assert_int_equal(event_read(fd, e, 4), 0);
}

static long watch(void *region)
{
	int fd = device_open(O_RDONLY);
	int err = do_watch(fd, *(uint64_t *)region);

	close(fd);
	return err;
}

CASE(watching_needs_read_permission)
{
	struct region *closed = region_of_mode(small, 0600, 0);
	struct region *open = region_of_mode(small, 0604, 0);
	struct peer *p = peer_new();

	peer_become(p, 4242, 4242);
	assert_error(peer_call(p, watch, &closed->id, sizeof(closed->id)), -EACCES);
	assert_ok(peer_call(p, watch, &open->id, sizeof(open->id)));
}

CASE(files_that_read_events_hold_the_module)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);

	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(syscall(SYS_delete_module, "peershm", O_NONBLOCK), -1);
	assert_true(errno == EWOULDBLOCK || errno == EBUSY);
	assert_int_equal(event_next(fd).type, PEERSHM_EVENT_UNLINKED);
}
