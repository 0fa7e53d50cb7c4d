/* SPDX-License-Identifier: GPL-2.0-only */
/* On which NUMA node a region lies: by the policy of a window, or of the task that grows. */
#include <linux/mempolicy.h>
#include <peershm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/place.h"

#define MAX_PAGES 64

struct policy {
	uint64_t address;
	uint64_t length;
	int mode;
	unsigned long nodes;
};

static long set_policy(void *arg)
{
	struct policy *p = arg;

	return syscall(SYS_mbind, p->address, p->length, p->mode, p->nodes ? &p->nodes : NULL,
		       8 * sizeof(p->nodes), 0);
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

/* The nodes of the first pages of a range: `step` is how far apart they are. */
static void places_of(struct peer *p, struct places *places, uint64_t address, uint64_t step,
		      uint64_t length)
{
	places->address = address;
	places->step = step;
	places->n = (unsigned int)(length / step);
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

/* The first `length` bytes of the region are on this node. */
static void all_on(struct peer *p, const struct region *r, uint64_t length, int node)
{
	struct places places;

	places_of(p, &places, r->base, r->backing->page, length);
	assert_int_equal(count_on(&places, node), places.n);
}

/* A region, and a client of it that has set this policy for its window. */
static struct region *bound_region(const struct backing *b, uint64_t needs, int mode,
				   unsigned long nodes, struct peer **client)
{
	struct region *r = region_with(b, 0, needs);
	struct policy policy = { r->base, b->capacity, mode, nodes };

	*client = peer_join(r, "peer");
	assert_ok(peer_call(*client, set_policy, &policy, sizeof(policy)));
	return r;
}

CASES(grow_honours_what_one_client_bound, TMPFS)
{
	int node[2];

	two_nodes(node);
	for (unsigned int i = 0; i < 2; i++) {
		struct peer *p;
		struct region *r = bound_region(b, b->step, MPOL_BIND, 1UL << node[i], &p);

		region_grow(r, b->step);
		all_on(p, r, b->step, node[i]);
	}
}

CASES(grow_interleaves, TMPFS)
{
	struct places places;
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	r = bound_region(b, 2 * b->step, MPOL_INTERLEAVE, 1UL << node[0] | 1UL << node[1], &p);
	region_grow(r, 2 * b->step);
	places_of(p, &places, r->base, b->page, 2 * b->step);
	assert_int_equal(count_on(&places, node[0]) + count_on(&places, node[1]), places.n);
	/* Not so with huge pages: the kernel may count in small pages when it takes turns. */
	if (b->id == PEERSHM_SMALL)
		assert_in_range(count_on(&places, node[0]), places.n / 4, 3 * places.n / 4);
}

CASES(grow_prefers, TMPFS)
{
	struct region *r;
	struct peer *p;
	int node[2];

	two_nodes(node);
	r = bound_region(b, b->step, MPOL_PREFERRED, 1UL << node[1], &p);
	region_grow(r, b->step);
	all_on(p, r, b->step, node[1]);
}

static bool reserve_is_ready(void *arg)
{
	const struct region *r = arg;
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.reserved == info.reserve;
}

CASES(the_reserve_honours_it_too, TMPFS)
{
	int node[2];

	two_nodes(node);
	for (unsigned int i = 0; i < 2; i++) {
		struct peer *p;
		struct region *r = bound_region(b, 2 * b->step, MPOL_BIND, 1UL << node[i], &p);

		assert_ok(do_set_reserve(r->fd, r->id, b->step));
		assert_true(test_until(reserve_is_ready, r, DEADLINE_MS));
		region_grow(r, b->step);
		all_on(p, r, b->step, node[i]);
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
	long err = syscall(SYS_set_mempolicy, MPOL_BIND, &there->nodes, 8 * sizeof(there->nodes));

	if (!err)
		err = grow_self(&there->length);
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
	return err;
}

/* Grow by `length` under a policy for each of two nodes, and look at n places of the memory. */
static void grow_under_policies(const struct backing *b, uint64_t length, unsigned int n)
{
	struct grow_there there = { .length = length };
	struct places places;
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
		places_of(p, &places, r->base, length / n, length);
		assert_int_equal(count_on(&places, node[i]), n);
		assert_ok(do_unlink(r->fd, r->name));
	}
}

CASES(grow_honours_the_policy_of_who_grows, ALL_BACKINGS)
{
	grow_under_policies(b, b->page, 1);
}

/* No kernel thread helps with it: those do not have the policy. */
CASES(a_large_grow_honours_it_on_every_page, TMPFS)
{
	grow_under_policies(b, MAX_PAGES * 2 * MIB, MAX_PAGES);
}

struct bound_grow {
	char region[PEERSHM_NAME_SIZE];
	uint64_t length;
	unsigned long nodes;
};

/* In a peer: a program that sets the policy of its window, and none of its own. */
static long bind_and_grow(void *arg)
{
	struct bound_grow *bound = arg;
	struct policy policy = { .mode = MPOL_BIND, .nodes = bound->nodes };
	int mode = -1;
	struct peershm *shm;
	long err;

	err = peershm_open(&shm, bound->region, "bound", 0, NULL);
	if (err)
		return err;
	policy.address = (uintptr_t)peershm_base(shm);
	policy.length = peershm_capacity(shm);
	if (set_policy(&policy))
		return -errno;
	err = peershm_grow(shm, bound->length, NULL);
	/* The policy of the task is what it was. */
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) || mode != MPOL_DEFAULT)
		return -EPROTO;
	return err;
}

CASES(the_library_grows_where_the_window_is_bound, ALL_BACKINGS)
{
	struct bound_grow bound = { .length = b->page };
	int node[2];

	two_nodes(node);
	for (unsigned int i = 0; i < 2; i++) {
		struct region *r = region_with(b, 0, b->page);
		struct peer *p = peer_new();

		put_name(bound.region, r->name);
		bound.nodes = 1UL << node[i];
		if (peer_call(p, bind_and_grow, &bound, sizeof(bound)) == -ENOMEM)
			skip_because("node %d has no free page of this backing", node[i]);
		assert_int_equal(region_size(r), b->page);
		all_on(p, r, b->page, node[i]);
		assert_ok(do_unlink(r->fd, r->name));
	}
}
