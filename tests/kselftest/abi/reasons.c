/* SPDX-License-Identifier: GPL-2.0-only */
/* Where an errno value can mean several things, a command that fails says which. */
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/command.h"
#include "support/harness.h"

#define expect(call, error, reason, detail)    \
	do {                                   \
		assert_error(call, error);     \
		assert_reason(reason, detail); \
	} while (0)

static struct peershm_create create(const struct backing *b)
{
	struct peershm_create c = {
		.size = sizeof(c), .capacity = 4 * GIB, .backing = b->id, .mode = 0600
	};

	region_name(c.name);
	return c;
}

static int try_create(int fd, struct peershm_create c)
{
	return xioctl(fd, PEERSHM_IOC_CREATE, &c);
}

CASE(create_says_which_argument_is_wrong)
{
	struct region *r = region_new(small, GIB);
	struct peershm_create c = create(small), wrong;

	wrong = c;
	wrong.flags = 1;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_ARGUMENT, 0);
	wrong = c;
	wrong.name[0] = '/';
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_NAME, 0);
	wrong = c;
	wrong.backing = 77;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_BACKING, 0);
	wrong = c;
	wrong.mode = 01000;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_MODE, 0);
	wrong = c;
	wrong.capacity = 0;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_ZERO, 0);
	wrong = c;
	wrong.capacity++;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_ALIGNMENT, SYSTEM_PAGE);
	wrong = c;
	wrong.reserve = 1;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_ALIGNMENT, SYSTEM_PAGE);
	wrong = c;
	wrong.base = MIB;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_BASE, 16 * MIB);
	wrong.base = 16 * MIB + 1;
	expect(try_create(r->fd, wrong), -EINVAL, PEERSHM_REASON_ALIGNMENT, SYSTEM_PAGE);
	wrong.base = -GIB;
	assert_error(try_create(r->fd, wrong), -EINVAL);
	assert_int_equal(last_failure.reason, PEERSHM_REASON_ADDRESS_SPACE);
	assert_true(last_failure.detail > r->base);
}

CASE(create_says_what_is_taken_and_which_limit_is_reached)
{
	struct region *r = region_new(small, GIB);
	struct peershm_create c = create(small), wrong;
	struct peershm_regions regions = { .size = sizeof(regions) };
	int read_only = device_open(O_RDONLY);

	test_close(read_only);
	expect(try_create(read_only, c), -EACCES, PEERSHM_REASON_DEVICE_READ_ONLY, 0);
	wrong = c;
	put_name(wrong.name, r->name);
	expect(try_create(r->fd, wrong), -EEXIST, PEERSHM_REASON_REGION_NAME, 0);
	wrong = c;
	wrong.base = r->base;
	expect(try_create(r->fd, wrong), -EADDRINUSE, PEERSHM_REASON_REGION_RANGE, 0);
	wrong = c;
	wrong.capacity = 1ULL << 62;
	expect(try_create(r->fd, wrong), -ENOSPC, PEERSHM_REASON_NO_RANGE, 0);
	wrong = c;
	wrong.reserve = c.capacity + SYSTEM_PAGE;
	expect(try_create(r->fd, wrong), -ENOSPC, PEERSHM_REASON_CAPACITY, c.capacity);
	parameter_set("max_clients", 8);
	wrong = c;
	wrong.max_clients = 9;
	expect(try_create(r->fd, wrong), -ENOSPC, PEERSHM_REASON_MAX_CLIENTS, 8);
	assert_ok(xioctl(r->fd, PEERSHM_IOC_REGIONS, &regions));
	parameter_set("max_regions", regions.nr_regions);
	expect(try_create(r->fd, c), -ENOSPC, PEERSHM_REASON_MAX_REGIONS, regions.nr_regions);
}

/* In a peer: the reason for which CREATE fails, or the negative errno value that it is not. */
static long no_space(void *arg)
{
	int err = try_create(self.fd, *(struct peershm_create *)arg);

	return err == -ENOSPC ? (long)last_failure.reason : err;
}

static long new_file(void *arg)
{
	(void)arg;
	self.fd = device_open(O_RDWR);
	return self.fd < 0 ? self.fd : 0;
}

