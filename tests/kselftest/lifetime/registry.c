/* SPDX-License-Identifier: GPL-2.0-only */
/* The registry: who is a client, from when until when. */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

#define STEP (4 * MIB)

/* How soon an entry has to be gone that nobody takes out. */
#define SOON 1000

static void names_and_pids_resolve_both_ways(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *a = peer_join(r, "first"), *b = peer_join(r, "second");
	char name[PEERSHM_NAME_SIZE];
	pid_t pid;

	(void)state;
	assert_ok(do_resolve_name(r->fd, r->id, "first", &pid));
	assert_int_equal(pid, a->pid);
	assert_ok(do_resolve_pid(r->fd, r->id, b->pid, name));
	assert_string_equal(name, "second");
	/* In the client itself, without naming the region. */
	for (int i = 0; i < 2; i++) {
		struct peershm_resolve resolve = { .size = sizeof(resolve), .name = "first" };

		assert_ok(peer_ioctl(i ? a : b, PEERSHM_IOC_RESOLVE, &resolve, sizeof(resolve)));
		assert_int_equal(resolve.pid, a->pid);
		assert_int_equal(resolve.client, a->at.client);
	}
}

static void an_id_is_never_used_again(void **state)
{
	struct region *r = region_new(small, GIB);
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct peer *p = peer_join(r, "same name");

		assert_true(p->at.client > last);
		last = p->at.client;
		if (i & 1)
			assert_ok(peer_detach(p));
		peers_end();
		assert_true(region_until_clients(r, 0, SOON));
	}
}

static void region_ids_are_never_used_again(void **state)
{
	struct region *r = region_new(small, GIB);
	uint64_t last = r->id;

	(void)state;
	for (int i = 0; i < 20; i++) {
		uint64_t id;

		assert_ok(do_unlink(r->fd, r->name));
		assert_ok(do_create(r->fd, r->name, small, GIB, &id));
		assert_true(id > last);
		last = id;
	}
}

static void a_list_longer_than_the_array_says_how_many_there_are(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peershm_client_info infos[3];
	char poison[sizeof(infos[0])];

	(void)state;
	peer_join(r, "a");
	peer_join(r, "b");
	peer_join(r, "c");
	memset(poison, POISON, sizeof(poison));
	memset(infos, POISON, sizeof(infos));
	assert_int_equal(do_clients(r->fd, r->id, infos, 2), 3);
	assert_memory_equal(&infos[2], poison, sizeof(poison));
	assert_int_equal(do_clients(r->fd, r->id, NULL, 0), 3);
}

static void header_and_clients_agree(void **state)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	struct peershm_client_info infos[4];
	struct peershm_header *h = malloc(c->at.header_length);
	struct peershm_region_info info;
	unsigned int live = 0;

	(void)state;
	assert_non_null(h);
	test_cleanup(free, h);
	peer_join(r, "a");
	peer_join_flags(r, "b", PEERSHM_ATTACH_READ_ONLY);
	region_grow(r, STEP);
	assert_ok(do_set_root(c->fd, 0, 0, r->base + 8));

	assert_ok(header_copy(c, h));
	assert_ok(do_stat(c->fd, 0, NULL, &info));
	assert_int_equal(do_clients(c->fd, 0, infos, 4), 3);
	assert_int_equal(h->magic, PEERSHM_HEADER_MAGIC);
	assert_int_equal(h->version, PEERSHM_HEADER_VERSION);
	assert_int_equal(h->flags, 0);
	assert_int_equal(h->region, info.id);
	assert_int_equal(h->base, info.base);
	assert_int_equal(h->capacity, info.capacity);
	assert_int_equal(h->size, info.active);
	assert_int_equal(h->root, info.root);
	assert_int_equal(h->generation, info.generation);
	assert_int_equal(h->backing, info.backing);
	assert_int_equal(h->page_size, info.page_size);
	assert_int_equal(h->nr_clients, 3);
	assert_int_equal(h->max_clients, info.max_clients);
	assert_string_equal(h->name, r->name);
	for (unsigned int i = 0; i < h->max_clients; i++) {
		const struct peershm_header_client *e = header_client(h, i);
		bool found = false;

		if (e->state == PEERSHM_CLIENT_FREE) {
			assert_int_equal(e->id, 0);
			continue;
		}
		live++;
		for (int j = 0; j < 3; j++) {
			if (infos[j].id != e->id)
				continue;
			found = true;
			assert_int_equal(infos[j].pid, e->pid);
			assert_int_equal(infos[j].start_time, e->start_time);
			assert_int_equal(infos[j].base, e->base);
			assert_int_equal(infos[j].mapped, e->mapped);
			assert_int_equal(e->mapped, STEP);
			assert_int_equal(infos[j].flags, e->flags);
			assert_string_equal(infos[j].name, e->name);
		}
		assert_true(found);
	}
	assert_int_equal(live, 3);
}

