/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that are forbidden in the present state get their errno value, and change nothing. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/harness.h"

#define STEP (1 * MIB)

CASE(a_name_that_is_not_there_is_enoent)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;
	int fd = device_open(O_RDWR);
	pid_t pid;

	assert_error(do_attach(fd, "t-no-such-region", "a", 0, NULL), -ENOENT);
	assert_error(do_stat(fd, 0, "t-no-such-region", NULL), -ENOENT);
	assert_error(do_unlink(fd, "t-no-such-region"), -ENOENT);
	assert_error(do_resolve_name(fd, r->id, "nobody", &pid), -ENOENT);
	assert_error(do_resolve_pid(fd, r->id, 1, NULL), -ENOENT);
	assert_error(do_map_name(fd, r->id, "nobody", NULL), -ENOENT);
	assert_error(do_map_pid(fd, r->id, 1, NULL), -ENOENT);
	fixture_unchanged(f);
	close(fd);
}

CASE(an_id_that_is_not_there_is_enoent)
{
	struct fixture *f = fixture_new();
	struct target t = target_of(f->region, SYSTEM_PAGE);

	t.by_id = true;
	t.id = 1ULL << 60;
	self.fd = fixture_file(f);
	for_each_row(c)
	{
		if (c->region)
			assert_error(command_run(c, &t), -ENOENT);
	}
	fixture_unchanged(f);
}

CASE(a_region_name_that_is_taken_is_eexist)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;

	assert_error_changes_nothing(f->before, do_create(r->fd, r->name, small, GIB, NULL),
				     -EEXIST);
	assert_error_changes_nothing(f->before, do_create(r->fd, r->name, thp, 2 * GIB, NULL),
				     -EEXIST);
}

CASE(a_live_client_name_is_eexist)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;
	struct peer *p = peer_new();

	assert_error_changes_nothing(f->before, peer_attach(p, r->name, "witness", 0), -EEXIST);
	assert_ok(peer_attach(p, r->name, "another", 0));
}

CASE(another_root_than_expected_is_eexist)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;

	assert_error_changes_nothing(f->before, do_set_root(r->fd, r->id, r->base, r->base),
				     -EEXIST);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base));
	snapshot_again(f->before);
	assert_error_changes_nothing(f->before, do_set_root(r->fd, r->id, 0, r->base + 8), -EEXIST);
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

CASE(a_mapping_anywhere_in_the_window_is_eaddrinuse)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;
	const uint64_t places[] = { r->base, r->base + GIB / 2, r->base + GIB - SYSTEM_PAGE };

	for (int i = 0; i < 3; i++) {
		struct in_the_way w = { places[i], SYSTEM_PAGE };
		struct peer *p = peer_new();

		assert_ok(peer_call(p, map_something, &w, sizeof(w)));
		assert_error_changes_nothing(f->before, peer_attach(p, r->name, "late", 0),
					     -EADDRINUSE);
		/* The mapping is still there. Once it is gone, attach succeeds. */
		assert_int_equal(peer_touch(p, w.at), 0);
		assert_ok(peer_munmap(p, w.at, w.length));
		assert_ok(peer_attach(p, r->name, "late", 0));
		assert_ok(peer_detach(p));
		snapshot_again(f->before);
	}
}

CASE(an_address_of_another_region_is_eaddrinuse)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB };

	region_name(c.name);
	c.base = r->base;
	assert_error_changes_nothing(f->before, xioctl(r->fd, PEERSHM_IOC_CREATE, &c), -EADDRINUSE);
	c.base = r->base + GIB - SYSTEM_PAGE;
	assert_error_changes_nothing(f->before, xioctl(r->fd, PEERSHM_IOC_CREATE, &c), -EADDRINUSE);
	c.base = r->base - GIB + SYSTEM_PAGE;
	assert_error_changes_nothing(f->before, xioctl(r->fd, PEERSHM_IOC_CREATE, &c), -EADDRINUSE);
}

CASE(a_base_of_ones_own_choice_is_kept)
{
	struct region *r = region_new(small, GIB);
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .base = 0x520000000000 };
	struct peershm_region_info info;

	region_name(c.name);
	assert_ok(xioctl(r->fd, PEERSHM_IOC_CREATE, &c));
	assert_ok(do_stat(r->fd, c.region, NULL, &info));
	assert_int_equal(info.base, 0x520000000000);
	/* The module chooses addresses behind it. */
	assert_true(region_new(small, GIB)->base > info.base);
}

