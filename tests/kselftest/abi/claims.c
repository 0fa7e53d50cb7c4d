/* SPDX-License-Identifier: GPL-2.0-only */
/* One test for each of the ten things peershm is made for. */
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/library.h"

#define STEP (4 * MIB)

/* A list in a region, of raw pointers. */
struct node {
	struct node *next;
	uint64_t value;
};

/* A process that allocated memory has it mapped into a second one it looked up. */
CASE(claim_01_peer_mapping_call_maps_all_active_memory_into_a_second_process)
{
	struct region *r = region_new(small, GIB);
	struct client *first = client_new(r, "first");
	struct peer *second = peer_join(r, "second");
	struct peershm_peer record;
	struct peershm_peer_map m = { .size = sizeof(m),
				      .flags = PEERSHM_MAP_BY_PID,
				      .report.nr_peers = 1,
				      .report.record_size = sizeof(record) };
	pid_t pid;

	assert_ok(do_grow(first->fd, 0, STEP, NULL));
	/* The grow has mapped it: take it out, so that the call alone maps it. */
	peer_forget(second, r->base, STEP);
	assert_int_equal(peer_present(second, r->base, STEP), 0);

	assert_ok(do_resolve_name(first->fd, 0, "second", &pid));
	memset(&record, POISON, sizeof(record));
	m.pid = pid;
	m.report.peers = (uintptr_t)&record;
	assert_ok(xioctl(first->fd, PEERSHM_IOC_PEER_MAP, &m));

	assert_int_equal(m.report.nr_peers, 1);
	assert_int_equal(m.report.mapped, 1);
	assert_int_equal(record.result, PEERSHM_PEER_MAPPED);
	assert_int_equal(record.pid, second->pid);
	assert_int_equal(record.mapped, STEP);
	peer_has_all(second, r->base, STEP);
}

static bool has_pid(const struct peershm_client_info *clients, int n, pid_t pid)
{
	for (int i = 0; i < n; i++) {
		if (clients[i].pid == pid)
			return true;
	}
	return false;
}

CASE(claim_02_the_process_ids_of_all_clients_are_kept)
{
	struct region *r = region_new(small, GIB);
	struct peer *a = peer_join(r, "a"), *b = peer_join(r, "b"), *c = peer_join(r, "c");
	struct peershm_client_info clients[4];

	assert_int_equal(do_clients(r->fd, r->id, clients, 4), 3);
	assert_true(has_pid(clients, 3, a->pid));
	assert_true(has_pid(clients, 3, b->pid));
	assert_true(has_pid(clients, 3, c->pid));

	assert_ok(peer_detach(b));
	assert_int_equal(do_clients(r->fd, r->id, clients, 4), 2);
	assert_true(has_pid(clients, 2, a->pid));
	assert_false(has_pid(clients, 2, b->pid));
	assert_true(has_pid(clients, 2, c->pid));
}

CASE(claim_03_descriptive_names_are_kept_and_resolve_to_process_ids)
{
	struct region *r = region_new(small, GIB);
	struct peer *a = peer_join(r, "routing daemon"), *b = peer_join(r, "logger");
	char name[PEERSHM_NAME_SIZE];
	pid_t pid;

	assert_ok(do_resolve_name(r->fd, r->id, "routing daemon", &pid));
	assert_int_equal(pid, a->pid);
	assert_ok(do_resolve_name(r->fd, r->id, "logger", &pid));
	assert_int_equal(pid, b->pid);
	assert_ok(do_resolve_pid(r->fd, r->id, a->pid, name));
	assert_string_equal(name, "routing daemon");
}

static long push_by_library(void *arg)
{
	uint64_t *value = arg;
	struct node *n, *head = peershm_root(shm);

	n = peershm_extend(shm, peershm_page_size(shm));
	if (!n)
		return -errno;
	n->next = head;
	n->value = *value;
	return peershm_set_root(shm, head, n);
}

/* Follow the pointers from the root: the sum of what the nodes hold. */
static long sum_by_library(void *arg)
{
	(void)arg;
	long sum = 0;

	for (struct node *n = peershm_root(shm); n; n = n->next)
		sum += (long)n->value;
	return sum;
}

