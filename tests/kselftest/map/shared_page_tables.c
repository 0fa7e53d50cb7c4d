/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients share the page tables of huge pages of a pool (hugetlbfs): what one client maps, all
 * have. So a move, a shrink, or a grow that failed takes page tables away from all of them, and
 * the memory that stays has to be mapped again.
 */
#include "support/harness.h"

#define CLIENTS 3

/* Every client has the first step of memory: CLIENTS says so, and so do its page tables. */
static void all_have_one_step(const struct region *r, struct peer **peers)
{
	const struct backing *b = r->backing;
	struct peershm_client_info infos[CLIENTS];

	assert_int_equal(do_clients(r->fd, r->id, infos, CLIENTS), CLIENTS);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		assert_int_equal(infos[i].mapped, b->step);
		peer_has_all(peers[i], r->base, b->step);
	}
}

/* A shrink takes whole page tables away. */
CASES(what_a_shrink_leaves_stays_mapped, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, 2 * b->step);
	struct peer *peers[CLIENTS];

	peers_join(r, peers, CLIENTS);
	region_grow(r, 2 * b->step);
	assert_ok(do_shrink(r->fd, r->id, b->step, NULL));
	all_have_one_step(r, peers);
}

/* A grow that fails frees the huge pages that it had, and shared page tables with them. */
CASES(what_a_failed_grow_leaves_stays_mapped, ALL_BACKINGS)
{
	struct peer *peers[CLIENTS];
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_new(b, 512 * GIB);
	peers_join(r, peers, CLIENTS);
	region_grow(r, b->step);
	/* More than there is: some of it is allocated before that is found out. */
	assert_true(do_grow(r->fd, r->id, 256 * GIB, NULL) < 0);
	assert_int_equal(region_size(r), b->step);
	all_have_one_step(r, peers);
}

/* A region of this size, in the page tables of two clients; `mover` is one of them. */
static struct region *mapped_by_two(const struct backing *b, uint64_t length, struct peer **mover)
{
	struct region *r = region_with(b, 0, length);

	*mover = peer_join(r, "mover");
	peer_join(r, "other");
	region_grow(r, length);
	return r;
}

/*
 * A window that has been moved shares page tables at its new place: one access there, and all that
 * another client has mapped is present.
 */
CASE(a_moved_window_shares_page_tables_again)
{
	const struct backing *b = hugetlb_2m;
	const uint64_t length = 2 * b->step;
	struct region *r;
	struct peer *p;

	if (b->page != thp->page)
		skip_because("a huge page of the pool is a part of a page table here");
	if (machine_is_arm64() && kernel_before(6, 3))
		skip_because("windows share no page tables on arm64 before Linux 6.3");
	r = mapped_by_two(b, length, &p);
	assert_ok(peer_move(p, r->base, b->capacity, ELSEWHERE));
	/* A page table of its own would have come along. */
	assert_int_equal(peer_present(p, ELSEWHERE, length), 0);
	peer_load(p, ELSEWHERE);
	assert_int_equal(peer_present(p, ELSEWHERE, length), length);
	assert_ok(peer_move(p, ELSEWHERE, b->capacity, r->base));
	assert_int_equal(peer_present(p, r->base, length), 0);
	peer_load(p, r->base);
	assert_int_equal(peer_present(p, r->base, length), length);
}

/*
 * On arm64 before Linux 6.3, looking at a shared page table that another client is taking away can
 * crash the kernel. There each client has page tables of its own.
 */
CASE(windows_share_no_page_tables_where_a_look_at_one_that_goes_kills)
{
	const struct backing *b = hugetlb_2m;
	const uint64_t length = 2 * b->step;
	struct peershm_peer_map map;
	struct region *r;
	struct peer *p;

	if (!machine_is_arm64() || !kernel_before(6, 3))
		skip_because(
			"windows share page tables from Linux 6.3 on, and where it is not arm64");
	r = mapped_by_two(b, length, &p);
	for (int i = 0; i < 2; i++) {
		/* A page table of its own is moved. */
		assert_ok(peer_move(p, r->base, b->capacity, ELSEWHERE));
		assert_int_equal(peer_present(p, ELSEWHERE, length), length);
		/* After it is gone, only the page that is touched comes back. */
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
		region_grow(r, length);
		assert_int_equal(peer_present(p, ELSEWHERE, length), 0);
		peer_load(p, ELSEWHERE);
		assert_int_equal(peer_present(p, ELSEWHERE, length), b->page);
		assert_ok(peer_move(p, ELSEWHERE, b->capacity, r->base));
		assert_int_equal(peer_present(p, r->base, length), b->page);
		assert_ok(do_peer_map(r->fd, r->id, &map));
		assert_int_equal(peer_present(p, r->base, length), length);
	}
}
