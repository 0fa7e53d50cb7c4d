/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that the state of things forbids get their errno value, and change nothing. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/harness.h"

#define STEP (1 * MIB)

static struct region *region_with_witness(struct client **witness, struct snapshot **before)
{
	struct region *r = region_new(small, GIB);

	region_grow(r, STEP);
	*witness = client_new(r, "witness");
	*before = snapshot_take(*witness);
	return r;
}

static void a_name_that_is_not_there_is_enoent(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	int fd = device_open(O_RDWR);
	pid_t pid;

	(void)state;
	assert_error(do_attach(fd, "t-no-such-region", "a", 0, NULL), -ENOENT);
	assert_error(do_stat(fd, 0, "t-no-such-region", NULL), -ENOENT);
	assert_error(do_unlink(fd, "t-no-such-region"), -ENOENT);
	assert_error(do_resolve_name(fd, r->id, "nobody", &pid), -ENOENT);
	assert_error(do_resolve_pid(fd, r->id, 1, NULL), -ENOENT);
	assert_error(do_map_name(fd, r->id, "nobody", NULL), -ENOENT);
	assert_error(do_map_pid(fd, r->id, 1, NULL), -ENOENT);
	snapshot_same(before);
	close(fd);
}

static void an_id_that_is_not_there_is_enoent(void **state)
{
	const uint64_t id = 1ULL << 60;
	int fd = device_open(O_RDWR);

	(void)state;
	assert_error(do_grow(fd, id, SYSTEM_PAGE, NULL), -ENOENT);
	assert_error(do_shrink(fd, id, 0, NULL), -ENOENT);
	assert_error(do_peer_map(fd, id, NULL), -ENOENT);
	assert_error(do_set_root(fd, id, 0, 0), -ENOENT);
	assert_error(do_clients(fd, id, NULL, 0), -ENOENT);
	assert_error(do_stat(fd, id, NULL, NULL), -ENOENT);
	assert_error(do_resolve_name(fd, id, "a", NULL), -ENOENT);
	assert_error(do_unlink_id(fd, id), -ENOENT);
	close(fd);
}

static void a_region_name_that_is_taken_is_eexist(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);

	(void)state;
	assert_error_changes_nothing(before, do_create(r->fd, r->name, small, GIB, NULL), -EEXIST);
	assert_error_changes_nothing(
		before, do_create(r->fd, r->name, &backings[PEERSHM_THP], 2 * GIB, NULL), -EEXIST);
}

static void a_live_client_name_is_eexist(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	struct peer *p = peer_new();

	(void)state;
	assert_error_changes_nothing(before, peer_attach(p, r->name, "witness", 0), -EEXIST);
	assert_ok(peer_attach(p, r->name, "another", 0));
}

static void another_root_than_expected_is_eexist(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);

	(void)state;
	assert_error_changes_nothing(before, do_set_root(r->fd, r->id, r->base, r->base), -EEXIST);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base));
	before = snapshot_take(witness);
	assert_error_changes_nothing(before, do_set_root(r->fd, r->id, 0, r->base + 8), -EEXIST);
	assert_ok(do_set_root(r->fd, r->id, r->base, r->base + 8));
	assert_ok(do_set_root(r->fd, r->id, r->base + 8, 0));
}

struct in_the_way {
	uint64_t at;
	uint64_t length;
};

static long map_something(void *arg)
{
	struct in_the_way *w = arg;
	void *got = mmap(at_address(w->at), w->length, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return got == at_address(w->at) ? 0 : -errno;
}

static void a_mapping_anywhere_in_the_window_is_eaddrinuse(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	const uint64_t places[] = { r->base, r->base + GIB / 2, r->base + GIB - SYSTEM_PAGE };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct in_the_way w = { places[i], SYSTEM_PAGE };
		struct peer *p = peer_new();

		assert_ok(peer_call(p, map_something, &w, sizeof(w)));
		assert_error_changes_nothing(before, peer_attach(p, r->name, "late", 0),
					     -EADDRINUSE);
		/* What was there is there still; without it, attach works. */
		assert_int_equal(peer_touch(p, w.at), 0);
		assert_ok(peer_munmap(p, w.at, w.length));
		assert_ok(peer_attach(p, r->name, "late", 0));
		assert_ok(peer_detach(p));
		before = snapshot_take(witness);
	}
}

static void an_address_of_another_region_is_eaddrinuse(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB };

	(void)state;
	region_name(c.name);
	c.base = r->base;
	assert_error_changes_nothing(before, xioctl(r->fd, PEERSHM_IOC_CREATE, &c), -EADDRINUSE);
	c.base = r->base + GIB - SYSTEM_PAGE;
	assert_error_changes_nothing(before, xioctl(r->fd, PEERSHM_IOC_CREATE, &c), -EADDRINUSE);
	c.base = r->base - GIB + SYSTEM_PAGE;
	assert_error_changes_nothing(before, xioctl(r->fd, PEERSHM_IOC_CREATE, &c), -EADDRINUSE);
}

