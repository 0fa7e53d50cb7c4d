/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When GROW or ATTACH returns, the page tables of every client have all of the memory: no
 * client takes a page fault for it.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/helped.h"

static void grown_memory_is_in_every_sleeping_peer(const struct backing *b, unsigned int n)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *peers[16];
	struct peershm_grow g;

	peers_join(r, peers, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(peers[i]->at.base, r->base);
		assert_int_equal(peer_present(peers[i], r->base, b->step), 0);
	}

	assert_ok(do_grow(r->fd, r->id, b->step, &g));
	assert_int_equal(g.report.nr_peers, n);
	assert_int_equal(g.report.mapped, n);
	assert_int_equal(g.report.deferred + g.report.gone + g.report.partial, 0);

	/* Look at all of them before one writes: huge pages share page tables. */
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(peer_present(peers[i], r->base, b->step), b->step);
	for (unsigned int i = 0; i < n; i++)
		peer_has_all(peers[i], r->base, b->step);
}

CASES(grown_memory_is_in_every_sleeping_peer_of_1, ALL_BACKINGS)
{
	grown_memory_is_in_every_sleeping_peer(b, 1);
}

CASES(grown_memory_is_in_every_sleeping_peer_of_4, ALL_BACKINGS)
{
	grown_memory_is_in_every_sleeping_peer(b, 4);
}

CASES(grown_memory_is_in_every_sleeping_peer_of_16, ALL_BACKINGS)
{
	grown_memory_is_in_every_sleeping_peer(b, 16);
}

/* Otherwise the other tests, which count no faults, would prove nothing. */
CASES(memory_taken_out_of_the_page_tables_does_fault, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "peer");

	region_grow(r, b->step);
	peer_forget(p, r->base, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), 0);
	assert_true(peer_write(p, r->base, b->step).minor > 0);
}

CASES(second_growth_is_as_free_of_faults_as_the_first, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, 2 * b->step);
	struct peer *p = peer_join(r, "peer");

	for (unsigned int i = 0; i < 2; i++) {
		region_grow(r, b->step);
		peer_has_all(p, r->base + i * b->step, b->step);
	}
}

CASES(attach_brings_in_all_that_is_active, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join(r, "late");

	peer_has_all(p, r->base, b->step);
}

/* So much memory that other CPUs help a client that attaches to map it. */
static uint64_t much(void)
{
	return 4096 * SYSTEM_PAGE;
}

static struct region *region_with_much(void)
{
	struct region *r = region_new(small, GIB);

	helpers_watch();
	region_grow(r, much());
	helpers_came();
	return r;
}

