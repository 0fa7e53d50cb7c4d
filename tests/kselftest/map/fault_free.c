/* SPDX-License-Identifier: GPL-2.0-only */
/* When grow returns, the memory is in every client: no client takes a fault for it. */
#include <sys/resource.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/helped.h"

static void grown_memory_is_in_every_sleeping_peer(void **state)
{
	const struct param *param = param_of(state);
	const struct backing *b = param->backing;
	struct peer *peers[16];
	struct peershm_grow g;
	struct region *r;
	char name[32];

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	for (unsigned int i = 0; i < param->peers; i++) {
		snprintf(name, sizeof(name), "peer %u", i);
		peers[i] = peer_join(r, name);
		assert_int_equal(peers[i]->at.base, r->base);
		assert_int_equal(peer_present(peers[i], r->base, b->step), 0);
	}

	assert_ok(do_grow(r->fd, r->id, b->step, &g));
	assert_int_equal(g.report.nr_peers, param->peers);
	assert_int_equal(g.report.mapped, param->peers);
	assert_int_equal(g.report.deferred + g.report.gone + g.report.partial, 0);

	/* All are looked at before any is touched. */
	for (unsigned int i = 0; i < param->peers; i++)
		assert_int_equal(peer_present(peers[i], r->base, b->step), b->step);
	for (unsigned int i = 0; i < param->peers; i++) {
		struct faults faults = peer_write(peers[i], r->base, b->step);

		assert_int_equal(faults.minor, 0);
		assert_int_equal(faults.major, 0);
	}
}

/* Were it not so, the zeroes of the other tests would mean nothing. */
static void memory_taken_out_of_the_page_tables_does_fault(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct faults faults;
	struct region *r;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "peer");
	region_grow(r, b->step);
	peer_forget(p, r->base, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), 0);
	faults = peer_write(p, r->base, b->step);
	assert_true(faults.minor > 0);
}

static void second_growth_is_as_free_of_faults_as_the_first(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "peer");
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t start = r->base + i * b->step;
		struct faults faults;

		region_grow(r, b->step);
		assert_int_equal(peer_present(p, start, b->step), b->step);
		faults = peer_write(p, start, b->step);
		assert_int_equal(faults.minor, 0);
		assert_int_equal(faults.major, 0);
	}
}

static void attach_brings_in_all_that_is_active(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct faults faults;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "late");
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	faults = peer_write(p, r->base, b->step);
	assert_int_equal(faults.minor, 0);
	assert_int_equal(faults.major, 0);
}

/* So much that other CPUs help whoever attaches. */
static struct region *region_with_much(const struct backing *b, uint64_t *length)
{
	struct region *r;