static long shrink_by_library(void *arg)
{
	return peershm_shrink_force(shm, *(uint64_t *)arg);
}

CASE(claim_04_processes_share_a_growing_structure_of_raw_pointers)
{
	char name[PEERSHM_NAME_SIZE];
	struct peer *a, *b;
	long sum = 0;

	region_name(name);
	a = library_peer(name, "a");
	b = library_peer(name, "b");
	for (uint64_t value = 1; value <= 20; value++) {
		assert_ok(peer_call(value & 1 ? a : b, push_by_library, &value, sizeof(value)));
		sum += (long)value;
		assert_int_equal(peer_call(a, sum_by_library, NULL, 0), sum);
		assert_int_equal(peer_call(b, sum_by_library, NULL, 0), sum);
	}
	assert_ok(peershm_unlink(name));
	assert_int_equal(peer_call(b, sum_by_library, NULL, 0), sum);
}

struct place {
	uint64_t start, end;
	char name[PEERSHM_NAME_SIZE];
};

/* Where /proc/self/maps says the region is. */
static long find_in_maps(void *arg)
{
	struct place *p = arg;
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long long start, end;
	char line[512];

	if (!f)
		return -errno;
	p->start = 0;
	p->end = 0;
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, p->name) && sscanf(line, "%llx-%llx", &start, &end) == 2 &&
		    end - start > p->end - p->start) {
			p->start = start;
			p->end = end;
		}
	}
	fclose(f);
	return 0;
}

static void check_locations(const struct region *r, uint64_t size)
{
	struct peershm_client_info clients[4];

	assert_int_equal(do_clients(r->fd, r->id, clients, 4), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(clients[i].base, r->base);
		assert_int_equal(clients[i].mapped, size);
	}
}

CASE(claim_05_the_location_mapped_in_each_process_is_kept)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[2] = { peer_join(r, "a"), peer_join(r, "b") };

	check_locations(r, 0);
	region_grow(r, STEP);
	check_locations(r, STEP);
	assert_ok(do_shrink(r->fd, r->id, STEP / 2, NULL));
	check_locations(r, STEP / 2);
	for (int i = 0; i < 2; i++) {
		struct place p = { 0 };

		memcpy(p.name, r->name, sizeof(p.name));
		assert_ok(peer_call(peers[i], find_in_maps, &p, sizeof(p)));
		assert_int_equal(p.start, r->base);
		assert_int_equal(p.end, r->base + GIB);
	}
}

CASE(claim_06_a_program_reads_the_process_ids_of_all_clients)
{
	struct region *r = region_new(small, GIB);
	struct peer *a = library_peer(r->name, "a"), *b = library_peer(r->name, "b");
	struct peershm_client_info clients[3];
	struct peershm *admin;

	assert_ok(peershm_open(&admin, r->name, NULL, 0, NULL));
	assert_int_equal(peershm_clients(admin, clients, 3), 2);
	assert_true(has_pid(clients, 2, a->pid));
	assert_true(has_pid(clients, 2, b->pid));
	peer_kill(a);
	assert_true(region_until_clients(r, 1, 1000));
	assert_int_equal(peershm_clients(admin, clients, 3), 1);
	assert_true(has_pid(clients, 1, b->pid));
	peershm_close(admin);
}

CASE(claim_07_a_program_resolves_descriptive_names_to_process_ids)
{
	struct region *r = region_new(small, GIB);
	struct peer *a = library_peer(r->name, "routing daemon");
	struct peer *b = library_peer(r->name, "logger");
	char name[PEERSHM_NAME_SIZE];
	struct peershm *admin;
	pid_t pid = -1;

	assert_ok(peershm_open(&admin, r->name, NULL, 0, NULL));
	assert_ok(peershm_resolve_name(admin, "routing daemon", &pid));
	assert_int_equal(pid, a->pid);
	memset(name, POISON, sizeof(name));
	assert_ok(peershm_resolve_pid(admin, b->pid, name));
	assert_string_equal(name, "logger");
	assert_error(peershm_resolve_name(admin, "nobody", &pid), -ENOENT);
	peershm_close(admin);
}

