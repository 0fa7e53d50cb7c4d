/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every command, tried by every kind of user on regions of every kind of mode: what it
 * answers is what owner, group and mode say, and what capabilities add to that.
 */
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"

#define ALICE 1000
#define BOB 1001
#define CAROL 1002
#define NOBODY_IN_IT 1003

/* The bit of the mode that lets a user of this class do it; 0: it is the owner's alone. */
#define READ 4u
#define WRITE 2u

struct target {
	uint64_t region;
	char name[PEERSHM_NAME_SIZE];
};

static int attach_and_detach(int fd, const struct target *t, uint32_t flags)
{
	int err = do_attach(fd, t->name, "visitor", flags, NULL);

	return err ? err : do_detach(fd);
}

static int try_attach(int fd, const struct target *t)
{
	return attach_and_detach(fd, t, 0);
}

static int try_attach_read_only(int fd, const struct target *t)
{
	return attach_and_detach(fd, t, PEERSHM_ATTACH_READ_ONLY);
}

static int try_grow(int fd, const struct target *t)
{
	return do_grow(fd, t->region, small->page, NULL);
}

static int try_peer_map(int fd, const struct target *t)
{
	return do_peer_map(fd, t->region, NULL);
}

static int try_set_root(int fd, const struct target *t)
{
	return do_set_root(fd, t->region, 0, 0);
}

/* There is no such root: who may look is told so. */
static int try_withdraw(int fd, const struct target *t)
{
	int err = do_publish(fd, t->region, "nothing", 0, 0);

	return err == -ENOENT ? 0 : err;
}

static int try_get_root(int fd, const struct target *t)
{
	return do_get_root(fd, t->region, NULL, NULL);
}

static int try_lookup(int fd, const struct target *t)
{
	int err = do_get_root(fd, t->region, "nothing", NULL);

	return err == -ENOENT ? 0 : err;
}

static int try_roots(int fd, const struct target *t)
{
	int n = do_roots(fd, t->region, NULL, 0);

	return n < 0 ? n : 0;
}

static int try_reserve(int fd, const struct target *t)
{
	struct peershm_set_reserve s = { .size = sizeof(s), .region = t->region };

	return xioctl(fd, PEERSHM_IOC_SET_RESERVE, &s);
}

/* With a file of its own, which watches until it is closed. */
static int try_watch(int fd, const struct target *t)
{
	int own = device_open(O_RDONLY);
	int err = own < 0 ? own : do_watch(own, t->region);

	(void)fd;
	close(own);
	return err;
}

static int try_shrink(int fd, const struct target *t)
{
	return do_shrink(fd, t->region, 0, NULL);
}

static int try_clients(int fd, const struct target *t)
{
	return do_clients(fd, t->region, NULL, 0);
}

/* There is no such client: who may read is told so. */
static int try_resolve(int fd, const struct target *t)
{
	int err = do_resolve_name(fd, t->region, "nobody", NULL);

	return err == -ENOENT ? 0 : err;
}

static int try_resolve_pid(int fd, const struct target *t)
{
	int err = do_resolve_pid(fd, t->region, 1, NULL);

	return err == -ENOENT ? 0 : err;
}

static int try_stat_name(int fd, const struct target *t)
{
	return do_stat(fd, 0, t->name, NULL);
}

static int try_stat_id(int fd, const struct target *t)
{
	return do_stat(fd, t->region, NULL, NULL);
}

/* Who may not read does not find it in the list. */
static int try_list(int fd, const struct target *t)
{
	static struct peershm_region_info infos[256];
	struct peershm_regions r = { .size = sizeof(r), .nr_regions = 256 };
	int err;

	r.regions = (uintptr_t)infos;
	err = xioctl(fd, PEERSHM_IOC_REGIONS, &r);
	for (uint32_t i = 0; !err && i < r.nr_regions && i < 256; i++) {
		if (!strcmp(infos[i].name, t->name))
			return 0;
	}
	return err ? err : -EACCES;
}

static int try_unlink_id(int fd, const struct target *t)
{
	return do_unlink_id(fd, t->region);
}

static int try_unlink(int fd, const struct target *t)
{
	return do_unlink(fd, t->name);
}

static const struct command {
	const char *name;
	int (*try)(int fd, const struct target *t);
	unsigned int needs;
} commands[] = {
	{ "attach", try_attach, READ | WRITE },
	{ "attach read-only", try_attach_read_only, READ },
	{ "grow", try_grow, WRITE },
	{ "peer map", try_peer_map, WRITE },
	{ "set root", try_set_root, WRITE },
	{ "withdraw", try_withdraw, WRITE },
	{ "get root", try_get_root, READ },
	{ "look up", try_lookup, READ },
	{ "roots", try_roots, READ },
	{ "reserve", try_reserve, WRITE },
	{ "watch", try_watch, READ },
	{ "shrink", try_shrink, WRITE },
	{ "clients", try_clients, READ },
	{ "resolve", try_resolve, READ },
	{ "resolve by PID", try_resolve_pid, READ },
	{ "stat by name", try_stat_name, READ },
	{ "stat by id", try_stat_id, READ },
	{ "regions", try_list, READ },
	/* By id, once it is gone by name: who may is told so. */
	{ "unlink", try_unlink, 0 },
	{ "unlink by id", try_unlink_id, 0 },
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

struct visit {
	struct target target;
	int results[NR_COMMANDS];
};

static long visit(void *arg)
{
	struct visit *v = arg;
	int fd = device_open(O_RDWR);

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < NR_COMMANDS; i++)
		v->results[i] = commands[i].try(fd, &v->target);
	close(fd);
	return 0;
}

