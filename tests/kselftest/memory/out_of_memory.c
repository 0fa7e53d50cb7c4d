/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory runs out, or a memory cgroup reaches its limit: the grow fails, nothing has changed, and
 * no process is killed. And who is charged for page tables.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/helped.h"
#include "support/load.h"
#include "support/taken.h"

#define SEED 0x9e55

struct charge {
	const char *memcg;
	long bytes;
};

static long charged(const char *memcg)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/memory.current", memcg);
	return file_number(path);
}

static bool is_charged_at_most(void *arg)
{
	const struct charge *c = arg;

	return charged(c->memcg) <= c->bytes;
}

CASES(a_grow_that_meets_the_cgroups_limit_gives_its_charge_back, TMPFS)
{
	uint64_t limit = 4 * b->step, length = b->step, too_much = 4 * limit;
	struct region *r = region_new(b, 8 * limit < GIB ? GIB : 8 * limit);
	struct client *witness = client_new(r, "witness");
	struct peer *p = peer_join(r, "limited"), *other = peer_join(r, "other");
	const char *memcg = memcg_new(limit);
	struct charge charge = { memcg, 0 };
	struct snapshot *before;

	cgroup_join(memcg, p->pid);
	assert_ok(peer_grow(p, length));
	peer_fill(other, r->base, length, SEED);
	before = snapshot_take(witness);
	/* Each CPU charges more than it needs, and keeps the rest for later. */
	charge.bytes = charged(memcg) + (long)(2 * MIB);
	for (int i = 0; i < 3; i++) {
		assert_error_changes_nothing(before, peer_grow(p, too_much), -ENOMEM);
		assert_true(test_until(is_charged_at_most, &charge, DEADLINE_MS));
	}
	assert_int_equal(memcg_event(memcg, "oom_kill"), 0);
	assert_true(peer_runs(p));
	assert_true(peer_runs(other));
	peer_check(p, r->base, length, SEED);
	/* A client that is in no such group can still grow it. */
	region_grow(r, length);
	peer_check(other, r->base, length, SEED);
	assert_true(peer_all_zero(p, r->base + length, length));
}

/* How many bytes of page tables the group is charged for; -1 if the kernel does not say. */
static long page_tables(const char *memcg)
{
	long bytes = -1;
	char path[256], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.stat", memcg);
	file = fopen(path, "re");
	assert_non_null(file);
	while (bytes < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "pagetables %ld", &bytes);
	fclose(file);
	return bytes;
}

static bool has_page_tables(void *arg)
{
	const struct charge *c = arg;

	return page_tables(c->memcg) >= c->bytes;
}

CASE(page_tables_are_charged_to_the_client_whose_they_are)
{
	uint64_t length = 8 * SYSTEM_PAGE * SYSTEM_PAGE / sizeof(uint64_t);
	struct peer *grower, *client;
	struct charge charge;
	struct region *r;

	r = region_new(small, small->capacity < length ? length : small->capacity);
	grower = peer_join(r, "grower");
	client = peer_join(r, "client");
	cgroup_join(memcg_new(4 * length), grower->pid);
	charge.memcg = memcg_new(4 * length);
	cgroup_join(charge.memcg, client->pid);
	if (page_tables(charge.memcg) < 0)
		skip_because("this kernel does not say");
	/* The entries of this length fill eight page tables. */
	charge.bytes = page_tables(charge.memcg) + (long)(8 * SYSTEM_PAGE);
	assert_ok(peer_grow(grower, length));
	assert_true(test_until(has_page_tables, &charge, DEADLINE_MS));
}

/* A client is charged for its page tables, also for those that kernel threads fill for it. */
CASE(page_tables_of_a_late_client_are_charged_to_it)
{
	const uint64_t table = SYSTEM_PAGE * SYSTEM_PAGE / sizeof(uint64_t);
	const uint64_t tables = 64 * table < GIB ? 64 : GIB / 2 / table;
	bool helped = false;
	struct region *r;

	if (tables < 16)
		skip_because("its page tables hold too much");
	r = region_new(small, GIB);
	helpers_watch();
	region_grow(r, tables * table);
	/* Several times: a helper comes too late if its CPU is busy. */
	for (unsigned int i = 0; !helped && i < 20; i++) {
		struct charge charge = { .memcg = memcg_new(GIB) };
		struct peer *p = peer_new();

		if (page_tables(charge.memcg) < 0)
			skip_because("this kernel does not say");
		cgroup_join(charge.memcg, p->pid);
		charge.bytes = (long)(tables * SYSTEM_PAGE);
		helpers_came();
		assert_ok(peer_attach(p, r->name, "late", 0));
		helped = helpers_came();
		assert_true(test_until(has_page_tables, &charge, DEADLINE_MS));
		peer_end(p);
		cgroup_end(charge.memcg);
	}
	assert_true(helped);
}

