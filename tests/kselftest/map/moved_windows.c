/* SPDX-License-Identifier: GPL-2.0-only */
/* Windows, and parts of them, that their process moves with mremap(). */
#include <signal.h>
#include <sys/mman.h>

#include "support/harness.h"

/* How soon an entry of the registry has to be gone that nobody takes out. */
#define SOON_MS 1000

/* A grow waits for peers as long as it takes. */
#define PATIENT_MS 10000

/* (The kernel moves no mapping of pages of 1 GiB, here and below.) */
CASES(a_piece_moved_away_is_not_populated_and_keeps_the_client, UP_TO_2M)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "mover"), *other = peer_join(r, "other");

	assert_ok(peer_move(p, r->base, b->page, ELSEWHERE));
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	/* The moved piece shows the same memory, until a shrink takes that away. */
	peer_store(other, r->base, 4711);
	assert_int_equal(peer_load(p, ELSEWHERE), 4711);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(peer_touch(p, ELSEWHERE), SIGBUS);
	/* The moved piece is the last one: with it the client leaves. */
	assert_ok(peer_munmap(p, r->base, b->capacity));
	assert_int_equal(region_nr_clients(r), 2);
	assert_ok(peer_munmap(p, ELSEWHERE, b->page));
	assert_true(region_until_clients(r, 1, SOON_MS));
}

/* It shows other memory there than the region has at that place. */
CASES(a_piece_moved_within_the_window_is_not_the_window, UP_TO_2M)
{
	struct region *r = region_with(b, b->step, 2 * b->step);
	struct peer *p = peer_join(r, "mover");
	struct peershm_client_info info;

	peer_store(p, r->base, 4711);
	assert_ok(peer_move(p, r->base, b->page, r->base + b->step));
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(do_clients(r->fd, r->id, &info, 1), 1);
	assert_int_equal(info.mapped, b->step);
	assert_int_equal(peer_load(p, r->base + b->step), 4711);
	/* So it stays when the client unmaps its window, which it does to leave. */
	assert_ok(peer_detach(p));
	assert_int_equal(peer_load(p, r->base + b->step), 4711);
}

static void move_there_and_back(const struct backing *b, uint64_t there, bool alone)
{
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "mover");
	struct peer *other = alone ? NULL : peer_join(r, "other");
	struct peershm_peer_map map;

	region_grow(r, b->step);
	peer_store(p, r->base, 4711);
	for (uint64_t i = 4711; i < 4713; i++) {
		assert_ok(peer_move(p, r->base, b->capacity, there));
		assert_int_equal(peer_load(p, there), i);
		assert_int_equal(peer_touch(p, r->base), SIGSEGV);
		peer_store(p, there, i + 1);
		assert_ok(peer_move(p, there, b->capacity, r->base));
		assert_int_equal(peer_load(p, r->base), i + 1);
	}
	if (!other)
		other = peer_join(r, "other");
	/* The mover is one of the peers as before, and holds nobody up. */
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_MAPPED);
	assert_int_equal(peer_present(other, r->base, 2 * b->step), 2 * b->step);
	/* The kernel does not move shared page tables: what they map has to be mapped again. */
	assert_ok(do_peer_map(r->fd, r->id, &map));
	assert_int_equal(map.report.mapped, 2);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	peer_store(other, r->base + b->step, 815);
	assert_ok(peer_move(p, r->base, b->capacity, there));
	assert_int_equal(peer_load(p, there + b->step), 815);
	assert_ok(do_shrink(r->fd, r->id, b->step, NULL));
	assert_int_equal(peer_touch(p, there + b->step), SIGBUS);
	assert_int_equal(peer_load(other, r->base), 4713);
	assert_ok(peer_munmap(p, there, b->capacity));
	assert_true(region_until_clients(r, 1, SOON_MS));
}

/*
 * At a new place that is aligned to 1 GiB the kernel may look for page tables to share, unless
 * what is moved is shared already. So one place is aligned and one is not, and the mover is alone
 * at first every other time.
 */
CASES(a_window_is_moved_and_comes_back, UP_TO_2M)
{
	const uint64_t places[] = { ELSEWHERE, ELSEWHERE + b->page };

	backing_needs(b, 2 * b->step);
	for (int i = 0; i < 4; i++) {
		move_there_and_back(b, places[i / 2], i % 2);
		peers_end();
		regions_end();
	}
}

static long grow_window(void *arg)
{
	const uint64_t *range = arg;
	void *to = mremap(at_address(range[0]), range[1], 2 * range[1], MREMAP_MAYMOVE);

	return to == MAP_FAILED ? -errno : 0;
}

CASES(a_window_cannot_be_made_longer, ALL_BACKINGS)
{
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "p");
	uint64_t range[2] = { r->base, b->capacity };

	long err = peer_call(p, grow_window, range, sizeof(range));

	/* The kernel itself refuses to resize a mapping of huge pages of a pool: EINVAL. */
	assert_error(err, backing_is_hugetlb(b) ? -EINVAL : -EFAULT);
	assert_int_equal(region_nr_clients(r), 1);
}
