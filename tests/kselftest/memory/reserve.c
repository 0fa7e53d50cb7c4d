/* SPDX-License-Identifier: GPL-2.0-only */
/* The reserve: memory that is kept ready, allocated and zeroed, for the next grow of a region. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/taken.h"

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

/* Skips unless the machine can give `needs` bytes. */
static struct region *region_with_reserve(const struct backing *b, uint64_t bytes, uint64_t needs)
{
	struct region *r = region_with(b, 0, needs);

	assert_ok(set_reserve(r, bytes));
	assert_true(reserve_becomes(r, bytes));
	return r;
}

/* Newer kernels let a client touch allocated huge pages of a pool beyond the size. */
static void reserve_is_out_of_reach(struct peer *p, const struct region *r)
{
	if (!backing_is_hugetlb(r->backing))
		assert_int_equal(peer_touch(p, r->base), SIGBUS);
}

/* As after every grow, the memory is zero, and in every client without a page fault. */
CASES(grow_within_the_reserve_is_a_grow_like_any, ALL_BACKINGS)
{
	struct region *r = region_with_reserve(b, b->step, 2 * b->step);
	struct peer *p = peer_join(r, "peer");
	struct peershm_grow g;

	reserve_is_out_of_reach(p, r);
	assert_ok(do_grow(r->fd, r->id, b->step, &g));
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_true(peer_all_zero(p, r->base, b->step));
	peer_has_all(p, r->base, b->step);
	assert_int_equal(peer_touch(p, r->base + b->capacity - b->page), SIGBUS);
}

CASES(the_reserve_is_filled_again, ALL_BACKINGS)
{
	struct region *r = region_with_reserve(b, b->step, 2 * b->step);

	region_grow(r, b->step);
	/* The capacity, two steps at least, has room for it. */
	assert_true(reserve_becomes(r, b->step));
	assert_int_equal(region_size(r), b->step);
}

CASES(a_grow_takes_the_reserve_and_allocates_the_rest, ALL_BACKINGS)
{
	struct region *r = region_with_reserve(b, b->step, 2 * b->step);
	struct peer *p = peer_join(r, "peer");

	region_grow(r, 2 * b->step);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	assert_true(peer_all_zero(p, r->base, 2 * b->step));
}

CASES(what_was_shrunk_away_comes_back_as_zeroes, ALL_BACKINGS)
{
	struct region *r = region_with_reserve(b, b->step, 2 * b->step);
	struct peer *p = peer_join(r, "peer");

	region_grow(r, b->step);
	peer_store(p, r->base, 0xbad);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_true(reserve_becomes(r, b->step));
	reserve_is_out_of_reach(p, r);
	region_grow(r, b->step);
	assert_int_equal(peer_load(p, r->base), 0);
}

CASES(the_capacity_bounds_the_reserve, ALL_BACKINGS)
{
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->step);
	region_grow(r, b->page);
	assert_ok(set_reserve(r, b->step));
	assert_true(reserve_becomes(r, b->step - b->page));
}

static void assert_memory_is_back(const struct backing *b, long before)
{
	assert_true(taken_until_at_most(b, before + (long)MIB, DEADLINE_MS));
}

CASES(a_reserve_of_nothing_gives_the_memory_back, ALL_BACKINGS)
{
	long before = taken(b);
	struct region *r = region_with_reserve(b, b->step, b->step);

	assert_ok(set_reserve(r, 0));
	assert_true(reserve_becomes(r, 0));
	assert_memory_is_back(b, before);
}

CASES(the_reserve_goes_with_the_region, ALL_BACKINGS)
{
	long before = taken(b);
	struct region *r = region_with_reserve(b, b->step, b->step);

	assert_ok(do_unlink(r->fd, r->name));
	assert_memory_is_back(b, before);
}

/* drop_caches has the kernel reclaim memory from everybody who has registered a shrinker. */
CASES(a_machine_short_of_memory_gets_the_reserve, ALL_BACKINGS)
{
	struct region *r = region_with_reserve(b, b->step, b->step);

	assert_ok(file_write("/proc/sys/vm/drop_caches", "2"));
	if (backing_is_hugetlb(b))
		assert_int_equal(reserved(r), b->step);
	else
		assert_true(reserve_becomes(r, 0));
	region_grow(r, b->step);
}

CASE(a_pool_without_pages_makes_no_reserve_and_no_harm)
{
	const struct backing *b = hugetlb_2m;
	long pages = backing_free_pages(b);
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, GIB);
	assert_ok(set_reserve(r, GIB));
	if ((uint64_t)pages * b->page >= GIB)
		skip_because("the pool has more than 1 GiB");
	/* Until the pool is empty. */
	assert_true(taken_until_at_least(b, 0, DEADLINE_MS));
	assert_true(reserve_becomes(r, (uint64_t)pages * b->page));
	region_grow(r, b->page);
	assert_int_equal(region_size(r), b->page);
	assert_error(do_grow(r->fd, r->id, GIB - b->page, NULL), -ENOMEM);
	assert_int_equal(region_size(r), b->page);
}

CASE(the_reserve_is_charged_to_the_group_of_who_asked)
{
	const struct backing *b = small;
	struct peershm_set_reserve s = { .size = sizeof(s), .reserve = 16 * MIB };
	const char *memcg = memcg_new(1 * GIB);
	char path[256];
	struct region *r;
	struct peer *p;

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

/* In a peer. A CPU refers to the group that it charged last, until it charges another one. */
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

CASE(a_reserve_that_is_given_up_holds_no_cgroup)
{
	struct peershm_set_reserve s = { .size = sizeof(s), .reserve = 16 * MIB };
	const char *memcg = memcg_new(1 * GIB);
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "peer"), *other = peer_join(r, "other");
	bool gone = false;
	long held;

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
	 * Pages in the lists of a CPU stay charged until they are needed elsewhere, and some get
	 * there late, while the peer is taken down.
	 */
	for (int i = 0; !gone && i < DEADLINE_MS / 1000; i++) {
		assert_ok(peer_call(other, charge_on_every_cpu, NULL, 0));
		assert_ok(file_write("/proc/sys/vm/drop_caches", "1"));
		gone = test_until(no_more_are_held, &held, 1000);
	}
	assert_true(gone);
}

CASE(reserves_that_make_no_sense_are_refused)
{
	const struct backing *b = small;
	struct peershm_set_reserve s = { .size = sizeof(s) };
	struct region *r = region_new(b, GIB);
	int fd;

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

CASE(a_region_may_be_made_with_a_reserve)
{
	struct peershm_create c = {
		.size = sizeof(c),
		.capacity = GIB,
		.mode = 0600,
		.reserve = 4 * MIB,
	};
	struct region r = { .backing = small };

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

/* Huge pages that are given back take page tables with them, of memory that stays. */
CASES(a_reserve_given_back_leaves_the_rest_mapped, ALL_BACKINGS)
{
	struct region *r = region_with_reserve(b, b->step, 2 * b->step);
	struct peer *peers[2];

	peers[0] = peer_join(r, "a");
	peers[1] = peer_join(r, "b");
	region_grow(r, b->step);
	assert_true(reserve_becomes(r, b->step));
	assert_ok(set_reserve(r, 0));
	assert_true(reserve_becomes(r, 0));
	/* The module maps it again in the background. */
	assert_true(test_until(all_mapped_again, r, DEADLINE_MS));
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(peer_present(peers[i], r->base, b->step), b->step);
}