/* Whom a visitor becomes. */
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
	unsigned int shift; /* of its bits in the mode */
	bool any;	    /* the mode does not count */
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

struct making {
	struct target target;
	uint32_t mode;
};

/* As alice, of carol's group. */
static long make(void *arg)
{
	struct making *m = arg;
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .mode = m->mode };
	int fd = device_open(O_RDWR), err;

	if (fd < 0)
		return fd;
	memcpy(c.name, m->target.name, sizeof(c.name));
	err = xioctl(fd, PEERSHM_IOC_CREATE, &c);
	m->target.region = c.region;
	close(fd);
	return err;
}

static int wanted(const struct command *command, const struct user *user, uint32_t mode)
{
	unsigned int bits = mode >> user->shift & 7;

	if (user->any || (!command->needs && user->owner))
		return 0;
	return command->needs && (bits & command->needs) == command->needs ? 0 : -EACCES;
}

static unsigned int check_visit(const struct user *user, const struct visit *v, uint32_t mode)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < NR_COMMANDS; i++) {
		int want = wanted(&commands[i], user, mode);

		/* The name is gone by then. */
		if (!want && commands[i].try == try_unlink_id)
			want = -ENOENT;
		if (v->results[i] == want)
			continue;
		print_error("%s, mode %04o, %s: %d, not %d\n", user->name, mode, commands[i].name,
			    v->results[i], want);
		wrong++;
	}
	return wrong;
}

static void every_command_is_what_owner_group_and_mode_say(void **state)
{
	static const uint32_t modes[] = { 0600, 0640, 0660, 0644, 0666, 0000, 0400, 0200,
					  0060, 0040, 0020, 0006, 0004, 0002, 0066 };
	static const struct user alice = { "alice", ALICE, CAROL, ALICE, NONE, 6, false, true };
	struct peer *maker = peer_as(&alice), *root = peer_new();
	unsigned int tried = 0, wrong = 0;

	(void)state;
	for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		struct peer *p = peer_as(&users[u]);

		if (!p) {
			print_message("# no user namespaces here\n");
			continue;
		}
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			struct making making = { .mode = modes[m] };
			struct visit v = { 0 };

			region_name(making.target.name);
			assert_ok(peer_call(maker, make, &making, sizeof(making)));
			v.target = making.target;
			assert_ok(peer_call(p, visit, &v, sizeof(v)));
			wrong += check_visit(&users[u], &v, modes[m]);
			/* Who may do all of it clears up. */
			assert_ok(peer_call(root, visit, &v, sizeof(v)));
			tried += NR_COMMANDS;
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

/* What `bob`, with the group and the capability or not, is told. */
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

#define HUGETLB_GROUP "/sys/module/peershm/parameters/hugetlb_group"

static void restore_hugetlb_group(void *arg)
{
	(void)arg;
	file_write(HUGETLB_GROUP, "0");
}

static struct pooled try_pool(const struct backing *b, uint32_t group, bool keeps_capability)
{
	struct pooled p = { .group = group,
			    .backing = b->id,
			    .keeps_capability = keeps_capability };

	assert_ok(peer_call(peer_new(), take_from_pool, &p, sizeof(p)));
	return p;
}

static void pages_of_the_pool_are_for_a_capability_or_a_group(void **state)
{
	const struct backing *b = &backings[PEERSHM_HUGETLB_2M];

	(void)state;
	backing_needs(b, 0);
	test_cleanup(restore_hugetlb_group, NULL);
	assert_ok(file_write(HUGETLB_GROUP, "1002"));
	assert_error(try_pool(b, BOB, false).created, -EPERM);
	assert_ok(try_pool(b, CAROL, false).created);
	assert_ok(try_pool(b, BOB, true).created);
	assert_ok(try_pool(small, BOB, false).created);
}

static long set_reserve_as_bob(void *arg)
{
	const struct target *t = arg;
	int fd = device_open(O_RDWR), err;

	if (fd < 0 || setgroups(0, NULL) || setresgid(BOB, BOB, BOB) || setresuid(BOB, BOB, BOB))
		return -EIO;
	err = do_set_reserve(fd, t->region, backings[PEERSHM_HUGETLB_2M].page);
	if (!err || do_set_reserve(fd, t->region, 0))
		return -EIO;
	close(fd);
	return err;
}

/* Although he may write the region, and grow it: he is charged for that. */
static void a_reserve_of_the_pool_is_not_for_everybody(void **state)
{
	struct peershm_create c = {
		.size = sizeof(c), .capacity = GIB, .backing = PEERSHM_HUGETLB_2M, .mode = 0666
	};
	struct target t = { 0 };
	int fd = device_open(O_RDWR);

	(void)state;
	backing_needs(&backings[PEERSHM_HUGETLB_2M], 0);
	region_name(c.name);
	assert_ok(xioctl(fd, PEERSHM_IOC_CREATE, &c));
	t.region = c.region;
	assert_error((int)peer_call(peer_new(), set_reserve_as_bob, &t, sizeof(t)), -EPERM);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_command_is_what_owner_group_and_mode_say),
		TEST(pages_of_the_pool_are_for_a_capability_or_a_group),
		TEST(a_reserve_of_the_pool_is_not_for_everybody),
	};

	return test_run(tests);
}
