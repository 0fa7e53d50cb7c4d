/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that was never granted, or was taken back, cannot be touched. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/harness.h"

CASES(nothing_can_be_touched_before_the_first_grow, ALL_BACKINGS)
{
	long free = backing_free_pages(b);
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "peer");

	assert_int_equal(peer_touch(p, r->base), SIGBUS);
	assert_int_equal(peer_touch_write(p, r->base), SIGBUS);
	assert_int_equal(peer_touch(p, r->base + b->capacity - 1), SIGBUS);
	assert_int_equal(peer_touch_write(p, r->base + b->capacity - 1), SIGBUS);
	assert_int_equal(region_size(r), 0);
	if (backing_is_hugetlb(b))
		assert_int_equal(backing_free_pages(b), free);
}

CASES(first_byte_after_the_grown_part_cannot_be_touched, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *peers[2];

	peers[0] = peer_join(r, "before");
	region_grow(r, b->step);
	peers[1] = peer_join(r, "after");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(peer_touch_write(peers[i], r->base + b->step - 1), 0);
		assert_int_equal(peer_touch(peers[i], r->base + b->step), SIGBUS);
		assert_int_equal(peer_touch_write(peers[i], r->base + b->step), SIGBUS);
	}
	assert_int_equal(region_size(r), b->step);
}

CASES(shrunk_memory_cannot_be_touched_by_any_peer, ALL_BACKINGS)
{
	struct region *r = region_with(b, 2 * b->step, 2 * b->step);
	struct peer *peers[3];
	uint64_t old;

	peers_join(r, peers, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_touch_write(peers[i], r->base + 2 * b->step - 1), 0);
	assert_ok(do_shrink(r->fd, r->id, b->step, &old));
	assert_int_equal(old, 2 * b->step);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(peer_touch(peers[i], r->base + b->step), SIGBUS);
		assert_int_equal(peer_touch(peers[i], r->base + 2 * b->step - b->page), SIGBUS);
		assert_int_equal(peer_touch_write(peers[i], r->base + 2 * b->step - 1), SIGBUS);
		assert_int_equal(peer_present(peers[i], r->base + b->step, b->step), 0);
	}
}

CASES(memory_below_a_shrink_keeps_its_contents, ALL_BACKINGS)
{
	struct region *r = region_with(b, 2 * b->step, 2 * b->step);
	struct peer *writer = peer_join(r, "writer"), *reader = peer_join(r, "reader");
	uint64_t last = b->step - sizeof(uint64_t);

	peer_store(writer, r->base, 0x1111);
	peer_store(writer, r->base + last, 0x2222);
	assert_ok(do_shrink(r->fd, r->id, b->step, NULL));
	assert_int_equal(peer_load(reader, r->base), 0x1111);
	assert_int_equal(peer_load(reader, r->base + last), 0x2222);
	assert_int_equal(peer_load(writer, r->base + last), 0x2222);
}

CASES(memory_grown_again_reads_as_zero, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *writer = peer_join(r, "writer"), *reader = peer_join(r, "reader");

	region_grow(r, b->step);
	assert_true(peer_all_zero(reader, r->base, b->step));
	peer_write(writer, r->base, b->step);
	assert_false(peer_all_zero(reader, r->base, b->step));
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	region_grow(r, b->step);
	assert_true(peer_all_zero(reader, r->base, b->step));
	assert_true(peer_all_zero(writer, r->base, b->step));
}

CASES(memory_given_back_is_the_systems_again, ALL_BACKINGS)
{
	bool pool = backing_is_hugetlb(b);
	long before, pages;
	struct region *r;

	backing_needs(b, b->step);
	pages = backing_free_pages(b);
	before = meminfo("Shmem:");
	r = region_new(b, b->capacity);
	peer_join(r, "peer");
	region_grow(r, b->step);
	if (pool)
		assert_int_equal(backing_free_pages(b), pages - (long)(b->step / b->page));
	else
		assert_true(
			meminfo_until_at_least("Shmem:", before + (long)b->step - (long)MIB, 1000));
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	if (pool)
		assert_int_equal(backing_free_pages(b), pages);
	else
		assert_true(meminfo_until_at_most("Shmem:", before + (long)MIB, 1000));
}

static long lock_future_memory(void *arg)
{
	(void)arg;
	return mlockall(MCL_CURRENT | MCL_FUTURE) ? -errno : 0;
}

CASES(attach_of_a_process_that_locks_its_memory_takes_no_page, ALL_BACKINGS)
{
	struct region *r = region_new(b, b->capacity);
	long pages = backing_free_pages(b), shmem = meminfo("Shmem:");
	struct peer *p = peer_new();

	assert_ok(peer_call(p, lock_future_memory, NULL, 0));
	assert_ok(peer_attach(p, r->name, "locked", 0));
	if (backing_is_hugetlb(b))
		assert_int_equal(backing_free_pages(b), pages);
	assert_true(meminfo("Shmem:") <= shmem + (long)MIB);
	assert_int_equal(region_size(r), 0);
	assert_int_equal(peer_touch(p, r->base), SIGBUS);
}

CASES(grown_memory_is_in_a_process_that_locks_its_memory, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_new();

	assert_ok(peer_call(p, lock_future_memory, NULL, 0));
	assert_ok(peer_attach(p, r->name, "locked", 0));
	region_grow(r, b->step);
	peer_has_all(p, r->base, b->step);
	assert_int_equal(peer_touch(p, r->base + b->step), SIGBUS);
}

static long lock_future_memory_below(void *arg)
{
	struct rlimit limit = { *(uint64_t *)arg, *(uint64_t *)arg };

	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	return 0;
}

static long lock_future_only(void *arg)
{
	(void)arg;
	return mlockall(MCL_FUTURE) ? -errno : 0;
}

CASE(attach_beyond_the_limit_of_locked_memory_is_eagain)
{
	uint64_t limit = 64 * MIB;
	struct region *r = region_of_mode(small, 0666, 0);
	struct client *witness = client_new(r, "witness");
	struct snapshot *before = snapshot_take(witness);
	struct peer *p = peer_new();

	assert_ok(peer_call(p, lock_future_memory_below, &limit, sizeof(limit)));
	peer_become(p, ALICE, ALICE);
	assert_ok(peer_call(p, lock_future_only, NULL, 0));
	assert_error_changes_nothing(before, peer_attach(p, r->name, "locked", 0), -EAGAIN);
}
