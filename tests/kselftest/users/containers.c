/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User, PID and time namespaces: who owns a region, who finds it, which process a PID means, and
 * what time it is.
 * A process that reuses the PID of a client that ended is never taken for that client.
 */
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

#define OVERFLOW_ID 65534 /* what an id that a namespace does not know is shown as */

/* User namespaces. */

static long become_inside(void *arg)
{
	const uint32_t *ids = arg;

	if (setresgid(ids[1], ids[1], ids[1]) || setresuid(ids[0], ids[0], ids[0]))
		return -errno;
	return 0;
}

static void map_ids(const struct peer *p, const char *kind, const char *map)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", p->pid, kind);
	assert_ok(file_write(path, map));
}

/* A peer in a user namespace of its own, made by `owner`, as root there. */
static struct peer *peer_in_user_namespace(uid_t owner, const char *map)
{
	uint32_t root[2] = { 0, 0 };
	struct peer *p = peer_new();
	int err;

	peer_become(p, owner, owner);
	err = peer_enter_user_namespace(p);
	if (err)
		skip_because("no user namespaces: %s", strerror(-err));
	map_ids(p, "uid_map", map);
	map_ids(p, "gid_map", map);
	assert_ok(peer_call(p, become_inside, root, sizeof(root)));
	return p;
}

struct region_order {
	char name[PEERSHM_NAME_SIZE];
	uint32_t mode;
	int err;
	struct peershm_region_info info;
	int found; /* in the list */
};

static long create_in_peer(void *arg)
{
	struct region_order *o = arg;
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB, .mode = o->mode };
	int fd = device_open(O_RDWR);

	memcpy(c.name, o->name, sizeof(c.name));
	o->err = xioctl(fd, PEERSHM_IOC_CREATE, &c);
	close(fd);
	return 0;
}

static long stat_in_peer(void *arg)
{
	struct region_order *o = arg;
	int fd = device_open(O_RDONLY);

	o->err = do_stat(fd, 0, o->name, &o->info);
	o->found = region_is_listed(fd, o->name);
	close(fd);
	return 0;
}

static void create(struct peer *p, struct region_order *o, uint32_t mode)
{
	region_name(o->name);
	o->mode = mode;
	assert_ok(peer_call(p, create_in_peer, o, sizeof(*o)));
	assert_ok(o->err);
}

/* What STAT says to the peer, and whether the region is in its list. */
static int look(struct peer *p, struct region_order *o)
{
	assert_ok(peer_call(p, stat_in_peer, o, sizeof(*o)));
	assert_int_equal(o->found, o->err == 0);
	return o->err;
}

CASE(owners_are_those_of_the_callers_user_namespace)
{
	struct peer *inside = peer_in_user_namespace(ALICE, "0 1000 1\n");
	struct peer *other = peer_in_user_namespace(BOB, "0 1001 1\n");
	struct peer *outside = peer_new();
	struct region_order o = { 0 };

	create(inside, &o, 0664);
	assert_ok(look(inside, &o));
	assert_int_equal(o.info.uid, 0);
	assert_int_equal(o.info.gid, 0);
	assert_ok(look(outside, &o));
	assert_int_equal(o.info.uid, ALICE);
	assert_int_equal(o.info.gid, ALICE);
	assert_ok(look(other, &o));
	assert_int_equal(o.info.uid, OVERFLOW_ID);
	assert_int_equal(o.info.gid, OVERFLOW_ID);
}

CASE(another_namespaces_region_is_found_if_its_mode_allows)
{
	struct peer *inside = peer_in_user_namespace(ALICE, "0 1000 1\n");
	struct peer *other = peer_in_user_namespace(BOB, "0 1001 1\n");
	struct peer *same_user = peer_new();
	struct region_order o = { 0 };

	peer_become(same_user, ALICE, ALICE);
	create(inside, &o, 0600);
	assert_ok(look(inside, &o));
	assert_ok(look(same_user, &o));
	assert_error(look(other, &o), -EACCES);
	assert_error(peer_attach(other, o.name, "other", 0), -EACCES);
	create(inside, &o, 0604);
	assert_ok(look(other, &o));
	assert_error(peer_attach(other, o.name, "other", 0), -EACCES);
	assert_ok(peer_attach(other, o.name, "other", PEERSHM_ATTACH_READ_ONLY));
	assert_ok(peer_attach(inside, o.name, "inside", 0));
}

