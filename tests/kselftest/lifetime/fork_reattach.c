/* SPDX-License-Identifier: GPL-2.0-only */
/* fork() with PEERSHM_REATTACH: the children of a client become clients, too. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peershm.h>

#include "support/harness.h"

/* How soon an entry of the registry has to be gone that nobody takes out. */
#define SOON_MS 1000

/* Words that a child writes to the memory, to see whether it takes page faults. */
#define WORDS 16

/* The handle of a peer, or of its child. */
static struct peershm *shm;

/* What a child reports of itself as soon as fork() has returned there. */
struct report {
	pid_t pid;
	int grown; /* what growing gave, or why there is no handle */
	char why[160];
	char name[PEERSHM_NAME_SIZE];
	uint64_t id, base, size, present;
	long faults;
};

struct family {
	char region[PEERSHM_NAME_SIZE], name[PEERSHM_NAME_SIZE];
	uint64_t grow;			 /* the child grows the region by this */
	bool grandchild_too;		 /* the child forks, too */
	struct report child, grandchild; /* out */
};

static long open_with_reattach(void *arg)
{
	const struct family *f = arg;

	return peershm_open(&shm, f->region, f->name, PEERSHM_REATTACH, NULL);
}

static struct peer *parent_peer(const struct region *r, struct family *f)
{
	struct peer *p = peer_new();

	memset(f, 0, sizeof(*f));
	memcpy(f->region, r->name, sizeof(f->region));
	snprintf(f->name, sizeof(f->name), "parent");
	assert_ok(peer_call(p, open_with_reattach, f, sizeof(*f)));
	return p;
}

static void look_around(const struct family *f, struct report *me)
{
	struct rusage before, after;
	volatile uint64_t *word;

	memset(me, 0, sizeof(*me));
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	me->pid = getpid();
	me->base = (uintptr_t)peershm_base(shm);
	me->id = peershm_client_id(shm);
	if (!me->id) {
		me->grown = peershm_grow(shm, 1, NULL);
		snprintf(me->why, sizeof(me->why), "%s", peershm_strerror(me->grown));
		return;
	}
	snprintf(me->name, sizeof(me->name), "%s", peershm_client_name(shm));
	me->size = peershm_size(shm);
	me->present = pagemap_present(me->base, me->size);
	word = at_address(me->base);
	getrusage(RUSAGE_SELF, &before);
	getrusage(RUSAGE_SELF, &before);
	for (uint64_t i = 0; me->size && i < WORDS; i++)
		word[i * (me->size / WORDS / sizeof(*word))] = i;
	getrusage(RUSAGE_SELF, &after);
	me->faults = after.ru_minflt - before.ru_minflt;
	if (f->grow)
		me->grown = peershm_grow(shm, me->size + f->grow, NULL);
}

/* A child reports of itself; then maybe its child does so, too. Both live until they are killed. */
static void be_children(const struct family *f, int out)
{
	bool is_child = true;
	struct report me;

	for (;;) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		look_around(f, &me);
		if (write(out, &me, sizeof(me)) != (ssize_t)sizeof(me))
			_exit(1);
		if (!is_child || !f->grandchild_too || fork())
			break;
		is_child = false;
	}
	for (;;)
		pause();
}

