/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows in which their process makes holes, maps something else, or changes the protection:
 * others are not harmed, and a grow reports what it could not map.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

/* A grow waits for peers as long as it takes. */
#define PATIENT_MS 10000

CASES(a_hole_in_a_window_is_partial_and_harms_nobody_else, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *holed = peer_join(r, "holed"), *other = peer_join(r, "other");

	assert_ok(peer_munmap(holed, r->base, b->page));
	assert_int_equal(grow_and_report(r, holed, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	assert_int_equal(peer_touch(holed, r->base), SIGSEGV);
	if (b->step > b->page)
		assert_int_equal(peer_present(holed, r->base + b->page, b->step - b->page),
				 b->step - b->page);
}

/* The huge page around the hole cannot be mapped as one: its small pages are mapped. */
CASE(a_small_hole_leaves_all_else_of_a_huge_page_mapped)
{
	const struct backing *b = thp;
	const uint64_t length = 2 * b->page;
	struct peer *peers[2];
	struct region *r;

	if (b->page > GIB / 16)
		skip_because("its huge pages are too large");
	r = region_new(b, b->capacity);
	peers[0] = peer_join(r, "in the middle");
	peers[1] = peer_join(r, "at the end");
	assert_ok(peer_munmap(peers[0], r->base + b->page / 2, SYSTEM_PAGE));
	assert_ok(peer_mprotect(peers[1], r->base + b->page - SYSTEM_PAGE, SYSTEM_PAGE, PROT_NONE));
	/* A second time: now there is a page table already. */
	for (unsigned int times = 0; times < 2; times++) {
		region_grow(r, length);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(peer_present(peers[i], r->base, length),
					 length - SYSTEM_PAGE);
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
}

CASES(a_stranger_mapped_over_the_window_is_not_populated, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "covered"), *other = peer_join(r, "other");

	peer_cover(p, r->base, b->page);
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(p, r->base, b->page), 0);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	/* The memory belongs to the process, and stays when the client leaves. */
	peer_store(p, r->base, 77);
	assert_ok(peer_detach(p));
	assert_int_equal(peer_load(p, r->base), 77);
	assert_ok(peer_munmap(p, r->base, b->page));
}

CASES(a_piece_without_access_is_partial_and_harms_nobody_else, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "protected"), *other = peer_join(r, "other");

	assert_ok(peer_mprotect(p, r->base, b->page, PROT_NONE));
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	assert_int_equal(peer_touch(p, r->base), SIGSEGV);
	assert_ok(peer_mprotect(p, r->base, b->page, PROT_READ | PROT_WRITE));
	assert_int_equal(peer_touch_write(p, r->base), 0);
	assert_int_equal(region_nr_clients(r), 2);
}

CASES(a_piece_made_read_only_is_mapped_all_the_same, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "careful");

	assert_ok(peer_mprotect(p, r->base, b->step, PROT_READ));
	grow_and_report(r, p, PATIENT_MS);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_int_equal(peer_touch(p, r->base), 0);
	assert_int_equal(peer_touch_write(p, r->base), SIGSEGV);
}

static long header_protection(void *arg)
{
	(void)arg;
	if (mprotect((void *)self.header, self.at.header_length, PROT_READ | PROT_WRITE))
		return -errno;
	return 0;
}

CASE(nobody_can_make_the_header_writable)
{
	struct region *r = region_new(small, GIB);

	assert_error(peer_call(peer_join(r, "p"), header_protection, NULL, 0), -EACCES);
}

CASES(a_read_only_client_cannot_make_its_window_writable, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join_flags(r, "reader", PEERSHM_ATTACH_READ_ONLY);

	assert_int_equal(peer_touch(p, r->base), 0);
	assert_int_equal(peer_touch_write(p, r->base), SIGSEGV);
	assert_error(peer_mprotect(p, r->base, b->step, PROT_READ | PROT_WRITE), -EACCES);
	assert_error(peer_mprotect(p, r->base + b->step, b->page, PROT_READ | PROT_WRITE), -EACCES);
}

CASE(a_file_attaches_again_once_its_window_is_unmapped)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	struct peershm_attach again;

	assert_error(do_attach(c->fd, r->name, "again", 0, &again), -EBUSY);
	assert_ok(munmap(at_address(r->base), GIB));
	assert_int_equal(region_nr_clients(r), 0);
	assert_ok(do_attach(c->fd, r->name, "again", 0, &again));
	assert_true(again.client > c->at.client);
	assert_int_equal(region_nr_clients(r), 1);
	/* The file reads the events from its second ATTACH on. */
	event_nonblock(c->fd, true);
	assert_next_event(c->fd, PEERSHM_EVENT_JOINED, getpid(), "again", 0, 0);
	event_none(c->fd);
}
