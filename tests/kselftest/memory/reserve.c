/* SPDX-License-Identifier: GPL-2.0-only */
/* The reserve: memory that lies ready beyond the size of a region. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"

static int set_reserve(const struct region *r, uint64_t bytes)
{
	return do_set_reserve(r->fd, r->id, bytes);
}

static uint64_t reserved(const struct region *r)
{
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.reserved;
}

struct wish {
	const struct region *region;
	uint64_t bytes;
};

static bool lies_ready(void *arg)
{
	const struct wish *wish = arg;

	return reserved(wish->region) == wish->bytes;
}

static bool reserve_becomes(const struct region *r, uint64_t bytes)
{
	struct wish wish = { r, bytes };

	return test_until(lies_ready, &wish, DEADLINE_MS);
}

static struct region *region_with_reserve(const struct backing *b, uint64_t bytes)
{
	struct region *r = region_new(b, b->capacity);

	assert_ok(set_reserve(r, bytes));
	assert_true(reserve_becomes(r, bytes));
	return r;
}

/* Newer hugetlbfs finds pages that are there, whatever the size is. */
static void reserve_is_out_of_reach(struct peer *p, const struct region *r)
{
	if (!backing_is_hugetlb(r->backing))
		assert_int_equal(peer_touch(p, r->base), SIGBUS);
}

/* As in every other grow: all there, all zero, in every peer, without a fault. */
static void grow_within_the_reserve_is_a_grow_like_any(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_grow g;
	struct faults faults;
	struct region *r;
	struct peer *p;

	backing_needs(b, 2 * b->step);
	r = region_with_reserve(b, b->step);
	p = peer_join(r, "peer");
	reserve_is_out_of_reach(p, r);
	assert_ok(do_grow(r->fd, r->id, b->step, &g));
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_true(peer_all_zero(p, r->base, b->step));
	faults = peer_write(p, r->base, b->step);
	assert_int_equal(faults.minor + faults.major, 0);
	assert_int_equal(peer_touch(p, r->base + b->capacity - b->page), SIGBUS);
}

static void the_reserve_is_filled_again(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_with_reserve(b, b->step);
	region_grow(r, b->step);
	/* As far as the capacity goes, which is two steps at least. */
	assert_true(reserve_becomes(r, b->step));
	assert_int_equal(region_size(r), b->step);
}

static void a_grow_takes_the_reserve_and_allocates_the_rest(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, 2 * b->step);
	r = region_with_reserve(b, b->step);
	p = peer_join(r, "peer");
	region_grow(r, 2 * b->step);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	assert_true(peer_all_zero(p, r->base, 2 * b->step));
}

static void what_was_shrunk_away_comes_back_as_zeroes(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, 2 * b->step);
	r = region_with_reserve(b, b->step);
	p = peer_join(r, "peer");
	region_grow(r, b->step);
	peer_store(p, r->base, 0xbad);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_true(reserve_becomes(r, b->step));
	reserve_is_out_of_reach(p, r);
	region_grow(r, b->step);
	assert_int_equal(peer_load(p, r->base), 0);
}

static void the_capacity_bounds_the_reserve(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->step);
	region_grow(r, b->page);
	assert_ok(set_reserve(r, b->step));
	assert_true(reserve_becomes(r, b->step - b->page));
}

struct pool {
	const struct backing *b;
	long pages;
};

static bool pages_are_free(void *arg)
{
	const struct pool *pool = arg;

	return backing_free_pages(pool->b) == pool->pages;
}

static void assert_memory_is_back(const struct backing *b, long pages, long shmem)
{
	struct pool pool = { b, pages };

	if (backing_is_hugetlb(b))
		assert_true(test_until(pages_are_free, &pool, DEADLINE_MS));
	else
		assert_true(meminfo_until_at_most("Shmem:", shmem + (long)MIB, DEADLINE_MS));
}

static void a_reserve_of_nothing_gives_the_memory_back(void **state)
{
	const struct backing *b = param_of(state)->backing;
	long pages = backing_free_pages(b);
	long shmem = meminfo("Shmem:");
	struct region *r;

	backing_needs(b, b->step);
	r = region_with_reserve(b, b->step);
	assert_ok(set_reserve(r, 0));
	assert_true(reserve_becomes(r, 0));
	assert_memory_is_back(b, pages, shmem);
}

