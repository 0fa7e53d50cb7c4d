/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that watch a region without being a client of it. */
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

#define STEP (1 * MIB)

static void a_watcher_is_no_client(void **state)
{
	struct region *r = region_new(small, GIB);
	int fd = event_watcher(r);
	struct peershm_event e;

	(void)state;
	assert_int_equal(region_nr_clients(r), 0);
	assert_error(do_stat(fd, 0, NULL, NULL), -ENOTCONN);
	assert_error(do_detach(fd), -ENOTCONN);
	assert_error(do_watch(fd, r->id), -EBUSY);
	assert_error(do_attach(fd, r->name, "me", PEERSHM_ATTACH_READ_ONLY, NULL), -EBUSY);
	assert_error(event_read(fd, &e, 1), -EAGAIN);
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
	int fd = event_watcher(r);

	(void)state;
	region_grow(r, 64 * MIB);
	assert_true(meminfo_until_at_least("Shmem:", before + (long)(60 * MIB), DEADLINE_MS));
	assert_ok(do_unlink(r->fd, r->name));
	assert_true(meminfo_until_at_most("Shmem:", before + (long)(4 * MIB), DEADLINE_MS));
	assert_int_equal(event_read(fd, e, 4), 2);
	assert_int_equal(e[0].type, PEERSHM_EVENT_GREW);
	assert_int_equal(e[1].type, PEERSHM_EVENT_UNLINKED);
	assert_int_equal(event_read(fd, e, 4), 0);
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
	test_close(fd);
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
	int fd = event_watcher(r);

	(void)state;
	assert_ok(do_unlink(r->fd, r->name));
	assert_int_equal(syscall(SYS_delete_module, "peershm", O_NONBLOCK), -1);
	assert_true(errno == EWOULDBLOCK || errno == EBUSY);
	assert_int_equal(event_next(fd).type, PEERSHM_EVENT_UNLINKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_watcher_is_no_client),	      TEST(watchers_are_limited),
		TEST(who_is_a_client_does_not_watch), TEST(a_watcher_keeps_nothing_of_the_region),
		TEST(watching_needs_read_permission), TEST(files_that_read_events_hold_the_module),
	};

	return test_run(tests);
}