static void a_base_of_ones_own_choice_is_kept(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .base = 0x520000000000 };
	struct peershm_region_info info;

	(void)state;
	region_name(c.name);
	assert_ok(xioctl(r->fd, PEERSHM_IOC_CREATE, &c));
	assert_ok(do_stat(r->fd, c.region, NULL, &info));
	assert_int_equal(info.base, 0x520000000000);
	/* It lies before those that the module chooses, and is not in their way. */
	assert_true(region_new(small, GIB)->base > info.base);
}

static void a_process_that_is_a_client_already_is_ealready(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	int fd = device_open(O_RDWR);

	(void)state;
	assert_error_changes_nothing(before, do_attach(fd, r->name, "again", 0, NULL), -EALREADY);
	close(fd);
}

static void a_file_that_is_attached_already_is_ebusy(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *other = region_new(small, GIB);
	struct peershm_region_info info;

	(void)state;
	region_with_witness(&witness, &before);
	assert_error_changes_nothing(before, do_attach(witness->fd, other->name, "x", 0, NULL),
				     -EBUSY);
	assert_ok(do_stat(other->fd, other->id, NULL, &info));
	assert_int_equal(info.nr_clients, 0);
}

/* Every call that is for the file's own region. */
static void all_are_enotconn(int fd)
{
	assert_error(do_detach(fd), -ENOTCONN);
	assert_error(do_grow(fd, 0, SYSTEM_PAGE, NULL), -ENOTCONN);
	assert_error(do_shrink(fd, 0, 0, NULL), -ENOTCONN);
	assert_error(do_peer_map(fd, 0, NULL), -ENOTCONN);
	assert_error(do_set_root(fd, 0, 0, 0), -ENOTCONN);
	assert_error(do_publish(fd, 0, "a", 0, 1), -ENOTCONN);
	assert_error(do_get_root(fd, 0, NULL, NULL), -ENOTCONN);
	assert_error(do_roots(fd, 0, NULL, 0), -ENOTCONN);
	assert_error(do_clients(fd, 0, NULL, 0), -ENOTCONN);
	assert_error(do_resolve_name(fd, 0, "a", NULL), -ENOTCONN);
	assert_error(do_stat(fd, 0, NULL, NULL), -ENOTCONN);
	assert_ptr_equal(mmap(NULL, SYSTEM_PAGE, PROT_READ, MAP_SHARED, fd,
			      (off_t)PEERSHM_HEADER_OFFSET),
			 MAP_FAILED);
	assert_int_equal(errno, ENOTCONN);
}

static void a_file_that_was_never_attached_is_enotconn(void **state)
{
	int fd = device_open(O_RDWR);

	(void)state;
	all_are_enotconn(fd);
	close(fd);
}

static void a_detached_file_is_enotconn(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	int fd;

	(void)state;
	client_leave(witness);
	fd = device_open(O_RDWR);
	assert_ok(do_attach(fd, r->name, "gone", 0, NULL));
	assert_ok(do_detach(fd));
	all_are_enotconn(fd);
	/* It can be used anew. */
	assert_ok(do_attach(fd, r->name, "back", 0, NULL));
	assert_ok(do_detach(fd));
	close(fd);
}

struct all_calls {
	int fd;
	int detach, grow, shrink, map, root, publish, get_root, roots, clients, stat, header;
};

static long try_all_calls(void *arg)
{
	struct all_calls *a = arg;
	void *header;

	a->detach = do_detach(a->fd);
	a->grow = do_grow(a->fd, 0, SYSTEM_PAGE, NULL);
	a->shrink = do_shrink(a->fd, 0, 0, NULL);
	a->map = do_peer_map(a->fd, 0, NULL);
	a->root = do_set_root(a->fd, 0, 0, 0);
	a->publish = do_publish(a->fd, 0, "a", 0, 1);
	a->get_root = do_get_root(a->fd, 0, NULL, NULL);
	a->roots = do_roots(a->fd, 0, NULL, 0);
	a->clients = do_clients(a->fd, 0, NULL, 0);
	a->stat = do_stat(a->fd, 0, NULL, NULL);
	header =
		mmap(NULL, SYSTEM_PAGE, PROT_READ, MAP_SHARED, a->fd, (off_t)PEERSHM_HEADER_OFFSET);
	a->header = header == MAP_FAILED ? -errno : 0;
	return 0;
}