static void the_reserve_goes_with_the_region(void **state)
{
	const struct backing *b = param_of(state)->backing;
	long pages = backing_free_pages(b);
	long shmem = meminfo("Shmem:");
	struct region *r;

	backing_needs(b, b->step);
	r = region_with_reserve(b, b->step);
	assert_ok(do_unlink(r->fd, r->name));
	assert_memory_is_back(b, pages, shmem);
}

/* drop_caches runs every shrinker there is. */
static void a_machine_short_of_memory_gets_the_reserve(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;

	backing_needs(b, b->step);
	r = region_with_reserve(b, b->step);
	assert_ok(file_write("/proc/sys/vm/drop_caches", "2"));
	if (backing_is_hugetlb(b))
		assert_int_equal(reserved(r), b->step);
	else
		assert_true(reserve_becomes(r, 0));
	region_grow(r, b->step);
}

static void a_pool_without_pages_makes_no_reserve_and_no_harm(void **state)
{
	const struct backing *b = &backings[PEERSHM_HUGETLB_2M];
	long pages = backing_free_pages(b);
	struct pool drained = { b, 0 };
	struct region *r;

	(void)state;
	backing_needs(b, b->step);
	r = region_new(b, GIB);
	assert_ok(set_reserve(r, GIB));
	if ((uint64_t)pages * b->page >= GIB)
		skip_because("the pool has more than 1 GiB");
	assert_true(test_until(pages_are_free, &drained, DEADLINE_MS));
	assert_true(reserve_becomes(r, (uint64_t)pages * b->page));
	region_grow(r, b->page);
	assert_int_equal(region_size(r), b->page);
	assert_error(do_grow(r->fd, r->id, GIB - b->page, NULL), -ENOMEM);
	assert_int_equal(region_size(r), b->page);
}

static void the_reserve_is_charged_to_the_group_of_who_asked(void **state)
{
	const struct backing *b = &backings[PEERSHM_SMALL];
	struct peershm_set_reserve s = { .size = sizeof(s), .reserve = 16 * MIB };
	const char *memcg = memcg_new(1 * GIB);
	char path[256];
	struct region *r;
	struct peer *p;

	(void)state;
	if (kernel_before(5, 14))
		skip_because("before Linux 5.14 a kernel thread's memory cannot be charged");
	r = region_new(b, GIB);
	p = peer_join(r, "peer");
	cgroup_join(memcg, p->pid);
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SET_RESERVE, &s, sizeof(s)));
	assert_true(reserve_becomes(r, 16 * MIB));
	snprintf(path, sizeof(path), "%s/memory.current", memcg);
	assert_true(file_number(path) >= (long)(16 * MIB));
}

static bool no_more_are_held(void *arg)
{
	return cgroups_held() <= *(long *)arg;
}

/* A CPU keeps a group that it charges, also with nothing in store for it, until the next one. */
static long charge_on_every_cpu(void *arg)
{
	(void)arg;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;
		void *memory;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue; /* there is no such CPU */
		memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (memory == MAP_FAILED || munmap(memory, MIB))
			return -errno;
	}
	return 0;
}

static void a_reserve_that_is_given_up_holds_no_cgroup(void **state)
{
	struct peershm_set_reserve s = { .size = sizeof(s), .reserve = 16 * MIB };
	const char *memcg = memcg_new(1 * GIB);
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct peer *p = peer_join(r, "peer"), *other = peer_join(r, "other");
	bool gone = false;
	long held;

	(void)state;
	cgroup_join(memcg, p->pid);
	cgroup_join(memcg_new(1 * GIB), other->pid);
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SET_RESERVE, &s, sizeof(s)));
	assert_true(reserve_becomes(r, 16 * MIB));
	s.reserve = 0;
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SET_RESERVE, &s, sizeof(s)));
	assert_true(reserve_becomes(r, 0));
	peer_kill(p);
	held = cgroups_held();
	cgroup_end(memcg);
	/*
	 * What lies in lists of a CPU is charged until that is needed elsewhere; and some may come
	 * there late, as the peer is taken down.
	 */
	for (int i = 0; !gone && i < DEADLINE_MS / 1000; i++) {
		assert_ok(peer_call(other, charge_on_every_cpu, NULL, 0));
		assert_ok(file_write("/proc/sys/vm/drop_caches", "1"));
		gone = test_until(no_more_are_held, &held, 1000);
	}
	assert_true(gone);
}

