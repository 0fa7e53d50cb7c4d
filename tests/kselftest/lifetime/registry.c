/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registry: who is a client, from its attach to its end, and what CLIENTS, RESOLVE and the
 * header say of it.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "support/harness.h"

#define STEP (4 * MIB)

/* How soon an entry has to be gone that nobody takes out. */
#define SOON_MS 1000

CASE(names_and_pids_resolve_both_ways)
{
	struct region *r = region_new(small, GIB);
	struct peer *a = peer_join(r, "first"), *b = peer_join(r, "second");
	char name[PEERSHM_NAME_SIZE];
	pid_t pid;

	assert_ok(do_resolve_name(r->fd, r->id, "first", &pid));
	assert_int_equal(pid, a->pid);
	assert_ok(do_resolve_pid(r->fd, r->id, b->pid, name));
	assert_string_equal(name, "second");
	/* A client asks about its own region without naming it. */
	for (int i = 0; i < 2; i++) {
		struct peershm_resolve resolve = { .size = sizeof(resolve), .name = "first" };

		assert_ok(peer_ioctl(i ? a : b, PEERSHM_IOC_RESOLVE, &resolve, sizeof(resolve)));
		assert_int_equal(resolve.pid, a->pid);
		assert_int_equal(resolve.client, a->at.client);
	}
}

CASE(an_id_is_never_used_again)
{
	struct region *r = region_new(small, GIB);
	uint64_t last = 0;

	for (int i = 0; i < 20; i++) {
		struct peer *p = peer_join(r, "same name");

		assert_true(p->at.client > last);
		last = p->at.client;
		if (i & 1)
			assert_ok(peer_detach(p));
		peers_end();
		assert_true(region_until_clients(r, 0, SOON_MS));
	}
}

CASE(region_ids_are_never_used_again)
{
	struct region *r = region_new(small, GIB);
	uint64_t last = r->id;

	for (int i = 0; i < 20; i++) {
		uint64_t id;

		assert_ok(do_unlink(r->fd, r->name));
		assert_ok(do_create(r->fd, r->name, small, GIB, &id));
		assert_true(id > last);
		last = id;
	}
}

CASE(a_list_longer_than_the_array_says_how_many_there_are)
{
	struct region *r = region_new(small, GIB);
	struct peershm_client_info infos[3];
	char poison[sizeof(infos[0])];

	peer_join(r, "a");
	peer_join(r, "b");
	peer_join(r, "c");
	memset(poison, POISON, sizeof(poison));
	memset(infos, POISON, sizeof(infos));
	assert_int_equal(do_clients(r->fd, r->id, infos, 2), 3);
	assert_memory_equal(&infos[2], poison, sizeof(poison));
	assert_int_equal(do_clients(r->fd, r->id, NULL, 0), 3);
}

CASE(header_and_clients_agree)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	struct peershm_header *h = malloc(c->at.header_length);
	unsigned int live = 0;
	struct peershm_client_info infos[4];
	struct peershm_region_info info;

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
	assert_int_equal(h->major, PEERSHM_HEADER_MAJOR);
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

static void *attach_here(void *region)
{
	static struct client c;

	return (void *)(intptr_t)client_attach(&c, region, "thread", 0);
}

/* In a peer: become a client of a second region, in a thread that is new. */
static long attach_in_a_thread(void *region)
{
	pthread_t thread;
	void *err;
	int failed = pthread_create(&thread, NULL, attach_here, region);

	if (failed)
		return -failed;
	pthread_join(thread, &err);
	return (long)err;
}

/* In clock ticks after the boot. */
static uint64_t start_ticks(pid_t pid)
{
	unsigned long long ticks = 0;
	char path[32], line[1024] = "";
	const char *field;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	/* The 22nd field; the second ends with the last parenthesis. */
	field = strrchr(line, ')');
	for (int i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	assert_non_null(field);
	assert_int_equal(sscanf(field, "%llu", &ticks), 1);
	return ticks;
}

CASE(the_start_time_is_the_processs_whichever_thread_attaches)
{
	const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	struct region *r = region_new(small, GIB), *other = region_new(small, GIB);
	struct peer *p = peer_join(r, "first thread");
	struct peershm_client_info first, second;

	assert_ok(peer_call(p, attach_in_a_thread, other->name, sizeof(other->name)));
	assert_int_equal(do_clients(r->fd, r->id, &first, 1), 1);
	assert_int_equal(do_clients(other->fd, other->id, &second, 1), 1);
	assert_int_equal(first.start_time / tick_ns, start_ticks(p->pid));
	assert_int_equal(second.start_time, first.start_time);
}

static uint64_t generation(const struct region *r)
{
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.generation;
}

CASE(generation_counts_every_change)
{
	struct region *r = region_new(small, GIB);
	uint64_t before = generation(r);
	struct peer *p;

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

CASES(a_killed_clients_entry_goes_away_by_itself, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *other = peer_join(r, "other"), *victim = peer_join(r, "victim");

	peer_store(victim, r->base, 0x1234);
	peer_kill(victim);
	assert_true(region_until_clients(r, 1, SOON_MS));
	assert_int_equal(peer_load(other, r->base), 0x1234);
	assert_error(do_resolve_name(r->fd, r->id, "victim", NULL), -ENOENT);
}

/* In a peer: a child that holds all files of its parent until it is killed; gives its PID. */
static long leave_files_to_a_child(void *arg)
{
	pid_t child = fork();

	(void)arg;
	if (child == 0) {
		for (;;)
			pause();
	}
	return child < 0 ? -errno : child;
}

static void kill_pid(void *arg)
{
	kill((pid_t)(intptr_t)arg, SIGKILL);
}

CASE(a_child_that_holds_the_file_keeps_no_dead_client)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "parent");
	long child = peer_call(p, leave_files_to_a_child, NULL, 0);

	assert_true(child > 0);
	test_cleanup(kill_pid, (void *)child);
	assert_int_equal(region_nr_clients(r), 1);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, SOON_MS));
	/* The child lives, and so does its file. */
	assert_int_equal(kill((pid_t)child, 0), 0);
	peer_join(r, "parent");
}

