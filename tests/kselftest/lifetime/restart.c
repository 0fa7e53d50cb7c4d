/* SPDX-License-Identifier: GPL-2.0-only */
/* A client that crashed comes back under its name, and is told from who it was. */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

static uint64_t generation_of(const struct region *r, const char *name)
{
	struct peershm_client_info infos[16];
	int n = do_clients(r->fd, r->id, infos, 16);

	assert_in_range(n, 0, 16);
	for (int i = 0; i < n; i++) {
		if (!strcmp(infos[i].name, name))
			return infos[i].generation;
	}
	return 0;
}

static void a_killed_client_comes_back_to_all_it_had(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t id = 0, root;
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	root = r->base + 64;
	for (uint64_t i = 1; i <= 5; i++) {
		struct peer *p = peer_join(r, "daemon");

		assert_true(p->at.client > id);
		id = p->at.client;
		assert_int_equal(p->at.generation, i);
		assert_int_equal(generation_of(r, "daemon"), i);
		assert_int_equal(p->at.base, r->base);
		assert_int_equal(p->at.active, region_size(r));
		/* All of it was mapped before ATTACH returned: no fault finds it. */
		assert_int_equal(peer_present(p, r->base, p->at.active), p->at.active);
		assert_int_equal(peer_write(p, r->base + b->step / 2, b->step / 2).minor, 0);
		if (i == 1) {
			assert_int_equal(p->at.root, 0);
			peer_store(p, root, 0x600d);
			assert_ok(do_set_root(r->fd, r->id, 0, root));
		} else {
			assert_int_equal(p->at.root, root);
			assert_int_equal(peer_load(p, p->at.root), 0x600d);
		}
		if (i == 3)
			region_grow(r, b->step);
		/* Whoever comes at once has the name, and the place. */
		peer_kill(p);
	}
	assert_true(region_until_clients(r, 0, 1000));
}

static void header_clients_and_attach_tell_the_same_generation(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	void *copy = malloc(c->at.header_length);
	unsigned int seen = 0;
	struct peer *p;

	(void)state;
	assert_non_null(copy);
	test_cleanup(free, copy);
	peer_kill(peer_join(r, "daemon"));
	p = peer_join(r, "daemon");
	assert_int_equal(p->at.generation, 2);
	assert_int_equal(generation_of(r, "daemon"), 2);
	assert_int_equal(generation_of(r, "test"), 1);
	assert_ok(header_copy(c, copy));
	for (unsigned int i = 0; i < ((struct peershm_header *)copy)->max_clients; i++) {
		const struct peershm_header_client *e = header_client(copy, i);

		if (!strcmp(e->name, "daemon")) {
			assert_int_equal(e->generation, 2);
			seen++;
		}
	}
	assert_int_equal(seen, 1);
}

static void a_client_that_left_in_good_order_counts_too(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_new();

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		assert_ok(peer_attach(p, r->name, "guest", 0));
		assert_int_equal(p->at.generation, i);
		assert_ok(peer_detach(p));
	}
	assert_ok(peer_attach(p, r->name, "guest", 0));
	assert_ok(peer_munmap(p, r->base, GIB));
	assert_true(region_until_clients(r, 0, 1000));
	assert_ok(peer_attach(p, r->name, "guest", 0));
	assert_int_equal(p->at.generation, 5);
}

static void an_attach_that_fails_takes_no_generation(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "daemon"), *other = peer_new();
	void *in_the_way;
	struct client c;

	(void)state;
	assert_error(peer_attach(other, r->name, "daemon", 0), -EEXIST);
	assert_int_equal(generation_of(r, "daemon"), 1);
	peer_kill(p);
	in_the_way = mmap(at_address(r->base), small->page, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(in_the_way, at_address(r->base));
	assert_error(client_attach(&c, r->name, "daemon", 0), -EADDRINUSE);
	munmap(in_the_way, small->page);
	assert_ok(peer_attach(other, r->name, "daemon", 0));
	assert_int_equal(other->at.generation, 2);
}

static void names_of_one_region_are_not_those_of_another(void **state)
{
	struct region *one = region_new(small, GIB), *two = region_new(small, GIB);

	(void)state;
	peer_kill(peer_join(one, "daemon"));
	assert_int_equal(peer_join(two, "daemon")->at.generation, 1);
	assert_int_equal(peer_join(one, "daemon")->at.generation, 2);
}

/* A region for 3 clients remembers 3 names. */
static void the_names_that_were_left_last_are_remembered(void **state)
{
	char name[PEERSHM_NAME_SIZE];
	struct region r = { .backing = small };
	struct peer *p = peer_new();

	(void)state;
	region_name(name);
	memcpy(r.name, name, sizeof(name));
	r.fd = device_open(O_RDWR);
	assert_ok(do_create_mode(r.fd, name, 0600, 3));
	for (int round = 1; round <= 2; round++) {
		static const char *const three[] = { "a", "b", "c" };

		for (int i = 0; i < 3; i++) {
			assert_ok(peer_attach(p, name, three[i], 0));
			assert_int_equal(p->at.generation, round);
			assert_ok(peer_detach(p));
		}
	}
	/* One more, and "a", which was left first, is forgotten. */
	assert_ok(peer_attach(p, name, "d", 0));
	assert_int_equal(p->at.generation, 1);
	assert_ok(peer_detach(p));
	assert_ok(peer_attach(p, name, "b", 0));
	assert_int_equal(p->at.generation, 3);
	assert_ok(peer_detach(p));
	assert_ok(peer_attach(p, name, "a", 0));
	assert_int_equal(p->at.generation, 1);
	assert_ok(peer_detach(p));
	close(r.fd);
}