static long minor_faults(void *arg)
{
	struct rusage usage;

	(void)arg;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* The peer attaches. Gives the page faults that it took for that, those in the kernel included. */
static long attach_late(struct peer *p, const struct region *r)
{
	long before = peer_call(p, minor_faults, NULL, 0);

	assert_ok(peer_attach(p, r->name, "late", 0));
	return peer_call(p, minor_faults, NULL, 0) - before;
}

CASE(attach_brings_in_what_several_cpus_map)
{
	struct region *r = region_with_much();
	struct peer *p = peer_new();
	bool helped = false;
	long alone;

	assert_ok(peer_call(p, use_one_cpu, NULL, 0));
	alone = attach_late(p, r);
	assert_false(helpers_came());
	peer_end(p);
	/* Several times: a helper comes too late if its CPU is busy. */
	for (unsigned int i = 0; !helped && i < 20; i++) {
		p = peer_new();
		/* A page table that a helper fills is one fault less for the client. */
		helped = attach_late(p, r) < alone;
		helped = helpers_came() && helped;
		peer_has_all(p, r->base, much());
		peer_end(p);
	}
	assert_true(helped);
}

static void attach_alone(const struct region *r, const char *memcg)
{
	for (unsigned int i = 0; i < 5; i++) {
		struct peer *p = peer_new();

		cgroup_join(memcg, p->pid);
		assert_ok(peer_attach(p, r->name, "late", 0));
		assert_false(helpers_came());
		peer_end(p);
	}
}

CASE(nobody_maps_for_who_could_be_throttled)
{
	struct region *r = region_with_much();
	const char *memcg = memcg_new(2 * GIB);

	memcg_set(memcg, "memory.high", "1G");
	attach_alone(r, memcg);
}

/*
 * As many bytes as fill some page tables: `tables` of them, 64 if that is not too much. Who maps
 * small pages takes a page fault for each page table.
 */
static uint64_t bytes_of_many_tables(long *tables)
{
	const uint64_t table = SYSTEM_PAGE * SYSTEM_PAGE / sizeof(uint64_t);

	*tables = 64 * table <= GIB / 2 ? 64 : (long)(GIB / 2 / table);
	return (uint64_t)*tables * table;
}

/* If no kernel thread helps, this process takes all the page faults of its grow. */
CASE(nobody_maps_a_grow_for_who_could_be_throttled)
{
	const unsigned int n = 3;
	const char *memcg;
	struct region *r;
	uint64_t length;
	long tables;

	helpers_watch();
	length = bytes_of_many_tables(&tables);
	if (tables < 16)
		skip_because("its page tables hold too much");
	r = region_new(small, GIB);
	memcg = memcg_new(2 * GIB);
	memcg_set(memcg, "memory.high", "1G");
	for (unsigned int i = 0; i < 5; i++) {
		struct peer *peers[3];
		long before;

		for (unsigned int j = 0; j < n; j++) {
			char name[8];

			peers[j] = peer_new();
			snprintf(name, sizeof(name), "%u", j);
			cgroup_join(memcg, peers[j]->pid);
			assert_ok(peer_attach(peers[j], r->name, name, 0));
		}
		before = minor_faults(NULL);
		region_grow(r, length);
		assert_true(minor_faults(NULL) - before >= n * tables);
		for (unsigned int j = 0; j < n; j++)
			peer_end(peers[j]);
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
}

/*
 * A page fault on a huge page would allocate a page table that is then not needed. The few
 * faults that a grow does take, which this process counts as its own, are for small pages: where
 * the kernel had no huge page to give.
 */
CASE(huge_pages_are_mapped_without_a_fault_for_each)
{
	const struct backing *b = thp;
	const unsigned int n = 3;
	const long pages = 64 * b->page <= GIB / 4 ? 64 : 16;
	struct peer *peers[3];
	struct region *r;
	long before;

	if (!kernel_before(6, 2) && kernel_before(6, 7))
		skip_because("this kernel maps none without a page table");
	if (pages * b->page > GIB)
		skip_because("its huge pages are too large");
	r = region_new(b, GIB);
	peers_join(r, peers, n);
	before = minor_faults(NULL);
	region_grow(r, pages * b->page);
	assert_true(minor_faults(NULL) - before < pages);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(peer_present(peers[i], r->base, pages * b->page), pages * b->page);
}

/* The group has no room for page tables: each CPU charges it for many pages at a time. */
CASE(nobody_maps_for_who_has_no_room)
{
	struct region *r = region_with_much();

	attach_alone(r, memcg_new(64 * SYSTEM_PAGE * sysconf(_SC_NPROCESSORS_ONLN)));
}

#define FAULT_AROUND "/sys/kernel/debug/fault_around_bytes"

/* A grow must not depend on fault-around, which maps several pages in one page fault. */
CASE(grown_memory_is_complete_when_faults_bring_in_one_page)
{
	char one_page[32];
	struct region *r;
	struct peer *p;

	if (file_number(FAULT_AROUND) < 0)
		skip_because("no fault_around_bytes in debugfs");
	snprintf(one_page, sizeof(one_page), "%llu", (unsigned long long)SYSTEM_PAGE);
	setting_set(FAULT_AROUND, one_page);
	r = region_new(small, GIB);
	p = peer_join(r, "peer");
	region_grow(r, small->step);
	peer_has_all(p, r->base, small->step);
}

CASES(grown_memory_is_in_a_read_only_peer, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join_flags(r, "reader", PEERSHM_ATTACH_READ_ONLY);

	region_grow(r, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_int_equal(peer_touch(p, r->base), 0);
}