static uint64_t generation(const struct region *r)
{
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.generation;
}

static void generation_counts_every_change(void **state)
{
	struct region *r = region_new(small, GIB);
	uint64_t before = generation(r);
	struct peer *p;

	(void)state;
	region_grow(r, STEP);
	assert_true(generation(r) > before);
	before = generation(r);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base));
	assert_true(generation(r) > before);
	before = generation(r);
	p = peer_join(r, "p");
	assert_true(generation(r) > before);
	before = generation(r);
	assert_ok(peer_detach(p));
	assert_true(generation(r) > before);
	before = generation(r);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_true(generation(r) > before);
	before = generation(r);
	assert_int_equal(generation(r), before);
}

static void a_killed_clients_entry_goes_away_by_itself(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *victim, *other;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	other = peer_join(r, "other");
	victim = peer_join(r, "victim");
	peer_store(victim, r->base, 0x1234);
	peer_kill(victim);
	assert_true(region_until_clients(r, 1, SOON));
	assert_int_equal(peer_load(other, r->base), 0x1234);
	assert_error(do_resolve_name(r->fd, r->id, "victim", NULL), -ENOENT);
}

static long fork_and_tell(void *arg)
{
	pid_t *child = arg;
	int ends[2];

	if (pipe(ends))
		return -errno;
	*child = fork();
	if (*child < 0)
		return -errno;
	if (*child == 0) {
		/* Holds all the files of its parent, until it is killed. */
		for (;;)
			pause();
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void kill_pid(void *arg)
{
	kill(*(pid_t *)arg, SIGKILL);
}

static void a_child_that_holds_the_file_keeps_no_dead_client(void **state)
{
	static pid_t child;
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "parent");

	(void)state;
	assert_ok(peer_call(p, fork_and_tell, &child, sizeof(child)));
	test_cleanup(kill_pid, &child);
	assert_int_equal(region_nr_clients(r), 1);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, SOON));
	assert_int_equal(kill(child, 0), 0); /* it lives, and so does its file */
	peer_join(r, "parent");
}

static long exec_shell(void *arg)
{
	int *ends = arg;

	dup2(ends[0], 0);
	dup2(ends[1], 1);
	execl("/bin/sh", "sh", "-c", "echo; read line", NULL);
	return -errno;
}

static void exec_leaves_nothing_behind(void **state)
{
	struct region *r = region_new(small, GIB);
	int in[2], out[2], ends[2];
	struct peer *p;
	char byte;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p = peer_join(r, "before exec");
	ends[0] = in[0];
	ends[1] = out[1];
	peer_start(p, exec_shell, ends, sizeof(ends));
	assert_int_equal(read(out[0], &byte, 1), 1); /* the shell runs */
	assert_true(region_until_clients(r, 0, SOON));
	assert_true(peer_runs(p));
	peer_kill(p);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}

static long close_file(void *arg)
{
	(void)arg;
	return close(self.fd) ? -errno : 0;
}

static void closing_the_file_keeps_the_client(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "closer");

	(void)state;
	assert_ok(peer_call(p, close_file, NULL, 0));
	assert_int_equal(region_nr_clients(r), 1);
	region_grow(r, STEP);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, SOON));
}

static void a_client_that_unmaps_its_whole_window_has_left(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "leaver"), *other = peer_join(r, "other");

	assert_ok(peer_munmap(p, r->base, b->capacity));
	assert_true(region_until_clients(r, 1, SOON));
	assert_error(peer_detach(p), -ENOTCONN);
	assert_int_equal(peer_touch(other, r->base), SIGBUS);
	/* The same process may come back. */
	assert_ok(peer_attach(p, r->name, "leaver", 0));
	assert_int_equal(region_nr_clients(r), 2);
}

