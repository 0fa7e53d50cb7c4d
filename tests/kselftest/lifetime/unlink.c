/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UNLINK: the name is free at once, clients go on, and the memory is back with the system when the
 * last client has gone.
 */
#include <signal.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"
#include "support/taken.h"

/* How soon memory has to be back once its last client is gone. */
#define SOON_MS 5000

CASES(a_region_without_clients_keeps_its_contents, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join(r, "first");

	peer_store(p, r->base + b->step - 8, 0xc0ffee);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + 16));
	peer_kill(p);
	assert_true(region_until_clients(r, 0, 1000));
	p = peer_join(r, "second");
	assert_int_equal(p->at.root, r->base + 16);
	assert_int_equal(peer_load(p, r->base + b->step - 8), 0xc0ffee);
}

CASES(clients_of_an_unlinked_region_go_on, ALL_BACKINGS)
{
	struct peershm_shrink s = { .size = sizeof(s) };
	struct peershm_grow g = { .size = sizeof(g), .length = b->step };
	struct region *r = region_with(b, 0, b->step);
	struct peer *a = peer_join(r, "a"), *c = peer_join(r, "c");

	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(peer_ioctl(a, PEERSHM_IOC_GROW, &g, sizeof(g)));
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(peer_present(c, r->base, b->step), b->step);
	peer_store(a, r->base, 99);
	assert_int_equal(peer_load(c, r->base), 99);
	assert_ok(peer_ioctl(c, PEERSHM_IOC_SHRINK, &s, sizeof(s)));
	assert_int_equal(peer_touch(a, r->base), SIGBUS);
}

CASE(an_unlinked_region_is_not_found)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p"), *late = peer_new();

	assert_ok(do_unlink(r->fd, r->name));
	assert_error(do_stat(r->fd, 0, r->name, NULL), -ENOENT);
	assert_error(do_stat(r->fd, r->id, NULL, NULL), -ENOENT);
	assert_error(do_unlink(r->fd, r->name), -ENOENT);
	assert_error(peer_attach(late, r->name, "late", 0), -ENOENT);
	assert_int_equal(peer_touch(p, r->base), SIGBUS);
}

CASE(an_unlink_through_a_clients_file_is_the_clients)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	int fd = event_watcher(r);
	struct peershm_event e;

	assert_ok(do_unlink(c->fd, r->name));
	e = event_next(fd);
	assert_event_is(&e, PEERSHM_EVENT_UNLINKED, getpid(), "test", 0, 0);
	assert_int_equal(e.client, c->at.client);
}

CASE(the_header_says_that_the_region_is_unlinked)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "test");
	struct peershm_region_info info;

	assert_int_equal(c->header->flags & PEERSHM_HEADER_UNLINKED, 0);
	assert_ok(do_unlink_id(r->fd, r->id));
	assert_int_equal(c->header->flags & PEERSHM_HEADER_UNLINKED, PEERSHM_HEADER_UNLINKED);
	assert_ok(do_stat(c->fd, 0, NULL, &info));
	assert_int_equal(info.flags & PEERSHM_HEADER_UNLINKED, PEERSHM_HEADER_UNLINKED);
}

CASE(the_name_of_an_unlinked_region_is_free_at_once)
{
	struct region *r = region_new(small, GIB);
	struct peer *old = peer_join(r, "p"), *young;
	uint64_t id;

	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(do_create(r->fd, r->name, r->backing, GIB, &id));
	assert_int_not_equal(id, r->id);
	/* Now there are two regions of one name, at different addresses. */
	young = peer_new();
	assert_ok(peer_attach(young, r->name, "p", 0));
	assert_int_not_equal(young->at.base, old->at.base);
	assert_ok(do_grow(r->fd, id, MIB, NULL));
	assert_int_equal(peer_touch(young, young->at.base), 0);
	assert_int_equal(peer_touch(old, old->at.base), SIGBUS);
}

CASES(memory_of_an_unlinked_region_is_back_after_its_last_client, ALL_BACKINGS)
{
	long before = taken(b);
	struct region *r = region_with(b, b->step, b->step);
	struct peer *a = peer_join(r, "a"), *c = peer_join(r, "c");

	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(peer_detach(a));
	/* One client is left, and so is the memory. */
	assert_int_equal(peer_touch_write(c, r->base + b->step - 1), 0);
	if (backing_is_hugetlb(b))
		assert_int_equal(taken(b), before + (long)b->step);
	peer_kill(c);
	assert_true(taken_until_at_most(b, before + (long)MIB, SOON_MS));
}

CASES(memory_of_a_region_without_clients_is_back_when_it_is_unlinked, ALL_BACKINGS)
{
	long before = taken(b);
	struct region *r = region_with(b, b->step, b->step);

	assert_ok(do_unlink(r->fd, r->name));
	assert_true(taken_until_at_most(b, before + (long)MIB, SOON_MS));
}

CASE(the_address_of_a_dead_region_is_used_again)
{
	struct region *r = region_new(small, GIB), *again;

	assert_ok(do_unlink(r->fd, r->name));
	again = region_new(small, GIB);
	assert_int_equal(again->base, r->base);
}