#define LAST_PID "/proc/sys/kernel/ns_last_pid"

struct reuse {
	char region[PEERSHM_NAME_SIZE];
	pid_t pid;
	/* out: what a stranger with the dead client's PID sees, and is, then */
	int by_pid, by_name, clients, through_the_file, stranger_by_pid;
	char stranger[PEERSHM_NAME_SIZE];
	uint64_t dead_id, stranger_id;
};

/* In the process that has the dead client's PID, and its open file, inherited. */
static int be_the_stranger(struct reuse *r, int file)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm_region_info info;
	struct client mine;
	int fd = device_open(O_RDWR);

	if (fd < 0 || do_stat(fd, 0, r->region, &info))
		return 1;
	r->by_pid = do_resolve_pid(fd, info.id, getpid(), name);
	r->by_name = do_resolve_name(fd, info.id, "daemon", NULL);
	r->clients = do_clients(fd, info.id, NULL, 0);
	r->through_the_file = do_grow(file, 0, small->page, NULL);
	if (client_attach(&mine, r->region, "stranger", 0))
		return 1;
	r->stranger_by_pid = do_resolve_pid(fd, info.id, getpid(), r->stranger);
	r->stranger_id = mine.at.client;
	return 0;
}

/* A client that attaches through an open file of its parent's, and dies. */
static pid_t let_a_client_die(struct reuse *r, int file)
{
	struct peershm_attach at;
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		return -1;
	pid = fork();
	if (!pid) {
		if (do_attach(file, r->region, "daemon", 0, &at))
			_exit(1);
		r->dead_id = at.client;
		if (write(ends[1], r, sizeof(*r)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ends[0], r, sizeof(*r)) != (ssize_t)sizeof(*r))
		return -1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return pid;
}

/* The first process of a PID namespace: PIDs there are given as it says. */
static int reuse_pid(struct reuse *r, int out)
{
	int file = device_open(O_RDWR);
	char number[16];

	if (file < 0)
		return 1;
	r->pid = let_a_client_die(r, file);
	if (r->pid <= 0)
		return 1;
	snprintf(number, sizeof(number), "%d", (int)r->pid - 1);
	if (file_write(LAST_PID, number))
		return 2;
	pid_t pid = fork();

	if (!pid) {
		int failed = be_the_stranger(r, file);

		if (!failed && write(out, r, sizeof(*r)) != (ssize_t)sizeof(*r))
			failed = 1;
		_exit(failed);
	}
	if (pid != r->pid)
		return 3;
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

static long reuse_pid_in_namespace(void *arg)
{
	struct reuse *r = arg;
	int ends[2], status;
	pid_t pid;

	if (access(LAST_PID, W_OK) || unshare(CLONE_NEWPID) || pipe(ends))
		return -ENOSYS;
	pid = fork();
	if (!pid)
		_exit(reuse_pid(r, ends[1]));
	close(ends[1]);
	if (waitpid(pid, &status, 0) != pid || status)
		return -EPROTO;
	return read(ends[0], r, sizeof(*r)) == (ssize_t)sizeof(*r) ? 0 : -EIO;
}

static void a_pid_that_is_used_again_is_not_the_client_it_was(void **state)
{
	struct region *r = region_new(small, GIB);
	struct reuse reuse = { .pid = 0 };
	long err;

	(void)state;
	region_grow(r, small->step);
	memcpy(reuse.region, r->name, sizeof(reuse.region));
	err = peer_call(peer_new(), reuse_pid_in_namespace, &reuse, sizeof(reuse));
	if (err == -ENOSYS)
		skip_because("no PID namespaces, or no " LAST_PID);
	assert_ok(err);
	assert_error(reuse.by_pid, -ENOENT);
	assert_error(reuse.by_name, -ENOENT);
	assert_int_equal(reuse.clients, 0);
	assert_error(reuse.through_the_file, -ENOTCONN);
	assert_ok(reuse.stranger_by_pid);
	assert_string_equal(reuse.stranger, "stranger");
	assert_true(reuse.stranger_id > reuse.dead_id);
	assert_int_equal(region_size(r), small->step);
	assert_true(region_until_clients(r, 0, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(a_killed_client_comes_back_to_all_it_had),
		TEST(header_clients_and_attach_tell_the_same_generation),
		TEST(a_client_that_left_in_good_order_counts_too),
		TEST(an_attach_that_fails_takes_no_generation),
		TEST(names_of_one_region_are_not_those_of_another),
		TEST(the_names_that_were_left_last_are_remembered),
		TEST(a_pid_that_is_used_again_is_not_the_client_it_was),
	};

	return test_run(tests);
}
