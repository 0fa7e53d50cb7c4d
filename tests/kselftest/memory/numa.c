/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the memory of a region lies, on a machine of several nodes. */
#include <linux/mempolicy.h>
#include <peershm.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"

#define MAX_PAGES 64

static unsigned long nodes_mask(void)
{
	unsigned long mask = 0;

	for (unsigned int node = 0; node < 8 * sizeof(mask); node++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u", node);
		if (access(path, F_OK) == 0)
			mask |= 1UL << node;
	}
	return mask;
}

/* The two nodes that the tests use; skips if there are not as many. */
static void two_nodes(int node[2])
{
	unsigned long mask = nodes_mask();

	if (__builtin_popcountl(mask) < 2)
		skip_because("this machine has one node");
	node[0] = __builtin_ctzl(mask);
	node[1] = __builtin_ctzl(mask & ~(1UL << node[0]));
}

struct policy {
	uint64_t address;
	uint64_t length;
	int mode;
	unsigned long nodes;
};

static long set_policy(void *arg)
{
	struct policy *p = arg;
	long got = syscall(SYS_mbind, p->address, p->length, p->mode, p->nodes ? &p->nodes : NULL,
			   8 * sizeof(p->nodes), 0);

	return got;
}

struct places {
	uint64_t address;
	uint64_t step;
	unsigned int n;
	int node[MAX_PAGES];
};

static long look_up_nodes(void *arg)
{
	struct places *places = arg;
	void *pages[MAX_PAGES];

	for (unsigned int i = 0; i < places->n; i++)
		pages[i] = at_address(places->address + i * places->step);
	return syscall(SYS_move_pages, 0, places->n, pages, NULL, places->node, 0);
}

static void places_of(struct peer *p, struct places *places, uint64_t address,
		      const struct backing *b, uint64_t length)
{
	places->address = address;
	places->step = b->page;
	places->n = (unsigned int)(length / b->page);
	if (places->n > MAX_PAGES)
		places->n = MAX_PAGES;
	assert_ok(peer_call(p, look_up_nodes, places, sizeof(*places)));
}

static unsigned int count_on(const struct places *places, int node)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < places->n; i++)
		n += places->node[i] == node;
	return n;
}

static void bind_window(struct peer *p, const struct region *r, int mode, unsigned long nodes)
{
	struct policy policy = { r->base, r->backing->capacity, mode, nodes };

	assert_ok(peer_call(p, set_policy, &policy, sizeof(policy)));
}

static void grow_honours_what_one_client_bound(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct places places;
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	for (unsigned int i = 0; i < 2; i++) {
		backing_needs(b, b->step);
		r = region_new(b, b->capacity);
		p = peer_join(r, "peer");
		bind_window(p, r, MPOL_BIND, 1UL << node[i]);
		region_grow(r, b->step);
		places_of(p, &places, r->base, b, b->step);
		assert_int_equal(count_on(&places, node[i]), places.n);
	}
}

static void grow_interleaves(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct places places;
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "peer");
	bind_window(p, r, MPOL_INTERLEAVE, 1UL << node[0] | 1UL << node[1]);
	region_grow(r, 2 * b->step);
	places_of(p, &places, r->base, b, 2 * b->step);
	/* Huge pages may lie pairwise where the kernel counts in small ones. */
	assert_int_equal(count_on(&places, node[0]) + count_on(&places, node[1]), places.n);
	if (b->id == PEERSHM_SMALL) {
		assert_in_range(count_on(&places, node[0]), places.n / 4, 3 * places.n / 4);
	}
}

static void grow_prefers(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct places places;
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "peer");
	bind_window(p, r, MPOL_PREFERRED, 1UL << node[1]);
	region_grow(r, b->step);
	places_of(p, &places, r->base, b, b->step);
	assert_int_equal(count_on(&places, node[1]), places.n);
}

static bool reserve_is_ready(void *arg)
{
	const struct region *r = arg;
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.reserved == info.reserve;
}

static void the_reserve_honours_it_too(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_set_reserve reserve = { .size = sizeof(reserve), .reserve = b->step };
	struct places places;
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	backing_needs(b, 2 * b->step);
	for (unsigned int i = 0; i < 2; i++) {
		r = region_new(b, b->capacity);
		p = peer_join(r, "peer");
		bind_window(p, r, MPOL_BIND, 1UL << node[i]);
		reserve.region = r->id;
		assert_ok(xioctl(r->fd, PEERSHM_IOC_SET_RESERVE, &reserve));
		assert_true(test_until(reserve_is_ready, r, DEADLINE_MS));
		region_grow(r, b->step);
		places_of(p, &places, r->base, b, b->step);
		assert_int_equal(count_on(&places, node[i]), places.n);
		assert_ok(do_unlink(r->fd, r->name));
	}
}