CASE(root_of_a_namespace_is_root_over_the_regions_made_in_it)
{
	struct peer *root = peer_in_user_namespace(ALICE, "0 1000 1\n1 1001 1\n");
	uint32_t one[2] = { 1, 1 };
	struct peer *outside = peer_new();
	struct region_order o = { 0 };

	/* A region of bob's that was made outside the namespace. */
	peer_become(outside, BOB, BOB);
	create(outside, &o, 0600);
	assert_error(look(root, &o), -EACCES);
	/* The namespace's root may do everything with regions that were made inside, also bob's. */
	create(root, &o, 0000);
	assert_ok(look(root, &o));
	assert_ok(peer_attach(root, o.name, "root", 0));
	assert_error(look(outside, &o), -EACCES);
	assert_ok(peer_call(root, become_inside, one, sizeof(one)));
	assert_error(look(root, &o), -EACCES);
}

CASE(a_namespace_of_ones_own_is_no_way_around_the_limits)
{
	struct peer *inside = peer_in_user_namespace(BOB, "0 1001 1\n");
	struct peer *bob = peer_new(), *alice = peer_new();
	struct region_order o = { 0 };

	peer_become(bob, BOB, BOB);
	peer_become(alice, ALICE, ALICE);
	parameter_set("max_user_regions", 2);
	create(bob, &o, 0600);
	create(inside, &o, 0600);
	region_name(o.name);
	assert_ok(peer_call(inside, create_in_peer, &o, sizeof(o)));
	assert_error(o.err, -ENOSPC);
	assert_ok(peer_call(bob, create_in_peer, &o, sizeof(o)));
	assert_error(o.err, -ENOSPC);
	/* Others are not affected. */
	create(alice, &o, 0600);
	parameter_set("max_user_regions", 64);
	parameter_set("max_user_capacity", (long)(2 * GIB));
	region_name(o.name);
	assert_ok(peer_call(inside, create_in_peer, &o, sizeof(o)));
	assert_error(o.err, -ENOSPC);
	create(alice, &o, 0600);
}

/* PID namespaces. */

#define MAX_INSIDE 8

/* What the first process of a PID namespace is told, and what it tells. */
struct inside {
	char region[PEERSHM_NAME_SIZE];
	char name[PEERSHM_NAME_SIZE];
	int n;
	struct peershm_client_info clients[MAX_INSIDE];
	pid_t outer; /* what RESOLVE says of "outer" */
	int by_pid;  /* RESOLVE BY_PID of 1 */
	char of_pid[PEERSHM_NAME_SIZE];
	int nr_mapped; /* PEER_MAP BY_PID of 1 */
	struct peershm_peer reported[MAX_INSIDE];
	uint32_t nr_reported;
};

static long look_around(void *arg)
{
	struct inside *in = arg;
	struct peershm_grow g = { .size = sizeof(g), .length = small->page };
	struct peershm_peer_map m = { 0 };
	long err = client_attach(&self, in->region, in->name, 0);

	if (err)
		return err;
	in->n = do_clients(self.fd, 0, in->clients, MAX_INSIDE);
	err = do_resolve_name(self.fd, 0, "outer", &in->outer);
	in->by_pid = do_resolve_pid(self.fd, 0, 1, in->of_pid);
	g.report.peers = (uintptr_t)in->reported;
	g.report.nr_peers = MAX_INSIDE;
	g.report.record_size = sizeof(struct peershm_peer);
	if (!err)
		err = xioctl(self.fd, PEERSHM_IOC_GROW, &g);
	in->nr_reported = g.report.nr_peers;
	if (!err)
		err = do_map_pid(self.fd, 0, 1, &m);
	in->nr_mapped = (int)m.report.nr_peers;
	return err;
}

/* A client of that name, the first process of a PID namespace; its PID here. */
static pid_t container(const struct region *r, const char *name, struct inside *in)
{
	struct peer *p = peer_new_in_pid_namespace();

	memset(in, 0, sizeof(*in));
	memcpy(in->region, r->name, sizeof(in->region));
	put_name(in->name, name);
	assert_ok(peer_call(p, look_around, in, sizeof(*in)));
	return p->pid;
}

static pid_t pid_of(const struct inside *in, const char *name)
{
	for (int i = 0; i < in->n && i < MAX_INSIDE; i++) {
		if (!strcmp(in->clients[i].name, name))
			return in->clients[i].pid;
	}
	return -1;
}