CASE(a_users_limits_have_reasons_of_their_own)
{
	struct peershm_create c = create(small);
	struct peer *p = peer_new();

	peer_become(p, 1234, 1234);
	assert_ok(peer_call(p, new_file, NULL, 0));
	parameter_set("max_user_capacity", 2 * GIB);
	assert_int_equal(peer_call(p, no_space, &c, sizeof(c)), PEERSHM_REASON_MAX_USER_CAPACITY);
	parameter_set("max_user_capacity", 8 * GIB);
	parameter_set("max_user_bytes", MIB);
	c.reserve = 2 * MIB;
	assert_int_equal(peer_call(p, no_space, &c, sizeof(c)), PEERSHM_REASON_MAX_USER_BYTES);
	parameter_set("max_user_regions", 0);
	c.reserve = 0;
	assert_int_equal(peer_call(p, no_space, &c, sizeof(c)), PEERSHM_REASON_MAX_USER_REGIONS);
	c = create(hugetlb_2m);
	assert_int_equal(peer_call(p, no_space, &c, sizeof(c)), -EPERM);
}

CASE(grow_reserve_and_peer_map_say_why)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "one");
	struct peershm_peer_map map = { .size = sizeof(map), .offset = 2 * MIB };

	region_grow(r, MIB);
	expect(do_grow(c->fd, 0, 0, NULL), -EINVAL, PEERSHM_REASON_ZERO, 0);
	expect(do_grow(c->fd, 0, 1, NULL), -EINVAL, PEERSHM_REASON_ALIGNMENT, SYSTEM_PAGE);
	expect(do_grow(c->fd, 0, GIB, NULL), -ENOSPC, PEERSHM_REASON_CAPACITY, GIB);
	expect(do_set_reserve(c->fd, 0, 1), -EINVAL, PEERSHM_REASON_ALIGNMENT, SYSTEM_PAGE);
	expect(do_set_reserve(c->fd, 0, 2 * GIB), -ENOSPC, PEERSHM_REASON_CAPACITY, GIB);
	parameter_set("max_bytes", MIB);
	expect(do_grow(c->fd, 0, MIB, NULL), -ENOSPC, PEERSHM_REASON_MAX_BYTES, MIB);
	expect(xioctl(c->fd, PEERSHM_IOC_PEER_MAP, &map), -EINVAL, PEERSHM_REASON_SIZE, MIB);
	map.offset = 1;
	expect(xioctl(c->fd, PEERSHM_IOC_PEER_MAP, &map), -EINVAL, PEERSHM_REASON_ALIGNMENT,
	       SYSTEM_PAGE);
	map.offset = 0;
	map.report.timeout_ms = -3;
	expect(xioctl(c->fd, PEERSHM_IOC_PEER_MAP, &map), -EINVAL, PEERSHM_REASON_TIMEOUT, 0);
	expect(do_map_name(c->fd, 0, "nobody", NULL), -ENOENT, PEERSHM_REASON_NO_CLIENT, 0);
	expect(do_resolve_name(c->fd, 0, "nobody", NULL), -ENOENT, PEERSHM_REASON_NO_CLIENT, 0);
}

CASES(an_empty_pool_is_named_with_its_page_size, HUGETLB)
{
	struct region *r = region_with(b, 0, 0);

	expect(do_grow(r->fd, r->id, r->backing->capacity, NULL), -ENOMEM,
	       PEERSHM_REASON_POOL_EMPTY, b->page);
}

CASE(shrink_says_why)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "one");
	struct peer *p = peer_join(r, "two");
	uint64_t cookie = 0;

	region_grow(r, MIB);
	expect(do_shrink(c->fd, 0, 2 * MIB, NULL), -EINVAL, PEERSHM_REASON_SIZE, MIB);
	expect(do_shrink(c->fd, 0, 1, NULL), -EINVAL, PEERSHM_REASON_ALIGNMENT, SYSTEM_PAGE);
	expect(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_ANNOUNCE, 2 * MIB, NULL), -EINVAL,
	       PEERSHM_REASON_SIZE, MIB);
	expect(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_ANNOUNCED, 0, &cookie), -ECANCELED,
	       PEERSHM_REASON_NOT_IN_FORCE, 0);
	expect(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_CANCEL, 0, &cookie), -ECANCELED,
	       PEERSHM_REASON_NOT_IN_FORCE, 0);
	assert_ok(peer_command(p, command_find("announce"), &(struct target){ 0 }));
	expect(do_shrink_flags(c->fd, 0, PEERSHM_SHRINK_ANNOUNCE, 0, NULL), -EBUSY,
	       PEERSHM_REASON_ANNOUNCED, p->at.client);
	expect(do_shrink_flags(r->fd, r->id, PEERSHM_SHRINK_ANNOUNCE, 0, NULL), -ENOTCONN,
	       PEERSHM_REASON_NO_WINDOW, 0);
}