/* A program that takes pages of the pool, and knows nothing of regions. */
struct taking {
	uint64_t page, pages;
};

static long take_pages(void *arg)
{
	const struct taking *t = arg;
	int size = __builtin_ctzll(t->page) << MAP_HUGE_SHIFT;

	return mmap(NULL, t->pages * t->page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE | size, -1,
		    0) == MAP_FAILED ?
		       -errno :
		       0;
}

CASES(a_pool_that_somebody_else_emptied_is_enomem, HUGETLB)
{
	struct taking taking = { .page = b->page };
	struct region *r = region_with(b, 0, b->step + b->page);
	struct peer *p = peer_join(r, "peer");
	struct client *witness = client_new(r, "witness");
	long taken_before;
	struct peer *late, *taker;
	struct snapshot *before;

	region_grow(r, b->step);
	peer_fill(p, r->base, b->step, SEED);
	taker = peer_new();
	taken_before = taken(b);
	taking.pages = (uint64_t)backing_free_pages(b);
	assert_ok(peer_call(taker, take_pages, &taking, sizeof(taking)));
	assert_int_equal(backing_free_pages(b), 0);
	before = snapshot_take(witness);
	assert_error_changes_nothing(before, do_grow(r->fd, r->id, b->page, NULL), -ENOMEM);
	/* A client can attach to what there is, and use it. */
	late = peer_join(r, "late");
	assert_int_equal(peer_present(late, r->base, b->step), b->step);
	peer_check(late, r->base, b->step, SEED);
	peer_check(p, r->base, b->step, SEED);
	peer_kill(taker);
	assert_true(taken_until_at_most(b, taken_before, DEADLINE_MS));
	region_grow(r, b->page);
	peer_check(late, r->base, b->step, SEED);
	assert_true(peer_all_zero(late, r->base + b->step, b->page));
}

struct rush {
	uint64_t page, pages, step;
	unsigned int rounds;
	unsigned int had; /* out: how often the pool had enough */
};

static long take_and_leave(void *arg)
{
	struct rush *r = arg;
	int size = __builtin_ctzll(r->page) << MAP_HUGE_SHIFT;

	for (unsigned int i = 0; i < r->rounds; i++) {
		void *got = mmap(NULL, r->pages * r->page, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size, -1, 0);

		if (got == MAP_FAILED && errno != ENOMEM)
			return -errno;
		if (got == MAP_FAILED)
			continue;
		r->had++;
		munmap(got, r->pages * r->page);
	}
	return 0;
}

static long grow_and_shrink(void *arg)
{
	struct rush *r = arg;

	for (unsigned int i = 0; i < r->rounds; i++) {
		long err = do_grow(self.fd, 0, r->pages * r->page, NULL);

		if (err && err != -ENOMEM)
			return err;
		r->had += !err;
		err = do_shrink(self.fd, 0, r->step, NULL);
		if (err)
			return err;
	}
	return 0;
}

CASES(a_pool_that_others_draw_on_at_once_is_never_overdrawn, HUGETLB_2M)
{
	/* The pool has enough for either of the two, but not for both at once. */
	struct rush grow = { b->page, 6, b->step, test_scale(200), 0 };
	struct rush take = { b->page, 4, 0, grow.rounds, 0 };
	struct taking rest = { .page = b->page };
	struct peer *grower, *taker, *writer, *holder;
	struct region *r = region_with(b, 0, b->step + 8 * b->page);

	load_prepare();
	writer = peer_join(r, "writer");
	grower = peer_join(r, "grower");
	taker = peer_new();
	holder = peer_new();
	region_grow(r, b->step);
	peer_fill(writer, r->base, b->step, SEED);
	rest.pages = (uint64_t)backing_free_pages(b) - 8;
	if (rest.pages)
		assert_ok(peer_call(holder, take_pages, &rest, sizeof(rest)));
	load_start(&writer, 1, r->base, b->step);
	peer_start(grower, grow_and_shrink, &grow, sizeof(grow));
	peer_start(taker, take_and_leave, &take, sizeof(take));
	assert_ok(peer_finish_within(grower, &grow, sizeof(grow), 4 * DEADLINE_MS));
	assert_ok(peer_finish_within(taker, &take, sizeof(take), 4 * DEADLINE_MS));
	print_message("# of %u times, %u grows and %u others had enough\n", grow.rounds, grow.had,
		      take.had);
	load_stop();
	peer_check(writer, r->base, b->step, SEED);
	assert_int_equal(region_size(r), b->step);
	assert_int_equal(backing_free_pages(b), 8);
	region_grow(r, 8 * b->page);
}