CASE(a_container_sees_its_own_pids_and_0_for_those_outside)
{
	static struct inside first, second;
	struct region *r = region_new(small, GIB);
	struct client *outer = client_new(r, "outer");
	char name[PEERSHM_NAME_SIZE];
	pid_t pids[2], pid;

	pids[0] = container(r, "first", &first);
	pids[1] = container(r, "second", &second);
	assert_int_equal(first.outer, 0);
	assert_int_equal(second.n, 3);
	assert_int_equal(pid_of(&second, "second"), 1);
	assert_int_equal(pid_of(&second, "first"), 0);
	assert_int_equal(pid_of(&second, "outer"), 0);
	/* PID 1 of the other container is not PID 1 of this one. */
	assert_ok(second.by_pid);
	assert_string_equal(second.of_pid, "second");
	assert_int_equal(second.nr_mapped, 1);
	assert_int_equal(second.nr_reported, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(second.reported[i].pid,
				 strcmp(second.reported[i].name, "second") ? 0 : 1);
	/* From outside, both have PIDs. */
	assert_ok(do_resolve_name(outer->fd, 0, "first", &pid));
	assert_int_equal(pid, pids[0]);
	assert_ok(do_resolve_pid(outer->fd, 0, pids[1], name));
	assert_string_equal(name, "second");
}

/* Time namespaces. */

#define SHIFT_S 1000000ULL

struct shifted {
	char region[PEERSHM_NAME_SIZE];
	/* out: all on the peer's clock */
	uint64_t before, event, after, start;
};

static uint64_t boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static long enter_time_namespace(void)
{
	char offsets[64];
	int fd;

	if (unshare(CLONE_NEWTIME))
		return -errno;
	snprintf(offsets, sizeof(offsets), "boottime %llu 0", SHIFT_S);
	if (file_write("/proc/self/timens_offsets", offsets))
		return -EIO;
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME))
		return -errno;
	close(fd);
	return 0;
}

static long look_at_the_clock(void *arg)
{
	struct peershm_client_info info;
	struct shifted *shifted = arg;
	struct peershm_event event;
	long err = enter_time_namespace();

	if (err)
		return err;
	err = client_attach(&self, shifted->region, "shifted", 0);
	if (err)
		return err;
	shifted->before = boottime_ns();
	err = do_set_root(self.fd, 0, 0, self.at.base);
	if (err)
		return err;
	do
		event = event_next(self.fd);
	while (event.type != PEERSHM_EVENT_ROOT);
	shifted->event = event.time;
	shifted->after = boottime_ns();
	do_clients(self.fd, 0, &info, 1);
	shifted->start = info.start_time;
	return 0;
}

CASE(times_are_those_of_the_readers_time_namespace)
{
	struct region *r = region_new(small, GIB);
	struct shifted shifted = { 0 };
	uint64_t start = boottime_ns();
	struct peer *p;
	long err;

	region_grow(r, small->page);
	memcpy(shifted.region, r->name, sizeof(shifted.region));
	p = peer_new();
	err = peer_call(p, look_at_the_clock, &shifted, sizeof(shifted));
	if (err == -EINVAL || err == -ENOSYS)
		skip_because("no time namespaces: %s", strerror((int)-err));
	assert_ok(err);
	assert_in_range(shifted.event, shifted.before, shifted.after);
	assert_in_range(shifted.start, start + SHIFT_S * 1000000000, shifted.before);
}

/* PID reuse. */

#define SMALL_PID_MAX "512" /* PIDs go on from 300 when they are used up */
#define FIRST_REUSED 300
#define MAX_FORKS 4000

struct reuse {
	char region[PEERSHM_NAME_SIZE];
	bool survivor; /* another process goes on with the memory of the one that ends */
	/* out */
	pid_t pid, again;
	uint64_t old_id, new_id, old_start, new_start;
	int before, by_pid, by_name, mapped; /* what the new process is told before it attaches */
	int after;
	char name[PEERSHM_NAME_SIZE];
	int forks;
};

static struct reuse *reuse; /* shared by all processes of the namespace */