static void check_all_calls(const struct all_calls *a)
{
	assert_error(a->detach, -ENOTCONN);
	assert_error(a->grow, -ENOTCONN);
	assert_error(a->shrink, -ENOTCONN);
	assert_error(a->map, -ENOTCONN);
	assert_error(a->root, -ENOTCONN);
	assert_error(a->publish, -ENOTCONN);
	assert_error(a->get_root, -ENOTCONN);
	assert_error(a->roots, -ENOTCONN);
	assert_error(a->clients, -ENOTCONN);
	assert_error(a->stat, -ENOTCONN);
	assert_error(a->header, -ENOTCONN);
}

static void an_inherited_file_is_enotconn(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct all_calls a;
	struct peer *child;

	(void)state;
	region_with_witness(&witness, &before);
	child = peer_new(); /* a fork of this process, and it keeps its files */
	a.fd = witness->fd;
	assert_ok(peer_call(child, try_all_calls, &a, sizeof(a)));
	check_all_calls(&a);
	snapshot_same(before);
}

static long receive_file_and_try(void *arg)
{
	struct all_calls *a = arg;
	char byte, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	if (recvmsg(a->fd, &message, 0) != 1)
		return -errno;
	c = CMSG_FIRSTHDR(&message);
	if (!c)
		return -ENODATA;
	memcpy(&a->fd, CMSG_DATA(c), sizeof(a->fd));
	return try_all_calls(a);
}

static void a_file_passed_over_a_socket_is_enotconn(void **state)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	struct snapshot *before;
	struct client *witness;
	struct all_calls a;
	struct peer *p;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	p = peer_new();
	region_with_witness(&witness, &before);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &witness->fd, sizeof(int));
	assert_int_equal(sendmsg(pair[0], &message, 0), 1);
	a.fd = pair[1];
	assert_ok(peer_call(p, receive_file_and_try, &a, sizeof(a)));
	check_all_calls(&a);
	snapshot_same(before);
	close(pair[0]);
	close(pair[1]);
}

static void mappings_of_the_device_other_than_the_abi_names_are_refused(void **state)
{
	struct snapshot *before;
	struct client *witness;
	struct region *r = region_with_witness(&witness, &before);
	size_t header = witness->at.header_length, control = witness->at.control_length;
	const struct {
		uint64_t offset;
		size_t extra; /* pages longer than the header or control */
		int protection, flags, want;
	} bad[] = {
		{ 0, 0, PROT_READ, MAP_SHARED, EINVAL }, /* the window is for ATTACH */
		{ SYSTEM_PAGE, 0, PROT_READ, MAP_SHARED, EINVAL },
		{ PEERSHM_HEADER_OFFSET, 0, PROT_READ | PROT_WRITE, MAP_SHARED, EACCES },
		{ PEERSHM_HEADER_OFFSET, 0, PROT_READ, MAP_PRIVATE, EINVAL },
		{ PEERSHM_HEADER_OFFSET, 1, PROT_READ, MAP_SHARED, EINVAL },
		{ PEERSHM_HEADER_OFFSET + SYSTEM_PAGE, 0, PROT_READ, MAP_SHARED, EINVAL },
		{ PEERSHM_CONTROL_OFFSET, 0, PROT_READ, MAP_PRIVATE, EINVAL },
		{ PEERSHM_CONTROL_OFFSET, 1, PROT_READ, MAP_SHARED, EINVAL },
	};

	(void)state;
	(void)r;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool is_control = bad[i].offset >= PEERSHM_CONTROL_OFFSET;
		size_t length = (is_control ? control : header) + bad[i].extra * SYSTEM_PAGE;
		void *got = mmap(NULL, length, bad[i].protection, bad[i].flags, witness->fd,
				 (off_t)bad[i].offset);

		if (got != MAP_FAILED || errno != bad[i].want)
			print_error("mapping number %zu\n", i);
		assert_ptr_equal(got, MAP_FAILED);
		assert_int_equal(errno, bad[i].want);
	}
	snapshot_same(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_that_is_not_there_is_enoent),
		TEST(an_id_that_is_not_there_is_enoent),
		TEST(a_region_name_that_is_taken_is_eexist),
		TEST(a_live_client_name_is_eexist),
		TEST(another_root_than_expected_is_eexist),
		TEST(a_mapping_anywhere_in_the_window_is_eaddrinuse),
		TEST(an_address_of_another_region_is_eaddrinuse),
		TEST(a_base_of_ones_own_choice_is_kept),
		TEST(a_process_that_is_a_client_already_is_ealready),
		TEST(a_file_that_is_attached_already_is_ebusy),
		TEST(a_file_that_was_never_attached_is_enotconn),
		TEST(a_detached_file_is_enotconn),
		TEST(an_inherited_file_is_enotconn),
		TEST(a_file_passed_over_a_socket_is_enotconn),
		TEST(mappings_of_the_device_other_than_the_abi_names_are_refused),
	};

	return test_run(tests);
}