struct grow_there {
	uint64_t length;
	unsigned long nodes;
};

static long grow_under_a_policy(void *arg)
{
	struct grow_there *there = arg;
	struct peershm_grow grow = { .size = sizeof(grow), .length = there->length };
	long err = syscall(SYS_set_mempolicy, MPOL_BIND, &there->nodes, 8 * sizeof(there->nodes));

	if (!err)
		err = xioctl(self.fd, PEERSHM_IOC_GROW, &grow);
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	return err;
}

/* By so much, under a policy for each of two nodes; looked at in so many places. */
static void grow_under_policies(const struct backing *b, uint64_t length, unsigned int n)
{
	struct grow_there there = { .length = length };
	struct places places = { .step = length / n, .n = n };
	int node[2];

	two_nodes(node);
	backing_needs(b, length);
	for (unsigned int i = 0; i < 2; i++) {
		struct region *r = region_new(b, b->capacity);
		struct peer *p = peer_join(r, "peer");
		long err;

		there.nodes = 1UL << node[i];
		err = peer_call(p, grow_under_a_policy, &there, sizeof(there));
		if (err == -ENOMEM && backing_is_hugetlb(b))
			skip_because("node %d has no free page of this backing", node[i]);
		assert_ok(err);
		places.address = r->base;
		assert_ok(peer_call(p, look_up_nodes, &places, sizeof(places)));
		assert_int_equal(count_on(&places, node[i]), n);
		assert_ok(do_unlink(r->fd, r->name));
	}
}

static void grow_honours_the_policy_of_who_grows(void **state)
{
	const struct backing *b = param_of(state)->backing;

	grow_under_policies(b, b->page, 1);
}

/* It is not left to others, who have no policy. */
static void a_large_grow_honours_it_on_every_page(void **state)
{
	grow_under_policies(param_of(state)->backing, MAX_PAGES * 2 * MIB, MAX_PAGES);
}

struct bound_grow {
	char region[PEERSHM_NAME_SIZE];
	uint64_t length;
	unsigned long nodes;
};

/* A program that binds its window and knows of no more. */
static long bind_and_grow(void *arg)
{
	struct bound_grow *bound = arg;
	struct policy policy = { .mode = MPOL_BIND, .nodes = bound->nodes };
	struct peershm *shm;
	int mode = -1;
	long err;

	err = peershm_open(&shm, bound->region, "bound", 0, NULL);
	if (err)
		return err;
	policy.address = (uintptr_t)peershm_base(shm);
	policy.length = peershm_capacity(shm);
	if (set_policy(&policy))
		return -errno;
	err = peershm_grow(shm, bound->length, NULL);
	/* Its own policy is what it was. */
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) || mode != MPOL_DEFAULT)
		return -EPROTO;
	return err;
}

static void the_library_grows_where_the_window_is_bound(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct bound_grow bound = { .length = b->page };
	struct places places;
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	backing_needs(b, b->page);
	for (unsigned int i = 0; i < 2; i++) {
		r = region_new(b, b->capacity);
		p = peer_new();
		put_name(bound.region, r->name);
		bound.nodes = 1UL << node[i];
		if (peer_call(p, bind_and_grow, &bound, sizeof(bound)) == -ENOMEM)
			skip_because("node %d has no free page of this backing", node[i]);
		assert_int_equal(region_size(r), b->page);
		places_of(p, &places, r->base, b, b->page);
		assert_int_equal(count_on(&places, node[i]), 1);
		assert_ok(do_unlink(r->fd, r->name));
	}
}

/*
 * tmpfs keeps a policy with the memory, whoever set it. hugetlbfs follows the task
 * that grows.
 */
#define TEST_TMPFS(f) \
	TEST_CASE(#f "_small", f, PEERSHM_SMALL, 0), TEST_CASE(#f "_thp", f, PEERSHM_THP, 0)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_TMPFS(grow_honours_what_one_client_bound),
		TEST_TMPFS(grow_interleaves),
		TEST_TMPFS(grow_prefers),
		TEST_TMPFS(the_reserve_honours_it_too),
		TEST_BACKINGS(grow_honours_the_policy_of_who_grows),
		TEST_TMPFS(a_large_grow_honours_it_on_every_page),
		TEST_BACKINGS(the_library_grows_where_the_window_is_bound),
	};

	return test_run(tests);
}