static int share_memory(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

/* The process whose PID is to be reused. */
static void live_and_end(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	struct peershm_client_info info;
	struct client mine;

	if (client_attach(&mine, reuse->region, "old", 0))
		_exit(1);
	do_clients(mine.fd, 0, &info, 1);
	reuse->old_id = mine.at.client;
	reuse->old_start = info.start_time;
	reuse->before = do_resolve_pid(mine.fd, 0, getpid(), reuse->name);
	/* Neither a thread nor a fork: another process with the same memory (CLONE_VM). */
	if (reuse->survivor && clone(share_memory, stack + sizeof(stack), CLONE_VM, NULL) < 0)
		_exit(1);
	_exit(0);
}

/* The process that has the PID afterwards. */
static void look_for_the_old(void)
{
	struct peershm_client_info infos[MAX_INSIDE];
	struct peershm_stat s = { .size = sizeof(s) };
	struct client mine;
	int fd = device_open(O_RDWR), n;

	memcpy(s.name, reuse->region, sizeof(s.name));
	if (xioctl(fd, PEERSHM_IOC_STAT, &s))
		_exit(1);
	reuse->by_pid = do_resolve_pid(fd, s.info.id, getpid(), NULL);
	reuse->mapped = do_map_pid(fd, s.info.id, getpid(), NULL);
	reuse->by_name = do_resolve_name(fd, s.info.id, "old", &reuse->again);
	if (client_attach(&mine, reuse->region, "new", 0))
		_exit(2);
	reuse->after = do_resolve_pid(mine.fd, 0, getpid(), reuse->name);
	n = do_clients(mine.fd, 0, infos, MAX_INSIDE);
	for (int i = 0; i < n && i < MAX_INSIDE; i++) {
		if (strcmp(infos[i].name, "new") != 0)
			continue;
		reuse->new_id = infos[i].id;
		reuse->new_start = infos[i].start_time;
	}
	_exit(0);
}

/* Fork until a child has the PID `exactly`, or one from `least` on; other children end at once. */
static pid_t fork_until(pid_t least, pid_t exactly)
{
	for (int i = 0; i < MAX_FORKS; i++) {
		pid_t pid = fork();

		reuse->forks++;
		if (pid < 0)
			return pid;
		if (pid == 0) {
			if (exactly ? getpid() != exactly : getpid() < least)
				_exit(0);
			if (exactly)
				look_for_the_old();
			live_and_end();
		}
		if (exactly ? pid == exactly : pid >= least)
			return pid;
		waitpid(pid, NULL, 0);
	}
	return -1;
}

static int exit_status(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
		       WEXITSTATUS(status) :
		       99;
}

/* The first process of the namespace. */
static int reuse_a_pid(void)
{
	reuse->pid = fork_until(FIRST_REUSED, 0);
	if (exit_status(reuse->pid))
		return 1;
	return exit_status(fork_until(0, reuse->pid)) ? 2 : 0;
}

static long reuse_in_namespace(void *arg)
{
	struct reuse *r = arg;
	pid_t pid;

	reuse = mmap(NULL, sizeof(*reuse), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (reuse == MAP_FAILED)
		return -errno;
	*reuse = *r;
	if (unshare(CLONE_NEWPID))
		return -ENOSYS;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* From 6.14 on, each namespace has a limit of its own. */
		file_write("/proc/sys/kernel/pid_max", SMALL_PID_MAX);
		_exit(reuse_a_pid());
	}
	if (pid < 0)
		return -errno;
	pid = exit_status(pid);
	*r = *reuse;
	return pid;
}

static void end_and_reuse(struct reuse *u)
{
	struct region *r = region_new(small, GIB);
	struct peer *p;
	long err;

	client_new(r, "outer");
	memcpy(u->region, r->name, sizeof(u->region));
	setting_set("/proc/sys/kernel/pid_max", SMALL_PID_MAX);
	/* some hundred processes take a while under the checkers */
	p = peer_new();
	peer_start(p, reuse_in_namespace, u, sizeof(*u));
	err = peer_finish_within(p, u, sizeof(*u), 4 * DEADLINE_MS);
	if (err == -ENOSYS)
		skip_because("no PID namespaces");
	print_message("# PID %d again after %d forks\n", u->pid, u->forks);
	assert_ok(err);
	assert_ok(u->before);
	assert_error(u->by_pid, -ENOENT);
	assert_error(u->mapped, -ENOENT);
	assert_ok(u->after);
	assert_string_equal(u->name, "new");
	assert_true(u->new_id > u->old_id);
	assert_true(u->new_start > u->old_start);
}

CASE(a_process_with_the_pid_of_a_client_that_ended_is_not_it)
{
	struct reuse u = { .survivor = false };

	end_and_reuse(&u);
	assert_error(u.by_name, -ENOENT);
}

/* The memory lives on, and with it the client's entry; but the entry has no PID any more. */
CASE(nor_if_the_memory_of_the_one_that_ended_lives_on)
{
	struct reuse u = { .survivor = true };

	end_and_reuse(&u);
	if (!u.by_name)
		assert_int_equal(u.again, 0);
}
