/* SPDX-License-Identifier: GPL-2.0-only */
/* PEER_MAP and the report of a grow: whom they reach, and what they answer of each client. */
#include "support/busy.h"
#include "support/harness.h"

#define STEP (4 * MIB)

/* Far more than a grow takes that waits for nobody. */
#define PROMPT_MS 10000

struct three {
	struct region *region;
	struct peer *peers[3];
};

/* Three peers, called "0" to "2", none of which has the memory in its page tables. */
static struct three three_without_pages(const struct backing *b)
{
	struct three t = { .region = region_with(b, b->step, b->step) };

	peers_join(t.region, t.peers, 3);
	for (int i = 0; i < 3; i++)
		peer_forget(t.peers[i], t.region->base, b->step);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t.peers[i], t.region->base, b->step), 0);
	return t;
}

CASES(all_peers_are_mapped, ALL_BACKINGS)
{
	struct three t = three_without_pages(b);
	struct peershm_peer_map m;

	assert_ok(do_peer_map(t.region->fd, t.region->id, &m));
	assert_int_equal(m.report.nr_peers, 3);
	assert_int_equal(m.report.mapped, 3);
	assert_int_equal(m.report.deferred, 0);
	assert_int_equal(m.report.gone, 0);
	assert_int_equal(m.report.partial, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t.peers[i], t.region->base, b->step), b->step);
}

static void only_this_one_is_mapped(const struct three *t, const struct peershm_peer_map *m,
				    int this)
{
	assert_int_equal(m->report.nr_peers, 1);
	assert_int_equal(m->report.mapped, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t->peers[i], t->region->base, small->step),
				 i == this ? small->step : 0);
}

CASE(only_the_peer_of_that_pid_is_mapped)
{
	struct three t = three_without_pages(small);
	struct peershm_peer_map m;

	assert_ok(do_map_pid(t.region->fd, t.region->id, t.peers[1]->pid, &m));
	only_this_one_is_mapped(&t, &m, 1);
}

CASE(only_the_peer_of_that_name_is_mapped)
{
	struct three t = three_without_pages(small);
	struct peershm_peer_map m;

	assert_ok(do_map_name(t.region->fd, t.region->id, "2", &m));
	only_this_one_is_mapped(&t, &m, 2);
}

CASE(a_range_alone_is_mapped)
{
	struct three t = three_without_pages(small);
	struct peershm_peer_map m = {
		.size = sizeof(m), .region = t.region->id, .offset = 2 * MIB, .length = 128 * KIB
	};

	assert_ok(xioctl(t.region->fd, PEERSHM_IOC_PEER_MAP, &m));
	assert_int_equal(m.report.mapped, 3);
	for (int i = 0; i < 3; i++) {
		uint64_t base = t.region->base;

		assert_int_equal(peer_present(t.peers[i], base + 2 * MIB, 128 * KIB), 128 * KIB);
		assert_true(peer_present(t.peers[i], base, small->step) < MIB);
	}
}

/* So many peers that several CPUs map them: the report has each peer's own result. */
CASES(peers_mapped_at_once_do_not_mix_up_their_results, TMPFS)
{
	struct peershm_grow g = { .size = sizeof(g) };
	struct region *r = region_new(b, b->capacity);
	struct peershm_peer records[16];
	struct peer *peers[16];

	peers_join(r, peers, 16);
	for (unsigned int round = 0; round < test_scale(20); round++) {
		uint64_t hole = r->base + b->step / 2 / b->page * b->page;

		g.region = r->id;
		g.length = b->step;
		g.report = (struct peershm_map_report){ .peers = (uintptr_t)records,
							.nr_peers = 16,
							.record_size = sizeof(records[0]) };
		/* In each round one more of them has a hole. */
		if (round < 16)
			assert_ok(peer_munmap(peers[(7 * round) % 16], hole, b->page));
		memset(records, POISON, sizeof(records));
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
		assert_int_equal(g.report.nr_peers, 16);
		assert_int_equal(g.report.deferred + g.report.gone, 0);
		for (unsigned int i = 0; i < 16; i++) {
			bool holed = false;

			for (unsigned int j = 0; j <= round && j < 16; j++)
				holed |= i == (7 * j) % 16;
			assert_int_equal(records[i].client, peers[i]->at.client);
			assert_int_equal(records[i].result,
					 holed ? PEERSHM_PEER_PARTIAL : PEERSHM_PEER_MAPPED);
			assert_int_equal(peer_present(peers[i], r->base, b->step),
					 b->step - (holed ? b->page : 0));
		}
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
}

CASE(records_tell_client_pid_name_and_result)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[2] = { peer_join(r, "a"), peer_join(r, "b") };
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = STEP };
	struct peershm_peer records[3], poison;

	memset(records, POISON, sizeof(records));
	memset(&poison, POISON, sizeof(poison));
	g.report.peers = (uintptr_t)records;
	g.report.nr_peers = 3;
	g.report.record_size = sizeof(records[0]);
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	assert_int_equal(g.report.nr_peers, 2);
	for (int i = 0; i < 2; i++) {
		struct peer *p = peers[records[i].client == peers[0]->at.client ? 0 : 1];

		assert_int_equal(records[i].client, p->at.client);
		assert_int_equal(records[i].pid, p->pid);
		assert_int_equal(records[i].result, PEERSHM_PEER_MAPPED);
		assert_int_equal(records[i].mapped, STEP);
		assert_string_equal(records[i].name, p->name);
	}
	assert_int_not_equal(records[0].client, records[1].client);

	/* With room for fewer records than clients, it fills them, and says how many there were. */
	memset(records, POISON, sizeof(records));
	g.report.nr_peers = 1;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	assert_int_equal(g.report.nr_peers, 2);
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(records[0].result, PEERSHM_PEER_MAPPED);
	assert_memory_equal(&records[1], &poison, sizeof(poison));
}