CASE(claim_08_a_restarted_client_gets_its_mapping_and_the_beginning_of_the_data)
{
	struct region *r = region_new(small, GIB);
	struct peer *other = peer_join(r, "other"), *daemon = peer_join(r, "daemon"), *again;
	uint64_t root = r->base + 64, old = daemon->at.client;

	assert_int_equal(daemon->at.root, 0);
	region_grow(r, STEP);
	peer_store(daemon, root, 0x5eed);
	assert_ok(do_set_root(r->fd, r->id, 0, root));
	peer_kill(daemon);
	/* While it is down the others go on. */
	region_grow(r, STEP);
	peer_store(other, r->base + STEP, 0xfeed);

	again = peer_join(r, "daemon");
	assert_int_equal(again->at.base, r->base);
	assert_int_equal(again->at.active, 2 * STEP);
	assert_int_equal(again->at.root, root);
	assert_int_not_equal(again->at.client, old);
	assert_int_equal(peer_present(again, r->base, 2 * STEP), 2 * STEP);
	assert_int_equal(peer_load(again, root), 0x5eed);
	assert_int_equal(peer_load(again, r->base + STEP), 0xfeed);
	peer_has_all(again, r->base, 2 * STEP);
}

struct look_up {
	uint64_t size;
	uint32_t nr_clients;
	pid_t pid;
	char name[PEERSHM_NAME_SIZE];
};

/* In a peer: the PID of the client of that name, from the header that it has mapped. */
static long find_in_header(void *arg)
{
	struct look_up *l = arg;
	struct peershm_header *h = malloc(self.at.header_length);
	long err = h ? header_copy(&self, h) : -ENOMEM;

	if (!err) {
		l->size = h->size;
		l->nr_clients = h->nr_clients;
		l->pid = 0;
		for (unsigned int i = 0; i < h->max_clients; i++) {
			const struct peershm_header_client *c = header_client(h, i);

			if (c->state == PEERSHM_CLIENT_LIVE && strcmp(c->name, l->name) == 0)
				l->pid = c->pid;
		}
		if (h->magic != PEERSHM_HEADER_MAGIC)
			err = -EPROTO;
	}
	free(h);
	return err;
}

CASE(claim_09_each_process_has_the_header_and_its_information_is_added_to_it)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[3];
	const char *const names[3] = { "a", "b", "c" };

	region_grow(r, STEP);
	for (uint32_t n = 0; n < 3; n++) {
		peers[n] = peer_join(r, names[n]);
		/* Each client sees the newcomer in its header. */
		for (uint32_t i = 0; i <= n; i++) {
			struct look_up l = { 0 };

			put_name(l.name, names[n]);
			assert_ok(peer_call(peers[i], find_in_header, &l, sizeof(l)));
			assert_int_equal(l.pid, peers[n]->pid);
			assert_int_equal(l.nr_clients, n + 1);
			assert_int_equal(l.size, STEP);
		}
	}
}

static long extend_by_library(void *arg)
{
	uint64_t *length = arg;
	void *address = peershm_extend(shm, *length);

	if (!address)
		return -errno;
	*length = (uintptr_t)address;
	return 0;
}

static long map_peer_by_library(void *arg)
{
	return peershm_map_pid(shm, *(pid_t *)arg, 0, 0, NULL);
}

CASE(claim_10_the_library_in_each_process_expands_shrinks_and_maps_peers)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[2] = { library_peer(r->name, "a"), library_peer(r->name, "b") };

	for (int i = 0; i < 2; i++) {
		struct peer *actor = peers[i], *other = peers[!i];
		uint64_t length = STEP, size = 0;

		assert_ok(peer_call(actor, extend_by_library, &length, sizeof(length)));
		assert_int_equal(length, r->base);
		assert_int_equal(peer_present(other, r->base, STEP), STEP);
		peer_forget(other, r->base, STEP);
		assert_int_equal(peer_present(other, r->base, STEP), 0);
		assert_ok(peer_call(actor, map_peer_by_library, &other->pid, sizeof(pid_t)));
		assert_int_equal(peer_present(other, r->base, STEP), STEP);
		assert_ok(peer_call(actor, shrink_by_library, &size, sizeof(size)));
		assert_int_equal(peer_present(other, r->base, STEP), 0);
		assert_int_equal(region_size(r), 0);
	}
}