CASE(attach_says_why)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "two");
	int fd = device_open(O_RDWR), other = device_open(O_RDWR),
	    read_only = device_open(O_RDONLY);
	void *taken;

	test_close(fd);
	test_close(other);
	test_close(read_only);
	expect(do_attach(fd, "t-nobody", "one", 0, NULL), -ENOENT, PEERSHM_REASON_NO_REGION, 0);
	expect(do_attach(fd, r->name, "a/b", 0, NULL), -EINVAL, PEERSHM_REASON_NAME, 0);
	expect(do_attach(fd, r->name, "two", 0, NULL), -EEXIST, PEERSHM_REASON_CLIENT_NAME,
	       p->at.client);
	expect(do_attach(read_only, r->name, "one", 0, NULL), -EACCES,
	       PEERSHM_REASON_DEVICE_READ_ONLY, 0);
	taken = mmap(at_address(r->base), SYSTEM_PAGE, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(taken, at_address(r->base));
	expect(do_attach(fd, r->name, "one", 0, NULL), -EADDRINUSE, PEERSHM_REASON_PROCESS_RANGE,
	       0);
	munmap(taken, SYSTEM_PAGE);
	assert_ok(do_attach(fd, r->name, "one", PEERSHM_ATTACH_READ_ONLY, NULL));
	expect(do_attach(fd, r->name, "three", 0, NULL), -EBUSY, PEERSHM_REASON_FILE_BOUND, 0);
	expect(do_watch(fd, r->id), -EBUSY, PEERSHM_REASON_FILE_BOUND, 0);
	expect(do_attach(other, r->name, "three", 0, NULL), -EALREADY, PEERSHM_REASON_NONE, 0);
	expect(do_grow(fd, 0, MIB, NULL), -EACCES, PEERSHM_REASON_CLIENT_READ_ONLY, 0);
	expect(do_grow(read_only, r->id, MIB, NULL), -EACCES, PEERSHM_REASON_DEVICE_READ_ONLY, 0);
	expect(do_grow(other, 0, MIB, NULL), -ENOTCONN, PEERSHM_REASON_NO_WINDOW, 0);
	expect(do_stat(other, r->id + 1000, NULL, NULL), -ENOENT, PEERSHM_REASON_NO_REGION, 0);
	assert_ok(do_detach(fd));
}

CASE(a_full_region_says_for_how_many_it_is)
{
	struct region *r = region_of_mode(small, 0600, 1);
	struct client *c = client_new(r, "one");
	struct peer *p = peer_new();
	int fds[2] = { device_open(O_RDWR), device_open(O_RDWR) };

	(void)c;
	assert_error(peer_attach(p, r->name, "two", 0), -ENOSPC);
	test_close(fds[0]);
	test_close(fds[1]);
	assert_ok(do_watch(fds[0], r->id));
	expect(do_watch(fds[1], r->id), -ENOSPC, PEERSHM_REASON_CLIENTS, 1);
}

CASE(roots_say_why)
{
	struct region *r = region_new(small, GIB);
	int fd = r->fd;
	char name[16];

	region_grow(r, MIB);
	expect(do_set_root(fd, r->id, 0, r->base + MIB), -EINVAL, PEERSHM_REASON_SIZE, MIB);
	expect(do_set_root(fd, r->id, 8, r->base), -EEXIST, PEERSHM_REASON_ROOT_CHANGED, 0);
	expect(do_publish(fd, r->id, "no", 0, 0), -ENOENT, PEERSHM_REASON_NO_ROOT, 0);
	expect(do_get_root(fd, r->id, "no", NULL), -ENOENT, PEERSHM_REASON_NO_ROOT, 0);
	for (int i = 0; i < PEERSHM_MAX_ROOTS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_ok(do_publish(fd, r->id, name, 0, r->base));
	}
	expect(do_publish(fd, r->id, "more", 0, r->base), -ENOSPC, PEERSHM_REASON_MAX_ROOTS,
	       PEERSHM_MAX_ROOTS);
}