static void a_client_that_unmaps_its_window_piece_by_piece_leaves_with_the_last(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t piece = b->capacity / 4;
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "leaver");
	static const int order[] = { 1, 3, 0, 2 };

	for (int i = 0; i < 4; i++) {
		assert_int_equal(region_nr_clients(r), 1);
		assert_ok(peer_munmap(p, r->base + (uint64_t)order[i] * piece, piece));
	}
	assert_true(region_until_clients(r, 0, SOON));
}

struct in_namespace {
	char region[PEERSHM_NAME_SIZE];
	pid_t pid_outside, seen_self, seen_other;
	long err;
};

/* Runs as the first process of a PID namespace of its own. */
static long look_from_inside(struct in_namespace *n)
{
	struct client mine;
	long err = client_attach(&mine, n->region, "inside", 0);

	if (!err)
		err = do_resolve_name(mine.fd, 0, "inside", &n->seen_self);
	if (!err)
		err = do_resolve_name(mine.fd, 0, "outside", &n->seen_other);
	return err;
}

static long enter_namespace(void *arg)
{
	static int ends[2];
	struct in_namespace *n = arg;

	if (unshare(CLONE_NEWPID) || pipe(ends))
		return -ENOSYS;
	n->pid_outside = fork();
	if (n->pid_outside < 0)
		return -errno;
	if (n->pid_outside == 0) {
		n->err = look_from_inside(n);
		if (write(ends[1], n, sizeof(*n)) == (ssize_t)sizeof(*n))
			pause();
		_exit(1);
	} else {
		pid_t child = n->pid_outside;

		if (read(ends[0], n, sizeof(*n)) != (ssize_t)sizeof(*n))
			return -EIO;
		n->pid_outside = child;
	}
	return n->err;
}

static void pids_are_those_of_the_callers_namespace(void **state)
{
	static struct in_namespace n;
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "outside");
	struct peer *p = peer_new();
	pid_t pid;
	long err;

	(void)state;
	memset(&n, 0, sizeof(n));
	memcpy(n.region, r->name, sizeof(n.region));
	err = peer_call(p, enter_namespace, &n, sizeof(n));
	if (err == -ENOSYS)
		skip_because("no PID namespaces");
	test_cleanup(kill_pid, &n.pid_outside);
	assert_ok(err);
	assert_int_equal(n.seen_self, 1);
	assert_int_equal(n.seen_other, 0);
	assert_ok(do_resolve_name(c->fd, 0, "inside", &pid));
	assert_int_equal(pid, n.pid_outside);
}

static void a_process_is_a_client_of_many_regions(void **state)
{
	struct region *regions[8];
	struct client *clients[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		regions[i] = region_new(&backings[i & 1], GIB);
		clients[i] = client_new(regions[i], "test");
		region_grow(regions[i], regions[i]->backing->page);
		*(uint64_t *)at_address(regions[i]->base) = (uint64_t)i;
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(*(uint64_t *)at_address(clients[i]->at.base), i);
		assert_int_equal(region_nr_clients(regions[i]), 1);
	}
}

static void mapped_goes_down_with_the_size(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct peershm_client_info info;

	(void)state;
	region_grow(r, 2 * MIB);
	peer_join(r, "peer");
	assert_int_equal(do_clients(r->fd, r->id, &info, 1), 1);
	assert_int_equal(info.mapped, 2 * MIB);
	assert_ok(do_shrink(r->fd, r->id, MIB, NULL));
	memset(&info, POISON, sizeof(info));
	assert_int_equal(do_clients(r->fd, r->id, &info, 1), 1);
	assert_int_equal(info.mapped, MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_and_pids_resolve_both_ways),
		TEST(an_id_is_never_used_again),
		TEST(region_ids_are_never_used_again),
		TEST(a_list_longer_than_the_array_says_how_many_there_are),
		TEST(header_and_clients_agree),
		TEST(generation_counts_every_change),
		TEST_BACKINGS(a_killed_clients_entry_goes_away_by_itself),
		TEST(a_child_that_holds_the_file_keeps_no_dead_client),
		TEST(exec_leaves_nothing_behind),
		TEST(closing_the_file_keeps_the_client),
		TEST_BACKINGS(a_client_that_unmaps_its_whole_window_has_left),
		TEST_BACKINGS(a_client_that_unmaps_its_window_piece_by_piece_leaves_with_the_last),
		TEST(pids_are_those_of_the_callers_namespace),
		TEST(a_process_is_a_client_of_many_regions),
		TEST(mapped_goes_down_with_the_size),
	};

	return test_run(tests);
}
