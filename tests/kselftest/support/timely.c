/* SPDX-License-Identifier: GPL-2.0-only */
#include "harness.h"
#include "timely.h"
#include "waited.h"

/*
 * A grow looks at a peer again every 2 ms at most, and may begin to do so just before its
 * deadline. By how much the machine itself is late is measured, and added.
 */
#define PAUSE_NS 2000000

static uint64_t grow_waited_ns(const struct region *r, uint64_t length, uint32_t ms,
			       struct peershm_grow *g)
{
	struct waiting waiting;

	memset(g, 0, sizeof(*g));
	g->size = sizeof(*g);
	g->region = r->id;
	g->length = length;
	g->report.timeout_ms = ms;
	waiting = waiting_start();
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, g));
	return waiting_ns(waiting);
}

static bool in_time(uint64_t ns, uint64_t late_ns)
{
	return ns <= TIMELY_MS * 1000000ULL + PAUSE_NS + 2 * late_ns;
}

void timely_grow(const struct region *r, uint64_t length, struct peershm_grow *g)
{
	uint64_t ns, late;

	lateness_start();
	ns = grow_waited_ns(r, length, TIMELY_MS, g);
	late = lateness_ns();
	if (!in_time(ns, late))
		fail_msg("waited for %llu us, the machine is late by %llu us",
			 (unsigned long long)ns / 1000, (unsigned long long)late / 1000);
}

void timely_peers(const struct region *r, struct peer *peers[TIMELY_PEERS])
{
	for (int i = 0; i < TIMELY_PEERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		peers[i] = peer_join(r, name);
	}
}

unsigned int timely_grows(const struct region *r, struct peer *peers[TIMELY_PEERS],
			  const struct peer *odd)
{
	unsigned int rounds = test_scale(1000), deferred = 0, late = 0;
	uint64_t worst = 0, worst_late = 0, start = now_ms();
	struct peershm_grow g;

	lateness_start();
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t ns = grow_waited_ns(r, SYSTEM_PAGE, TIMELY_MS, &g);
		uint64_t machine = lateness_ns();

		late += !in_time(ns, machine);
		worst = ns > worst ? ns : worst;
		worst_late = machine > worst_late ? machine : worst_late;
		assert_int_equal(g.report.mapped + g.report.deferred, TIMELY_PEERS);
		assert_in_range(g.report.deferred, 0, 1);
		deferred += g.report.deferred;
	}
	print_message("# %u grows in %llu ms, %u deferred; waited for %llu us at worst "
		      "(the machine: late by %llu us), %u too long\n",
		      rounds, (unsigned long long)(now_ms() - start), deferred,
		      (unsigned long long)worst / 1000, (unsigned long long)worst_late / 1000,
		      late);
	assert_int_equal(late, 0);
	for (int i = 0; i < TIMELY_PEERS; i++) {
		uint64_t size = region_size(r);

		if (peers[i] == odd)
			continue;
		assert_int_equal(timely_info(r, peers[i]).mapped, size);
		assert_int_equal(peer_present(peers[i], r->base, size), size);
	}
	return deferred;
}

struct peershm_client_info timely_info(const struct region *r, const struct peer *p)
{
	struct peershm_client_info infos[TIMELY_PEERS + 2];
	int n = do_clients(r->fd, r->id, infos, TIMELY_PEERS + 2);

	for (int i = 0; i < n && i < TIMELY_PEERS + 2; i++) {
		if (infos[i].id == p->at.client)
			return infos[i];
	}
	fail_msg("the client is gone");
	return infos[0];
}

struct catching_up {
	const struct region *r;
	const struct peer *p;
};

static bool has_all(void *arg)
{
	const struct catching_up *c = arg;

	return timely_info(c->r, c->p).mapped == region_size(c->r);
}

void timely_catches_up(const struct region *r, struct peer *odd)
{
	struct catching_up c = { .r = r, .p = odd };
	uint64_t size = region_size(r);

	assert_true(test_until(has_all, &c, DEADLINE_MS));
	assert_int_equal(peer_present(odd, r->base, size), size);
}
