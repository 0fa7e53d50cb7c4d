/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every kind of user tries every command on regions of every kind of mode. Owner, group and mode,
 * and the user's capabilities, decide what is allowed.
 */
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/command.h"
#include "support/harness.h"

#define NOBODY_IN_IT 1003

#define MAX_COMMANDS 64

struct visit {
	struct target target;
	long results[MAX_COMMANDS];
};

/* In a peer: every command that needs a permission; its answer goes where its row is. */
static long visit(void *arg)
{
	struct visit *v = arg;

	self.fd = device_open(O_RDWR);
	if (self.fd < 0)
		return self.fd;
	for_each_row(c)
	{
		long err = c->needs ? command_run(c, &v->target) : 0;

		v->results[c - commands] = err;
		if (c->needs && !err)
			command_undo(c, &v->target);
	}
	close(self.fd);
	return 0;
}

/* Which capabilities a user has. */
enum power {
	NONE,
	ALL,
	ALL_BUT_IPC_OWNER,
	IPC_OWNER,
	ROOT_OF_A_NAMESPACE
};

struct user {
	const char *name;
	uid_t uid;
	gid_t gid, more; /* a supplementary group */
	enum power power;
	unsigned int shift; /* of the bits of the mode that apply to the user */
	bool any;	    /* may do everything, whatever the mode */
	bool owner;
};

static const struct user users[] = {
	{ "the owner", ALICE, ALICE, ALICE, NONE, 6, false, true },
	{ "the owner, of the group too", ALICE, CAROL, CAROL, NONE, 6, false, true },
	{ "a member of the group", BOB, CAROL, BOB, NONE, 3, false, false },
	{ "a member by a supplementary group", BOB, BOB, CAROL, NONE, 3, false, false },
	{ "another", BOB, BOB, NOBODY_IN_IT, NONE, 0, false, false },
	{ "root", 0, 0, 0, ALL, 0, true, true },
	{ "root without CAP_IPC_OWNER", 0, 0, 0, ALL_BUT_IPC_OWNER, 0, false, false },
	{ "another with CAP_IPC_OWNER", BOB, BOB, BOB, IPC_OWNER, 0, true, true },
	{ "root of a user namespace", BOB, BOB, BOB, ROOT_OF_A_NAMESPACE, 0, false, false },
};

static long limit_capabilities(bool only, int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	unsigned int bit = 1u << (capability & 31);

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted;
		if (only)
			data[i].effective = 0;
		if (i == capability / 32)
			data[i].effective = only ? bit : data[i].effective & ~bit;
		data[i].permitted = data[i].effective;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static long become(void *arg)
{
	const struct user *user = arg;
	gid_t more = user->more;

	if (user->power == IPC_OWNER && prctl(PR_SET_KEEPCAPS, 1))
		return -errno;
	if (setgroups(1, &more) || setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return -errno;
	switch (user->power) {
	case IPC_OWNER:
		return limit_capabilities(true, CAP_IPC_OWNER);
	case ALL_BUT_IPC_OWNER:
		return limit_capabilities(false, CAP_IPC_OWNER);
	case ROOT_OF_A_NAMESPACE:
		return unshare(CLONE_NEWUSER) ? -ENOSYS : 0;
	default:
		return 0;
	}
}

static struct peer *peer_as(const struct user *user)
{
	struct user copy = *user;
	struct peer *p = peer_new();
	long err = peer_call(p, become, &copy, sizeof(copy));

	if (err == -ENOSYS)
		return NULL;
	assert_ok(err);
	return p;
}

/* In a peer that is the owner to be. */
static long make(void *arg)
{
	struct peershm_create *c = arg;
	int fd = device_open(O_RDWR), err;

	if (fd < 0)
		return fd;
	err = xioctl(fd, PEERSHM_IOC_CREATE, c);
	close(fd);
	return err;
}

/* A region of the peer's with that mode. Root gives it memory, which its owner may not. */
static struct target target_new(struct peer *maker, uint32_t mode)
{
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .mode = mode };
	struct region r = { .backing = small };
	struct peershm_region_info info;
	struct target t;

	region_name(r.name);
	memcpy(c.name, r.name, sizeof(c.name));
	assert_ok(peer_call(maker, make, &c, sizeof(c)));
	r.id = c.region;
	r.fd = device_open(O_RDWR);
	assert_ok(do_grow(r.fd, r.id, small->page, NULL));
	assert_ok(do_stat(r.fd, r.id, NULL, &info));
	close(r.fd);
	r.base = info.base;
	t = target_of(&r, small->page);
	t.by_id = true;
	memcpy(t.unlinked, r.name, sizeof(t.unlinked));
	return t;
}

static long wanted(const struct command *c, const struct user *user, uint32_t mode)
{
	unsigned int bits = mode >> user->shift & (MAY_READ | MAY_WRITE);

	if (user->owner)
		bits |= MAY_OWN;
	return user->any || (bits & c->needs) == c->needs ? c->unprepared : -EACCES;
}

static unsigned int check_visit(const struct user *user, const struct visit *v, uint32_t mode)
{
	unsigned int wrong = 0;

	for_each_row(c)
	{
		long want = c->needs ? wanted(c, user, mode) : 0, got = v->results[c - commands];

		if (got == want)
			continue;
		print_error("%s, mode %04o, %s: %ld, not %ld\n", user->name, mode, c->name, got,
			    want);
		wrong++;
	}
	return wrong;
}

CASE(every_command_is_what_owner_group_and_mode_say)
{
	static const uint32_t modes[] = { 0600, 0640, 0660, 0644, 0666, 0000, 0400, 0200,
					  0060, 0040, 0020, 0006, 0004, 0002, 0066 };
	static const struct user alice = { "alice", ALICE, CAROL, ALICE, NONE, 6, false, true };
	struct peer *maker = peer_as(&alice);
	unsigned int tried = 0, wrong = 0;
	int fd = device_open(O_RDWR);

	test_close(fd);
	assert_true(nr_commands <= MAX_COMMANDS);
	for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		struct peer *p = peer_as(&users[u]);

		if (!p) {
			print_message("# no user namespaces here\n");
			continue;
		}
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			struct visit v = { .target = target_new(maker, modes[m]) };

			assert_ok(peer_call(p, visit, &v, sizeof(v)));
			wrong += check_visit(&users[u], &v, modes[m]);
			do_unlink(fd, v.target.region);
			for_each_row(c) tried += c->needs != 0;
		}
	}
	print_message("# %u answers\n", tried);
	assert_int_equal(wrong, 0);
}