CASE(exec_leaves_nothing_behind)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "before exec");

	peer_exec(p);
	assert_true(region_until_clients(r, 0, SOON_MS));
	assert_true(peer_runs(p));
}

static long close_file(void *arg)
{
	(void)arg;
	return close(self.fd) ? -errno : 0;
}

CASE(closing_the_file_keeps_the_client)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "closer");

	assert_ok(peer_call(p, close_file, NULL, 0));
	assert_int_equal(region_nr_clients(r), 1);
	region_grow(r, STEP);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, SOON_MS));
}

CASES(a_client_that_unmaps_its_whole_window_has_left, ALL_BACKINGS)
{
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "leaver"), *other = peer_join(r, "other");

	assert_ok(peer_munmap(p, r->base, b->capacity));
	assert_true(region_until_clients(r, 1, SOON_MS));
	assert_error(peer_detach(p), -ENOTCONN);
	assert_int_equal(peer_touch(other, r->base), SIGBUS);
	/* The same process may come back. */
	assert_ok(peer_attach(p, r->name, "leaver", 0));
	assert_int_equal(region_nr_clients(r), 2);
}

CASES(a_client_that_unmaps_its_window_piece_by_piece_leaves_with_the_last, ALL_BACKINGS)
{
	uint64_t piece = b->capacity / 4;
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "leaver");
	static const int order[] = { 1, 3, 0, 2 };

	for (int i = 0; i < 4; i++) {
		assert_int_equal(region_nr_clients(r), 1);
		assert_ok(peer_munmap(p, r->base + (uint64_t)order[i] * piece, piece));
	}
	assert_true(region_until_clients(r, 0, SOON_MS));
}

/* The PID that RESOLVE tells the peer for this name. */
static pid_t pid_as_seen_by(struct peer *p, const char *name)
{
	struct peershm_resolve resolve = { .size = sizeof(resolve), .pid = -1 };

	put_name(resolve.name, name);
	assert_ok(peer_ioctl(p, PEERSHM_IOC_RESOLVE, &resolve, sizeof(resolve)));
	return resolve.pid;
}

CASE(pids_are_those_of_the_callers_namespace)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "outside");
	struct peer *p = peer_new_in_pid_namespace();
	pid_t pid;

	assert_ok(peer_attach(p, r->name, "inside", 0));
	assert_int_equal(pid_as_seen_by(p, "inside"), 1);
	assert_int_equal(pid_as_seen_by(p, "outside"), 0);
	assert_ok(do_resolve_name(c->fd, 0, "inside", &pid));
	assert_int_equal(pid, p->pid);
}

CASE(a_process_is_a_client_of_many_regions)
{
	struct region *regions[8];
	struct client *clients[8];

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

CASE(mapped_goes_down_with_the_size)
{
	struct region *r = region_new(small, GIB);
	struct peershm_client_info info;

	region_grow(r, 2 * MIB);
	peer_join(r, "peer");
	assert_int_equal(do_clients(r->fd, r->id, &info, 1), 1);
	assert_int_equal(info.mapped, 2 * MIB);
	assert_ok(do_shrink(r->fd, r->id, MIB, NULL));
	memset(&info, POISON, sizeof(info));
	assert_int_equal(do_clients(r->fd, r->id, &info, 1), 1);
	assert_int_equal(info.mapped, MIB);
}

static long grow_and_shrink(void *rounds)
{
	long err = 0;

	for (unsigned int i = 0; !err && i < *(unsigned int *)rounds; i++) {
		err = do_grow(self.fd, 0, SYSTEM_PAGE, NULL);
		if (!err)
			err = do_shrink(self.fd, 0, 0, NULL);
	}
	return err;
}

CASE(a_client_that_stays_is_never_seen_without_its_id)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "stays");
	struct peer *busy = peer_join(r, "busy");
	const struct peershm_header_client *entry = header_client(c->header, c->at.slot);
	unsigned int rounds = 2000;
	long err;

	peer_start(busy, grow_and_shrink, &rounds, sizeof(rounds));
	do {
		for (int i = 0; i < 100000; i++)
			assert_int_equal(__atomic_load_n(&entry->id, __ATOMIC_RELAXED),
					 c->at.client);
		err = peer_finish_within(busy, &rounds, sizeof(rounds), 0);
	} while (err == -ETIMEDOUT);
	assert_ok(err);
}
