/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client that crashed or left comes back under its name, and finds all that it had. Its id, which
 * is never used twice, tells its lives apart. A stranger that gets the PID of a dead client is not
 * taken for it.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

/* As CLIENTS tells it; 0 if there is no such client. */
static uint64_t id_of(const struct region *r, const char *name)
{
	struct peershm_client_info infos[16];
	int n = do_clients(r->fd, r->id, infos, 16);

	assert_in_range(n, 0, 16);
	for (int i = 0; i < n; i++) {
		if (!strcmp(infos[i].name, name))
			return infos[i].id;
	}
	return 0;
}

CASES(a_killed_client_comes_back_to_all_it_had, ALL_BACKINGS)
{
	uint64_t id = 0, root;
	struct region *r = region_with(b, b->step, 2 * b->step);

	root = r->base + 64;
	for (int i = 1; i <= 5; i++) {
		struct peer *p = peer_join(r, "daemon");

		assert_true(p->at.client > id);
		id = p->at.client;
		assert_int_equal(id_of(r, "daemon"), id);
		assert_int_equal(p->at.base, r->base);
		assert_int_equal(p->at.active, region_size(r));
		/* All of it was mapped before ATTACH returned. */
		assert_int_equal(peer_present(p, r->base, p->at.active), p->at.active);
		peer_has_all(p, r->base + b->step / 2, b->step / 2);
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
		/* Whoever comes at once gets the name, and the address. */
		peer_kill(p);
	}
	assert_true(region_until_clients(r, 0, 1000));
}

CASE(header_clients_and_attach_tell_the_same_id)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	void *copy = malloc(c->at.header_length);
	unsigned int seen = 0;
	struct peer *p;

	assert_non_null(copy);
	test_cleanup(free, copy);
	peer_kill(peer_join(r, "daemon"));
	p = peer_join(r, "daemon");
	assert_int_not_equal(p->at.client, c->at.client);
	assert_int_equal(id_of(r, "daemon"), p->at.client);
	assert_int_equal(id_of(r, "test"), c->at.client);
	assert_ok(header_copy(c, copy));
	for (unsigned int i = 0; i < ((struct peershm_header *)copy)->max_clients; i++) {
		const struct peershm_header_client *e = header_client(copy, i);

		if (!strcmp(e->name, "daemon")) {
			assert_int_equal(e->id, p->at.client);
			seen++;
		}
	}
	assert_int_equal(seen, 1);
}

/* The peer attaches under this name, and has an id that is larger than all before. */
static void attaches_with_new_id(const struct region *r, struct peer *p, const char *name,
				 uint64_t *last)
{
	assert_ok(peer_attach(p, r->name, name, 0));
	assert_true(p->at.client > *last);
	assert_int_equal(id_of(r, name), p->at.client);
	*last = p->at.client;
}

CASE(a_client_that_left_in_good_order_comes_back_with_a_new_id)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_new();
	uint64_t last = 0;

	for (int i = 0; i < 3; i++) {
		attaches_with_new_id(r, p, "guest", &last);
		assert_ok(peer_detach(p));
	}
	attaches_with_new_id(r, p, "guest", &last);
	assert_ok(peer_munmap(p, r->base, GIB));
	assert_true(region_until_clients(r, 0, 1000));
	attaches_with_new_id(r, p, "guest", &last);
}

CASE(an_attach_that_fails_takes_nobodys_id)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "daemon"), *other = peer_new();
	uint64_t last = p->at.client;
	void *in_the_way;
	struct client c;

	assert_error(peer_attach(other, r->name, "daemon", 0), -EEXIST);
	assert_int_equal(id_of(r, "daemon"), last);
	peer_kill(p);
	in_the_way = mmap(at_address(r->base), small->page, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(in_the_way, at_address(r->base));
	assert_error(client_attach(&c, r->name, "daemon", 0), -EADDRINUSE);
	assert_int_equal(id_of(r, "daemon"), 0);
	munmap(in_the_way, small->page);
	attaches_with_new_id(r, other, "daemon", &last);
}

CASE(ids_of_one_region_are_not_those_of_another)
{
	struct region *one = region_new(small, GIB), *two = region_new(small, GIB);
	uint64_t last = 0;

	for (int i = 0; i < 3; i++) {
		attaches_with_new_id(one, peer_new(), "daemon", &last);
		peers_end();
	}
	/* It is the first client of its region. */
	assert_int_equal(peer_join(two, "daemon")->at.client, 1);
}

CASE(more_clients_than_there_are_slots_share_no_id)
{
	struct region *r = region_of_mode(small, 0600, 3);
	static const char *const names[] = { "a", "b", "c", "d" };
	struct peer *peers[3];
	uint64_t last = 0;

	/* Each slot is taken by four clients, one after the other, and each name by three. */
	for (int i = 0; i < 12; i++) {
		if (i < 3)
			peers[i] = peer_new();
		else
			assert_ok(peer_detach(peers[i % 3]));
		attaches_with_new_id(r, peers[i % 3], names[i % 4], &last);
	}
}

#define LAST_PID "/proc/sys/kernel/ns_last_pid"

struct reuse {
	char region[PEERSHM_NAME_SIZE];
	pid_t pid; /* of the client that dies */
	/* out: what the stranger that then has this PID sees, and is */
	int by_pid, by_name, clients, through_the_file, stranger_by_pid;
	char stranger[PEERSHM_NAME_SIZE];
	uint64_t dead_id, stranger_id;
};

/* The stranger has the dead client's PID, and its open file, inherited from their parent. */
static int be_the_stranger(struct reuse *r, int file)
{
	int fd = device_open(O_RDWR);
	char name[PEERSHM_NAME_SIZE];
	struct peershm_region_info info;
	struct client mine;

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

/* A client attaches through an open file of its parent's, and dies. */
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

/* In the first process of a PID namespace, which says what PID the next process there gets. */
static long reuse_pid(void *arg)
{
	struct reuse *r = arg;
	int file = device_open(O_RDWR), ends[2], status;
	char number[16];
	pid_t pid;

	if (file < 0 || pipe(ends))
		return -EIO;
	r->pid = let_a_client_die(r, file);
	if (r->pid <= 0)
		return -ECHILD;
	snprintf(number, sizeof(number), "%d", (int)r->pid - 1);
	if (file_write(LAST_PID, number))
		return -ENOSYS;
	pid = fork();
	if (!pid) {
		int failed = be_the_stranger(r, file);

		if (!failed && write(ends[1], r, sizeof(*r)) != (ssize_t)sizeof(*r))
			failed = 1;
		_exit(failed);
	}
	if (pid != r->pid || waitpid(pid, &status, 0) != pid || status)
		return -EPROTO;
	return read(ends[0], r, sizeof(*r)) == (ssize_t)sizeof(*r) ? 0 : -EIO;
}

CASE(a_pid_that_is_used_again_is_not_the_client_it_was)
{
	struct region *r = region_new(small, GIB);
	struct peer *first = peer_new_in_pid_namespace();
	struct reuse reuse = { .pid = 0 };
	long err;

	region_grow(r, small->step);
	memcpy(reuse.region, r->name, sizeof(reuse.region));
	err = peer_call(first, reuse_pid, &reuse, sizeof(reuse));
	if (err == -ENOSYS)
		skip_because("no " LAST_PID);
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