struct pooled {
	uint32_t group, backing;
	bool keeps_capability;
	int created;
};

/* In a peer: CREATE as bob, in that group, with or without CAP_IPC_LOCK. */
static long take_from_pool(void *arg)
{
	struct pooled *p = arg;
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .mode = 0600 };
	int fd = device_open(O_RDWR);

	if (fd < 0)
		return fd;
	if (p->keeps_capability && prctl(PR_SET_KEEPCAPS, 1))
		return -errno;
	if (setgroups(1, &p->group) || setresgid(BOB, BOB, BOB) || setresuid(BOB, BOB, BOB))
		return -errno;
	if (p->keeps_capability && limit_capabilities(true, CAP_IPC_LOCK))
		return -EPERM;
	region_name(c.name);
	c.backing = p->backing;
	p->created = xioctl(fd, PEERSHM_IOC_CREATE, &c);
	if (!p->created)
		do_unlink_id(fd, c.region);
	close(fd);
	return 0;
}

static struct pooled try_pool(const struct backing *b, uint32_t group, bool keeps_capability)
{
	struct pooled p = { .group = group,
			    .backing = b->id,
			    .keeps_capability = keeps_capability };

	assert_ok(peer_call(peer_new(), take_from_pool, &p, sizeof(p)));
	return p;
}

CASE(pages_of_the_pool_are_for_a_capability_or_a_group)
{
	const struct backing *b = hugetlb_2m;

	backing_needs(b, 0);
	parameter_set("hugetlb_group", 1002);
	assert_error(try_pool(b, BOB, false).created, -EPERM);
	assert_ok(try_pool(b, CAROL, false).created);
	assert_ok(try_pool(b, BOB, true).created);
	assert_ok(try_pool(small, BOB, false).created);
}

static long set_reserve_as_bob(void *arg)
{
	uint64_t region = *(uint64_t *)arg;
	int fd = device_open(O_RDWR), err;

	if (fd < 0 || setgroups(0, NULL) || setresgid(BOB, BOB, BOB) || setresuid(BOB, BOB, BOB))
		return -EIO;
	err = do_set_reserve(fd, region, hugetlb_2m->page);
	if (!err || do_set_reserve(fd, region, 0))
		return -EIO;
	close(fd);
	return err;
}

/* Bob may write the region and so grow it, but not have pages reserved for it. */
CASE(a_reserve_of_the_pool_is_not_for_everybody)
{
	struct peershm_create c = {
		.size = sizeof(c), .capacity = GIB, .backing = PEERSHM_HUGETLB_2M, .mode = 0666
	};
	int fd = device_open(O_RDWR);

	backing_needs(hugetlb_2m, 0);
	region_name(c.name);
	assert_ok(xioctl(fd, PEERSHM_IOC_CREATE, &c));
	assert_error((int)peer_call(peer_new(), set_reserve_as_bob, &c.region, sizeof(c.region)),
		     -EPERM);
	close(fd);
}

/* Try to unlink a region, by its name and then by its id. */
static void try_unlink(struct peer *p, const struct target *t, int by_name, int by_id)
{
	assert_error(peer_command(p, command_find("unlink"), t), by_name);
	assert_error(peer_command(p, command_find("unlink by id"), t), by_id);
}

static struct peer *peer_of(uid_t user, gid_t group)
{
	struct peer *p = command_peer(NULL, false);

	peer_become(p, user, group);
	return p;
}

CASE(only_the_owner_may_unlink)
{
	struct peer *alice = peer_of(ALICE, CAROL);
	struct region *r = region_of_mode(small, 0666, 0);
	struct target t = target_of(r, 0);
	struct peershm_region_info info;

	t.by_id = true;
	memcpy(t.unlinked, r->name, sizeof(t.unlinked));
	try_unlink(peer_of(BOB, BOB), &t, -EACCES, -EACCES);
	assert_ok(do_stat(r->fd, 0, r->name, &info));
	assert_int_equal(info.id, r->id);
	assert_int_equal(info.flags & PEERSHM_HEADER_UNLINKED, 0);

	/* The group may not, whatever the mode; the owner may, whatever the mode. */
	t = target_new(alice, 0060);
	try_unlink(peer_of(CAROL, CAROL), &t, -EACCES, -EACCES);
	try_unlink(alice, &t, 0, -ENOENT);
	assert_error(do_stat(r->fd, 0, t.region, NULL), -ENOENT);
}