CASE(a_process_that_is_a_client_already_is_ealready)
{
	struct fixture *f = fixture_new();
	struct region *r = f->region;
	int fd = device_open(O_RDWR);

	assert_error_changes_nothing(f->before, do_attach(fd, r->name, "again", 0, NULL),
				     -EALREADY);
	close(fd);
}

CASE(a_file_that_is_attached_already_is_ebusy)
{
	struct fixture *f = fixture_new();

	assert_error(do_attach(f->witness->fd, f->other->name, "x", 0, NULL), -EBUSY);
	fixture_unchanged(f);
}

/* Every command that needs a client's file, with the file of this peer. */
static void all_are_enotconn(struct fixture *f, struct peer *p)
{
	struct target t = target_of(f->region, SYSTEM_PAGE);

	for_each_command(c)
	{
		long err = c->where == INSIDE ? peer_command(p, c, &t) : -ENOTCONN;

		if (err != -ENOTCONN)
			print_error("%s: ", c->name);
		assert_error(err, -ENOTCONN);
	}
	fixture_unchanged(f);
}

CASE(a_file_that_was_never_attached_is_enotconn)
{
	struct fixture *f = fixture_new();

	all_are_enotconn(f, command_peer(f->region, false));
}

CASE(a_detached_file_is_enotconn)
{
	const struct command *attach = command_find("attach"), *detach = command_find("detach");
	struct fixture *f = fixture_new();
	struct target t = target_of(f->region, STEP);
	struct peer *p = command_peer(f->region, false);

	assert_ok(peer_command(p, attach, &t));
	assert_ok(peer_command(p, detach, &t));
	snapshot_again(f->before);
	all_are_enotconn(f, p);
	/* It can be used anew. */
	assert_ok(peer_command(p, attach, &t));
	assert_ok(peer_command(p, detach, &t));
}

static long use_file(void *arg)
{
	self.fd = *(int *)arg;
	return 0;
}

CASE(an_inherited_file_is_enotconn)
{
	struct fixture *f = fixture_new();
	struct peer *child = peer_new(); /* a fork of this process: it inherits the file */

	assert_ok(peer_call(child, use_file, &f->witness->fd, sizeof(int)));
	all_are_enotconn(f, child);
}

/* A message of one byte that carries a file. */
struct message {
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part;
	struct msghdr header;
};

static struct msghdr *message_of(struct message *m)
{
	memset(m, 0, sizeof(*m));
	m->part = (struct iovec){ &m->byte, 1 };
	m->header = (struct msghdr){ .msg_iov = &m->part,
				     .msg_iovlen = 1,
				     .msg_control = m->control,
				     .msg_controllen = sizeof(m->control) };
	return &m->header;
}

static long receive_file(void *arg)
{
	struct message m;
	struct cmsghdr *c;

	if (recvmsg(*(int *)arg, message_of(&m), 0) != 1)
		return -errno;
	c = CMSG_FIRSTHDR(&m.header);
	if (!c)
		return -ENODATA;
	memcpy(&self.fd, CMSG_DATA(c), sizeof(self.fd));
	return 0;
}

CASE(a_file_passed_over_a_socket_is_enotconn)
{
	struct message m;
	struct cmsghdr *c = CMSG_FIRSTHDR(message_of(&m));
	struct fixture *f;
	struct peer *p;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	p = peer_new();
	f = fixture_new();
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &f->witness->fd, sizeof(int));
	assert_int_equal(sendmsg(pair[0], &m.header, 0), 1);
	assert_ok(peer_call(p, receive_file, &pair[1], sizeof(int)));
	all_are_enotconn(f, p);
	close(pair[0]);
	close(pair[1]);
}

CASE(mappings_of_the_device_other_than_the_abi_names_are_refused)
{
	struct fixture *f = fixture_new();
	size_t header = f->witness->at.header_length, control = f->witness->at.control_length;
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

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool is_control = bad[i].offset >= PEERSHM_CONTROL_OFFSET;
		size_t length = (is_control ? control : header) + bad[i].extra * SYSTEM_PAGE;
		void *got = mmap(NULL, length, bad[i].protection, bad[i].flags, f->witness->fd,
				 (off_t)bad[i].offset);

		if (got != MAP_FAILED || errno != bad[i].want)
			print_error("mapping number %zu\n", i);
		assert_ptr_equal(got, MAP_FAILED);
		assert_int_equal(errno, bad[i].want);
	}
	fixture_unchanged(f);
}