static void reserves_that_make_no_sense_are_refused(void **state)
{
	const struct backing *b = &backings[PEERSHM_SMALL];
	struct peershm_set_reserve s = { .size = sizeof(s) };
	struct region *r = region_new(b, GIB);
	int fd;

	(void)state;
	assert_error(set_reserve(r, b->page + 1), -EINVAL);
	assert_error(set_reserve(r, GIB + b->page), -ENOSPC);
	s.region = r->id;
	s.flags = 1;
	assert_error(xioctl(r->fd, PEERSHM_IOC_SET_RESERVE, &s), -EINVAL);
	s.flags = 0;
	s.region = UINT64_MAX;
	assert_error(xioctl(r->fd, PEERSHM_IOC_SET_RESERVE, &s), -ENOENT);
	s.region = 0;
	assert_error(xioctl(r->fd, PEERSHM_IOC_SET_RESERVE, &s), -ENOTCONN);
	fd = device_open(O_RDONLY);
	assert_true(fd >= 0);
	s.region = r->id;
	assert_error(xioctl(fd, PEERSHM_IOC_SET_RESERVE, &s), -EACCES);
	close(fd);
	assert_int_equal(reserved(r), 0);
}

static void a_region_may_be_made_with_a_reserve(void **state)
{
	struct peershm_create c = {
		.size = sizeof(c),
		.capacity = GIB,
		.mode = 0600,
		.reserve = 4 * MIB,
	};
	struct region r = { .backing = &backings[PEERSHM_SMALL] };

	(void)state;
	r.fd = device_open(O_RDWR);
	assert_true(r.fd >= 0);
	region_name(c.name);
	c.reserve = 4 * MIB + 1;
	assert_error(xioctl(r.fd, PEERSHM_IOC_CREATE, &c), -EINVAL);
	c.reserve = 2 * GIB;
	assert_error(xioctl(r.fd, PEERSHM_IOC_CREATE, &c), -ENOSPC);
	c.reserve = 4 * MIB;
	assert_ok(xioctl(r.fd, PEERSHM_IOC_CREATE, &c));
	r.id = c.region;
	assert_true(reserve_becomes(&r, 4 * MIB));
	assert_ok(do_unlink(r.fd, c.name));
	close(r.fd);
}

static bool all_mapped_again(void *arg)
{
	const struct region *r = arg;
	struct peershm_client_info infos[2];

	return do_clients(r->fd, r->id, infos, 2) == 2 && infos[0].mapped == r->backing->step &&
	       infos[1].mapped == r->backing->step;
}

/* Huge pages that are taken away take page tables of what stays with them. */
static void a_reserve_given_back_leaves_the_rest_mapped(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *peers[2];
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_with_reserve(b, b->step);
	peers[0] = peer_join(r, "a");
	peers[1] = peer_join(r, "b");
	region_grow(r, b->step);
	assert_true(reserve_becomes(r, b->step));
	assert_ok(set_reserve(r, 0));
	assert_true(reserve_becomes(r, 0));
	/* In the background. */
	assert_true(test_until(all_mapped_again, r, DEADLINE_MS));
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(peer_present(peers[i], r->base, b->step), b->step);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(grow_within_the_reserve_is_a_grow_like_any),
		TEST_BACKINGS(the_reserve_is_filled_again),
		TEST_BACKINGS(a_grow_takes_the_reserve_and_allocates_the_rest),
		TEST_BACKINGS(what_was_shrunk_away_comes_back_as_zeroes),
		TEST_BACKINGS(the_capacity_bounds_the_reserve),
		TEST_BACKINGS(a_reserve_of_nothing_gives_the_memory_back),
		TEST_BACKINGS(the_reserve_goes_with_the_region),
		TEST_BACKINGS(a_machine_short_of_memory_gets_the_reserve),
		TEST(a_pool_without_pages_makes_no_reserve_and_no_harm),
		TEST(the_reserve_is_charged_to_the_group_of_who_asked),
		TEST(a_reserve_that_is_given_up_holds_no_cgroup),
		TEST(reserves_that_make_no_sense_are_refused),
		TEST(a_region_may_be_made_with_a_reserve),
		TEST_BACKINGS(a_reserve_given_back_leaves_the_rest_mapped),
	};

	return test_run(tests);
}