/*
 * The module drops the mmap lock again and again for a thread that wants it, and goes on where it
 * had stopped.
 */
CASE(a_peer_that_wants_its_own_lock_gets_all_of_a_large_grow)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy");
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = 16 * MIB };

	assert_ok(peer_call(p, busy_start, NULL, 0));
	for (int i = 0; i < 4; i++) {
		g.report.nr_peers = 0;
		g.report.timeout_ms = DEADLINE_MS;
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
		assert_int_equal(g.report.mapped, 1);
	}
	assert_ok(peer_call(p, busy_stop, NULL, 0));
	assert_int_equal(peer_present(p, r->base, 64 * MIB), 64 * MIB);
}

/*
 * Grow, and wait 1 ms for the peers each time, until the one whose mmap lock is busy is deferred.
 * The other has all of the memory each time. Gives the size.
 */
static uint64_t grow_until_deferred(const struct region *r, struct peer *other)
{
	const uint64_t end = now_ms() + DEADLINE_MS, part = 64 * KIB;
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = part };

	do {
		uint64_t start = now_ms();

		assert_true(start < end);
		g.report.nr_peers = 0;
		g.report.timeout_ms = 1;
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
		assert_true(now_ms() - start < PROMPT_MS);
		assert_int_equal(g.report.nr_peers, 2);
		assert_int_equal(g.report.mapped + g.report.deferred, 2);
		assert_int_equal(peer_present(other, r->base + g.new_size - part, part), part);
	} while (!g.report.deferred);
	return g.new_size;
}

CASE(a_peer_that_cannot_be_reached_is_deferred_and_still_works)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy"), *other = peer_join(r, "other");
	struct peershm_peer_map m;
	uint64_t size;

	assert_ok(peer_call(p, busy_start, NULL, 0));
	size = grow_until_deferred(r, other);
	assert_int_equal(peer_touch_write(p, r->base + size - 1), 0);
	assert_ok(peer_call(p, busy_stop, NULL, 0));

	/* A peer map by name reaches it now. */
	assert_ok(do_map_name(r->fd, r->id, "busy", &m));
	assert_int_equal(m.report.mapped, 1);
	assert_int_equal(peer_present(p, r->base, size), size);
}

CASE(grow_to_a_size_there_is_already_maps_whoever_is_not_mapped)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy"), *other = peer_join(r, "other");
	struct peershm_client_info infos[2];
	struct peershm_grow g;
	uint64_t size;

	assert_ok(peer_call(p, busy_start, NULL, 0));
	size = grow_until_deferred(r, other);
	assert_ok(peer_call(p, busy_stop, NULL, 0));

	assert_ok(do_grow_to(r->fd, r->id, size, &g));
	assert_int_equal(g.new_size, size);
	assert_int_equal(g.old_size, g.new_size);
	assert_int_equal(g.report.nr_peers, 2);
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(peer_present(p, r->base, g.new_size), g.new_size);
	assert_int_equal(peer_present(other, r->base, g.new_size), g.new_size);
	assert_int_equal(do_clients(r->fd, r->id, infos, 2), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(infos[i].mapped, g.new_size);
}

CASE(who_has_no_rights_over_a_process_maps_memory_into_it)
{
	struct region *r = region_of_mode(small, 0666, 0);
	struct peer *alice = peer_new(), *bob = peer_new();
	struct peershm_grow g = { .size = sizeof(g), .length = STEP };

	peer_become(alice, 1000, 1000);
	peer_become(bob, 1001, 1001);
	assert_ok(peer_attach(alice, r->name, "alice", 0));
	assert_ok(peer_attach(bob, r->name, "bob", 0));
	assert_ok(peer_ioctl(alice, PEERSHM_IOC_GROW, &g, sizeof(g)));
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(peer_present(bob, r->base, STEP), STEP);
}