static long read_report(int in, struct report *report)
{
	struct pollfd ready = { .fd = in, .events = POLLIN };

	if (poll(&ready, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	return read(in, report, sizeof(*report)) == (ssize_t)sizeof(*report) ? 0 : -EIO;
}

static long fork_child(void *arg)
{
	struct family *f = arg;
	int ends[2];
	long err;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	if (!fork())
		be_children(f, ends[1]);
	err = read_report(ends[0], &f->child);
	if (!err && f->grandchild_too)
		err = read_report(ends[0], &f->grandchild);
	close(ends[0]);
	close(ends[1]);
	return err;
}

static long end_child(void *arg)
{
	const struct family *f = arg;

	kill(f->child.pid, SIGKILL);
	return waitpid(f->child.pid, NULL, 0) == f->child.pid ? 0 : -errno;
}

static void is_a_client(const struct region *r, const struct report *child, uint64_t size)
{
	char name[PEERSHM_NAME_SIZE];
	pid_t pid;

	snprintf(name, sizeof(name), "parent.%d", (int)child->pid);
	assert_string_equal(child->name, name);
	assert_true(child->id > 1); /* the id of the first client, its parent */
	assert_int_equal(child->base, r->base);
	assert_int_equal(child->size, size);
	assert_int_equal(child->present, size);
	assert_int_equal(child->faults, 0);
	assert_ok(do_resolve_name(r->fd, r->id, name, &pid));
	assert_int_equal(pid, child->pid);
}

CASES(a_child_is_a_client_at_the_same_base_with_all_memory, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, 2 * b->step);
	struct family f;
	struct peer *p;

	p = parent_peer(r, &f);
	f.grow = b->step;
	assert_ok(peer_call(p, fork_child, &f, sizeof(f)));
	is_a_client(r, &f.child, b->step);
	assert_int_equal(region_nr_clients(r), 2);
	/* The parent has what the child grew by, too. */
	assert_ok(f.child.grown);
	assert_int_equal(region_size(r), 2 * b->step);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	assert_int_equal(peer_load(p, r->base + (WORDS - 1) * (b->step / WORDS)), WORDS - 1);
	assert_ok(peer_call(p, end_child, &f, sizeof(f)));
	assert_true(region_until_clients(r, 1, SOON_MS));
	assert_ok(do_resolve_name(r->fd, r->id, "parent", NULL));
}

CASE(the_child_outlives_its_parents_client)
{
	const struct backing *b = small;
	struct region *r = region_new(b, b->capacity);
	struct peershm_peer_map map;
	struct family f;
	struct peer *p;

	region_grow(r, b->step);
	p = parent_peer(r, &f);
	f.grandchild_too = true;
	assert_ok(peer_call(p, fork_child, &f, sizeof(f)));
	is_a_client(r, &f.child, b->step);
	is_a_client(r, &f.grandchild, b->step);
	assert_int_equal(region_nr_clients(r), 3);
	assert_ok(peer_munmap(p, r->base, b->capacity));
	assert_true(region_until_clients(r, 2, SOON_MS));
	region_grow(r, b->step);
	memset(&map, 0, sizeof(map));
	assert_ok(do_map_name(r->fd, r->id, f.grandchild.name, &map));
	assert_int_equal(map.report.mapped, 1);
	/* All die with the first: each gets SIGKILL when its parent dies. */
	peer_kill(p);
	assert_true(region_until_clients(r, 0, DEADLINE_MS));
}

static long fork_and_close(void *arg)
{
	struct family *f = arg;
	pid_t child = fork();
	int status;

	if (!child) {
		bool good = peershm_client_id(shm) != 0;

		peershm_close(shm);
		_exit(good && touch(f->child.base, false) == SIGSEGV ? 0 : 1);
	}
	if (waitpid(child, &status, 0) != child || status)
		return -ECHILD;
	return peershm_grow(shm, 64 * KIB, NULL);
}

CASE(a_child_that_closes_leaves_the_parent_alone)
{
	struct region *r = region_new(small, GIB);
	struct family f;
	struct peer *p = parent_peer(r, &f);

	f.child.base = r->base;
	assert_ok(peer_call(p, fork_and_close, &f, sizeof(f)));
	assert_int_equal(region_nr_clients(r), 1);
	assert_int_equal(region_size(r), 64 * KIB);
	assert_int_equal(peer_write(p, r->base, 64 * KIB).minor, 0);
}

static void *fork_many(void *arg)
{
	const unsigned int *n = arg;
	long bad = 0;

	for (unsigned int i = 0; i < *n; i++) {
		int status = -1;
		pid_t child = fork();

		if (!child) {
			char name[PEERSHM_NAME_SIZE];

			snprintf(name, sizeof(name), "parent.%d", (int)getpid());
			_exit(!peershm_client_id(shm) || strcmp(peershm_client_name(shm), name) ||
			      peershm_find(peershm_base(shm)) != shm ||
			      touch((uintptr_t)peershm_base(shm), true));
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			bad++;
	}
	return (void *)bad;
}

static long fork_in_threads(void *arg)
{
	long bad = 0;
	pthread_t threads[4];
	void *result;

	for (int i = 0; i < 4; i++) {
		if (pthread_create(&threads[i], NULL, fork_many, arg))
			return -EAGAIN;
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		bad += (long)result;
	}
	return bad;
}

CASE(threads_that_fork_at_once_have_a_client_each)
{
	struct region *r = region_new(small, GIB);
	unsigned int n = test_scale(100);
	struct family f;
	struct peer *p;

	region_grow(r, 64 * KIB);
	p = parent_peer(r, &f);
	peer_start(p, fork_in_threads, &n, sizeof(n));
	assert_ok(peer_finish_within(p, &n, sizeof(n), 10 * DEADLINE_MS));
	assert_true(region_until_clients(r, 1, SOON_MS));
}

/* As daemons do: the process that opened the region ends, and its child goes on. */
static long become_a_daemon(void *arg)
{
	struct family *f = arg;
	int ends[2];
	long err;

	if (pipe(ends))
		return -errno;
	if (!fork()) {
		if (open_with_reattach(f) || daemon(0, 1))
			_exit(1);
		look_around(f, &f->child);
		if (write(ends[1], &f->child, sizeof(f->child)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	wait(NULL);
	err = read_report(ends[0], &f->child);
	close(ends[0]);
	close(ends[1]);
	return err;
}

static void end_daemon(void *arg)
{
	const pid_t *pid = arg;

	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

CASE(a_daemon_that_opened_before_it_forked_is_a_client)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_new();
	struct family f = { .name = "parent" };
	static pid_t pid;

	memcpy(f.region, r->name, sizeof(f.region));
	region_grow(r, 64 * KIB);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_ok(peer_call(p, become_a_daemon, &f, sizeof(f)));
	pid = f.child.pid;
	test_cleanup(end_daemon, &pid);
	is_a_client(r, &f.child, 64 * KIB);
	assert_true(region_until_clients(r, 1, SOON_MS));
	region_grow(r, 64 * KIB);
	end_daemon(&pid);
	assert_true(region_until_clients(r, 0, SOON_MS));
}

static long fork_and_exec(void *arg)
{
	int *ends = arg;
	pid_t child = fork();

	if (!child) {
		dup2(ends[0], 0);
		dup2(ends[1], 1);
		execl("/bin/sh", "sh", "-c", "ls -l /proc/$$/fd | grep peershm; echo .; read line",
		      NULL);
		_exit(127);
	}
	return child;
}

CASE(exec_in_a_child_leaves_nothing_behind)
{
	struct region *r = region_new(small, GIB);
	int in[2], out[2], ends[2];
	struct family f;
	struct peer *p;
	char byte;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p = parent_peer(r, &f);
	ends[0] = in[0];
	ends[1] = out[1];
	assert_true(peer_call(p, fork_and_exec, ends, sizeof(ends)) > 0);
	/* The shell runs, and has no file of the device. */
	assert_int_equal(read(out[0], &byte, 1), 1);
	assert_int_equal(byte, '.');
	assert_true(region_until_clients(r, 1, SOON_MS));
	assert_ok(do_resolve_name(r->fd, r->id, "parent", NULL));
	for (int i = 0; i < 2; i++) {
		close(in[i]); /* the end of the shell, too */
		close(out[i]);
	}
}

static int write_to_the_window(void *arg)
{
	*(volatile uint64_t *)arg = 1;
	return 0;
}

/* With CLONE_VM, as vfork() does it, the child runs in the address space of its parent. */
static long spawn_and_vfork(void *arg)
{
	char *argv[] = { "true", NULL };
	volatile uint64_t *base = peershm_base(shm);
	static char stack[64 * KIB] __attribute__((aligned(16)));
	int status;
	pid_t child;

	(void)arg;
	if (posix_spawn(&child, "/bin/true", NULL, NULL, argv, NULL) ||
	    waitpid(child, &status, 0) != child || status)
		return -ECHILD;
	child = clone(write_to_the_window, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
		      (void *)base);
	if (waitpid(child, &status, 0) != child || status || *base != 1)
		return -ECHILD;
	return peershm_grow(shm, 128 * KIB, NULL);
}

CASE(spawn_and_vfork_make_no_client)
{
	struct region *r = region_new(small, GIB);
	struct family f;
	struct peer *p;
	struct client *late;

	region_grow(r, 64 * KIB);
	p = parent_peer(r, &f);
	assert_ok(peer_call(p, spawn_and_vfork, NULL, 0));
	assert_int_equal(region_nr_clients(r), 1);
	/* Ids are given one by one: there has been one other client. */
	late = client_new(r, "late");
	assert_int_equal(late->at.client, 2);
}

CASE(a_child_for_which_there_is_no_room_is_enotconn_and_says_why)
{
	struct region *r = region_of_mode(small, 0600, 1);
	struct family f;
	struct peer *p = parent_peer(r, &f);

	assert_ok(peer_call(p, fork_child, &f, sizeof(f)));
	assert_error(f.child.grown, -ENOTCONN);
	assert_non_null(strstr(f.child.why, r->name));
	assert_non_null(strstr(f.child.why, "limit"));
	assert_int_equal(f.child.base, 0);
	assert_ok(peer_call(p, end_child, &f, sizeof(f)));
}

/* The child has PID 1 in a PID namespace of its own. */
static long fork_in_namespace(void *arg)
{
	return unshare(CLONE_NEWPID) ? -ENOSYS : fork_child(arg);
}

CASE(children_of_one_pid_have_names_of_their_own)
{
	struct region *r = region_new(small, GIB);
	struct family f, g;
	struct peer *p = parent_peer(r, &f);
	long err = peer_call(p, fork_in_namespace, &f, sizeof(f));

	if (err == -ENOSYS)
		skip_because("no PID namespaces");
	assert_ok(err);
	assert_string_equal(f.child.name, "parent.1");
	/* The child of another parent of that name asks for the same name. */
	assert_ok(peer_munmap(p, r->base, GIB));
	assert_true(region_until_clients(r, 1, SOON_MS));
	assert_ok(peer_call(parent_peer(r, &g), fork_in_namespace, &g, sizeof(g)));
	assert_string_equal(g.child.name, "parent.1.2");
	assert_int_equal(region_nr_clients(r), 3);
}
