/* SPDX-License-Identifier: GPL-2.0-only */
/* Owner, group, mode and the way the device was opened decide who may do what (EACCES). */
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/harness.h"

#define STEP (1 * MIB)

static void unlink_by_name(void *name)
{
	int fd = device_open(O_RDWR);

	do_unlink(fd, name);
	close(fd);
}

/* A region with that mode, of owner alice and group carol. */
static uint64_t alices_region(char name[PEERSHM_NAME_SIZE], uint32_t mode)
{
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .mode = mode };
	struct peershm_region_info info;
	struct peer *alice = peer_new();
	struct region *r = region_new(small, GIB);

	region_name(name);
	assert_ok(peer_attach(alice, r->name, "alice", 0));
	peer_become(alice, ALICE, CAROL);
	memcpy(c.name, name, PEERSHM_NAME_SIZE);
	assert_ok(peer_ioctl(alice, PEERSHM_IOC_CREATE, &c, sizeof(c)));
	assert_ok(do_stat(r->fd, c.region, NULL, &info));
	assert_int_equal(info.uid, ALICE);
	assert_int_equal(info.gid, CAROL);
	assert_int_equal(info.mode, mode);
	assert_ok(do_grow(r->fd, c.region, STEP, NULL));
	return c.region;
}

/* What ATTACH, for writing and read-only, tells a user. */
static void check_access(const char *name, uid_t user, gid_t group, int want, int want_read_only)
{
	struct peer *p = peer_new(), *q = peer_new();

	peer_become(p, user, group);
	peer_become(q, user, group);
	assert_error(peer_attach(p, name, "p", 0), want);
	assert_error(peer_attach(q, name, "q", PEERSHM_ATTACH_READ_ONLY), want_read_only);
	peers_end();
}

CASE(owner_group_and_others_get_what_the_mode_says)
{
	static const struct {
		uint32_t mode;
		int owner, owner_read, group, group_read, other, other_read;
	} modes[] = {
		{ 0600, 0, 0, -EACCES, -EACCES, -EACCES, -EACCES },
		{ 0640, 0, 0, -EACCES, 0, -EACCES, -EACCES },
		{ 0660, 0, 0, 0, 0, -EACCES, -EACCES },
		{ 0664, 0, 0, 0, 0, -EACCES, 0 },
		{ 0666, 0, 0, 0, 0, 0, 0 },
		{ 0066, -EACCES, -EACCES, 0, 0, 0, 0 },
		{ 0606, 0, 0, -EACCES, -EACCES, 0, 0 },
		{ 0000, -EACCES, -EACCES, -EACCES, -EACCES, -EACCES, -EACCES },
	};
	char name[PEERSHM_NAME_SIZE];

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		alices_region(name, modes[i].mode);
		peers_end();
		check_access(name, ALICE, ALICE, modes[i].owner, modes[i].owner_read);
		check_access(name, BOB, CAROL, modes[i].group, modes[i].group_read);
		check_access(name, BOB, BOB, modes[i].other, modes[i].other_read);
		check_access(name, 0, 0, 0, 0);
		unlink_by_name(name);
	}
}

CASE(root_of_a_user_namespace_is_nobody_outside)
{
	char name[PEERSHM_NAME_SIZE];
	struct peer *bob = peer_new();
	int err;

	alices_region(name, 0600);
	peer_become(bob, BOB, BOB);
	err = peer_enter_user_namespace(bob);
	if (err)
		skip_because("no user namespaces: %s", strerror(-err));
	assert_error(peer_attach(bob, name, "bob", 0), -EACCES);
	assert_error(peer_attach(bob, name, "bob", PEERSHM_ATTACH_READ_ONLY), -EACCES);
}

struct listing {
	char name[PEERSHM_NAME_SIZE];
	int found;
};

static long list_regions(void *arg)
{
	struct listing *l = arg;
	int fd = device_open(O_RDONLY);

	l->found = region_is_listed(fd, l->name);
	close(fd);
	return 0;
}

CASE(regions_lists_what_the_caller_may_read_and_no_more)
{
	struct peer *bob = peer_new(), *root = peer_new();
	static const uint32_t modes[] = { 0660, 0664 };

	peer_become(bob, BOB, BOB);
	for (int i = 0; i < 2; i++) {
		struct listing l;

		alices_region(l.name, modes[i]);
		assert_ok(peer_call(bob, list_regions, &l, sizeof(l)));
		assert_int_equal(l.found, i);
		assert_ok(peer_call(root, list_regions, &l, sizeof(l)));
		assert_int_equal(l.found, 1);
	}
}

CASE(a_read_only_client_may_change_nothing)
{
	struct fixture *f = fixture_new();
	struct target t = target_of(f->region, STEP);
	struct peer *p = peer_join_flags(f->region, "reader", PEERSHM_ATTACH_READ_ONLY);

	snapshot_again(f->before);
	for_each_row(c)
	{
		if (c->region && c->needs & MAY_WRITE)
			assert_error_changes_nothing(f->before, peer_command(p, c, &t), -EACCES);
	}
}

CASE(a_device_opened_for_reading_changes_nothing)
{
	struct fixture *f = fixture_new();
	struct target t = target_of(f->region, STEP);

	t.by_id = true;
	region_name(t.created);
	memcpy(t.unlinked, t.region, sizeof(t.unlinked));
	self.fd = device_open(O_RDONLY);
	test_close(self.fd);
	for_each_row(c)
	{
		if (c->ioctl == PEERSHM_IOC_CREATE || c->needs & (MAY_WRITE | MAY_OWN))
			assert_error_changes_nothing(f->before, command_run(c, &t), -EACCES);
	}
	/* Who reads needs no more. */
	assert_ok(command_run(command_find("stat by name"), &t));
	t = target_of(f->other, STEP);
	assert_ok(command_run(command_find("attach read-only"), &t));
	assert_int_equal(touch(t.base, false), 0);
	assert_int_equal(touch(t.base, true), SIGSEGV);
	assert_ok(do_detach(self.fd));
}