	*length = 4096 * b->page;
	r = region_new(b, GIB);
	helpers_watch();
	region_grow(r, *length);
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

/* Attaches; the faults that this process took for it, in the kernel, too. */
static long attach_late(struct peer *p, const struct region *r)
{
	long before = peer_call(p, minor_faults, NULL, 0);

	assert_ok(peer_attach(p, r->name, "late", 0));
	return peer_call(p, minor_faults, NULL, 0) - before;
}

static void attach_brings_in_what_several_cpus_map(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t length;
	struct region *r = region_with_much(b, &length);
	struct peer *p = peer_new();
	bool helped = false;
	long alone;

	assert_ok(peer_call(p, use_one_cpu, NULL, 0));
	alone = attach_late(p, r);
	assert_false(helpers_came());
	peer_end(p);
	/* A helper that the other CPU has no time for is too late. */
	for (unsigned int i = 0; !helped && i < 20; i++) {
		struct faults faults;

		p = peer_new();
		/* Each page table that a helper fills is a fault less. */
		helped = attach_late(p, r) < alone;
		helped = helpers_came() && helped;
		assert_int_equal(peer_present(p, r->base, length), length);
		faults = peer_write(p, r->base, length);
		assert_int_equal(faults.minor + faults.major, 0);
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

static void nobody_maps_for_who_could_be_throttled(void **state)
{
	uint64_t length;
	struct region *r = region_with_much(param_of(state)->backing, &length);
	const char *memcg = memcg_new(2 * GIB);

	memcg_set(memcg, "memory.high", "1G");
	attach_alone(r, memcg);
}

/* Page tables of small pages take a fault each, which whoever maps them takes. */
static uint64_t bytes_of_many_tables(const struct backing *b, long *tables)
{
	const uint64_t table = b->page * b->page / sizeof(uint64_t);

	*tables = 64 * table <= GIB / 2 ? 64 : (long)(GIB / 2 / table);
	return (uint64_t)*tables * table;
}

/* The faults of a grow are all of whoever grows, here this process, if nobody helps. */
static void nobody_maps_a_grow_for_who_could_be_throttled(void **state)
{
	const struct backing *b = param_of(state)->backing;
	const unsigned int n = 3;
	const char *memcg;
	struct region *r;
	uint64_t length;
	long tables;

	helpers_watch();
	length = bytes_of_many_tables(b, &tables);
	if (tables < 16)
		skip_because("its page tables hold too much");
	r = region_new(b, GIB);
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
 * A fault on a huge page allocates a page table, which is then not needed. The faults
 * of a grow are this process's own: some for small pages, where no huge one was to be had.
 */
static void huge_pages_are_mapped_without_a_fault_for_each(void **state)
{
	const struct backing *b = param_of(state)->backing;
	const unsigned int n = 3;
	const long pages = 64 * b->page <= GIB / 4 ? 64 : 16;
	struct peer *peers[3];
	struct region *r;
	long before;

	if (kernel_before(6, 1) || (!kernel_before(6, 2) && kernel_before(6, 7)))
		skip_because("this kernel maps none without a page table");
	if (pages * b->page > GIB)
		skip_because("its huge pages are too large");
	r = region_new(b, GIB);
	for (unsigned int i = 0; i < n; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%u", i);
		peers[i] = peer_join(r, name);
	}
	before = minor_faults(NULL);
	region_grow(r, pages * b->page);
	assert_true(minor_faults(NULL) - before < pages);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(peer_present(peers[i], r->base, pages * b->page), pages * b->page);
}

/* For page tables; what there is comes in several pages for each CPU at a time. */
static void nobody_maps_for_who_has_no_room(void **state)
{
	uint64_t length;
	struct region *r = region_with_much(param_of(state)->backing, &length);

	attach_alone(r, memcg_new(64 * SYSTEM_PAGE * sysconf(_SC_NPROCESSORS_ONLN)));
}

/* Completeness must not hang on how many pages one fault brings in. */
static void restore_fault_around(void *arg)
{
	file_write("/sys/kernel/debug/fault_around_bytes", arg);
}

static void grown_memory_is_complete_when_faults_bring_in_one_page(void **state)
{
	static char old[32];
	char one_page[32];
	const struct backing *b = param_of(state)->backing;
	long bytes = file_number("/sys/kernel/debug/fault_around_bytes");
	struct faults faults;
	struct region *r;
	struct peer *p;

	if (bytes < 0)
		skip_because("no fault_around_bytes in debugfs");
	snprintf(old, sizeof(old), "%ld", bytes);
	test_cleanup(restore_fault_around, old);
	snprintf(one_page, sizeof(one_page), "%llu", (unsigned long long)b->page);
	assert_ok(file_write("/sys/kernel/debug/fault_around_bytes", one_page));
	r = region_new(b, b->capacity);
	p = peer_join(r, "peer");
	region_grow(r, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	faults = peer_write(p, r->base, b->step);
	assert_int_equal(faults.minor, 0);
	assert_int_equal(faults.major, 0);
}

static void grown_memory_is_in_a_read_only_peer(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join_flags(r, "reader", PEERSHM_ATTACH_READ_ONLY);
	region_grow(r, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_int_equal(peer_touch(p, r->base), 0);
}

/* Page tables that clients share go as a whole, and come back. */
static void what_a_shrink_leaves_stays_mapped(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_client_info infos[3];
	struct peer *peers[3];
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	for (unsigned int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%u", i);
		peers[i] = peer_join(r, name);
	}
	region_grow(r, 2 * b->step);
	assert_ok(do_shrink(r->fd, r->id, b->step, NULL));
	assert_int_equal(do_clients(r->fd, r->id, infos, 3), 3);
	for (unsigned int i = 0; i < 3; i++) {
		struct faults faults;

		assert_int_equal(infos[i].mapped, b->step);
		assert_int_equal(peer_present(peers[i], r->base, b->step), b->step);
		faults = peer_write(peers[i], r->base, b->step);
		assert_int_equal(faults.minor + faults.major, 0);
	}
}

/* What a failed grow takes back of huge pages takes shared page tables with it. */
static void what_a_failed_grow_leaves_stays_mapped(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_client_info infos[3];
	struct peer *peers[3];
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_new(b, 512 * GIB);
	for (unsigned int i = 0; i < 3; i++) {
		char name[8];

		snprintf(name, sizeof(name), "%u", i);
		peers[i] = peer_join(r, name);
	}
	region_grow(r, b->step);
	/* More than there is. Some is allocated before that is found out, and freed. */
	assert_true(do_grow(r->fd, r->id, 256 * GIB, NULL) < 0);
	assert_int_equal(region_size(r), b->step);
	assert_int_equal(do_clients(r->fd, r->id, infos, 3), 3);
	for (unsigned int i = 0; i < 3; i++) {
		struct faults faults;

		assert_int_equal(infos[i].mapped, b->step);
		assert_int_equal(peer_present(peers[i], r->base, b->step), b->step);
		faults = peer_write(peers[i], r->base, b->step);
		assert_int_equal(faults.minor + faults.major, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS_PEERS(grown_memory_is_in_every_sleeping_peer, "_of_1", 1),
		TEST_BACKINGS_PEERS(grown_memory_is_in_every_sleeping_peer, "_of_4", 4),
		TEST_BACKINGS_PEERS(grown_memory_is_in_every_sleeping_peer, "_of_16", 16),
		TEST_BACKINGS(memory_taken_out_of_the_page_tables_does_fault),
		TEST_BACKINGS(second_growth_is_as_free_of_faults_as_the_first),
		TEST_BACKINGS(attach_brings_in_all_that_is_active),
		TEST_CASE("attach_brings_in_what_several_cpus_map",
			  attach_brings_in_what_several_cpus_map, PEERSHM_SMALL, 0),
		TEST_CASE("nobody_maps_for_who_could_be_throttled",
			  nobody_maps_for_who_could_be_throttled, PEERSHM_SMALL, 0),
		TEST_CASE("nobody_maps_for_who_has_no_room", nobody_maps_for_who_has_no_room,
			  PEERSHM_SMALL, 0),
		TEST_CASE("nobody_maps_a_grow_for_who_could_be_throttled",
			  nobody_maps_a_grow_for_who_could_be_throttled, PEERSHM_SMALL, 0),
		TEST_CASE("huge_pages_are_mapped_without_a_fault_for_each",
			  huge_pages_are_mapped_without_a_fault_for_each, PEERSHM_THP, 0),
		TEST(grown_memory_is_complete_when_faults_bring_in_one_page),
		TEST_BACKINGS(grown_memory_is_in_a_read_only_peer),
		TEST_BACKINGS(what_a_shrink_leaves_stays_mapped),
		TEST_BACKINGS(what_a_failed_grow_leaves_stays_mapped),
	};

	return test_run(tests);
}
