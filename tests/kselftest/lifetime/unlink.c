/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of a region: its name, its memory, its last client. */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

/* How soon memory has to be back once its last client is gone. */
#define SOON 5000

static void a_region_without_clients_keeps_its_contents(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "first");
	peer_store(p, r->base + b->step - 8, 0xc0ffee);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + 16));
	peer_kill(p);
	assert_true(region_until_clients(r, 0, 1000));
	p = peer_join(r, "second");
	assert_int_equal(p->at.root, r->base + 16);
	assert_int_equal(peer_load(p, r->base + b->step - 8), 0xc0ffee);
}

static void clients_of_an_unlinked_region_go_on(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_shrink s = { .size = sizeof(s) };
	struct peershm_grow g = { .size = sizeof(g), .length = b->step };
	struct peer *a, *c;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	a = peer_join(r, "a");
	c = peer_join(r, "c");
	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(peer_ioctl(a, PEERSHM_IOC_GROW, &g, sizeof(g)));
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(peer_present(c, r->base, b->step), b->step);
	peer_store(a, r->base, 99);
	assert_int_equal(peer_load(c, r->base), 99);
	assert_ok(peer_ioctl(c, PEERSHM_IOC_SHRINK, &s, sizeof(s)));
	assert_int_equal(peer_touch(a, r->base), SIGBUS);
}

static void an_unlinked_region_is_not_found(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct peer *p = peer_join(r, "p"), *late = peer_new();

	(void)state;
	assert_ok(do_unlink(r->fd, r->name));
	assert_error(do_stat(r->fd, 0, r->name, NULL), -ENOENT);
	assert_error(do_stat(r->fd, r->id, NULL, NULL), -ENOENT);
	assert_error(do_unlink(r->fd, r->name), -ENOENT);
	assert_error(peer_attach(late, r->name, "late", 0), -ENOENT);
	assert_int_equal(peer_touch(p, r->base), SIGBUS);
}

static void an_unlink_through_a_clients_file_is_the_clients(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct client *c = client_new(r, "test");
	int fd = event_watcher(r);
	struct peershm_event e;

	(void)state;
	assert_ok(do_unlink(c->fd, r->name));
	e = event_next(fd);
	assert_event_is(&e, PEERSHM_EVENT_UNLINKED, getpid(), "test", 0, 0);
	assert_int_equal(e.client, c->at.client);
}

static void the_header_says_that_the_region_is_unlinked(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct client *c = client_new(r, "test");
	struct peershm_region_info info;

	(void)state;
	assert_int_equal(c->header->flags & PEERSHM_HEADER_UNLINKED, 0);
	assert_ok(do_unlink_id(r->fd, r->id));
	assert_int_equal(c->header->flags & PEERSHM_HEADER_UNLINKED, PEERSHM_HEADER_UNLINKED);
	assert_ok(do_stat(c->fd, 0, NULL, &info));
	assert_int_equal(info.flags & PEERSHM_HEADER_UNLINKED, PEERSHM_HEADER_UNLINKED);
}

static void the_name_of_an_unlinked_region_is_free_at_once(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct peer *old = peer_join(r, "p"), *young;
	uint64_t id;

	(void)state;
	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(do_create(r->fd, r->name, r->backing, GIB, &id));
	assert_int_not_equal(id, r->id);
	/* Two regions of one name, at different addresses. */
	young = peer_new();
	assert_ok(peer_attach(young, r->name, "p", 0));
	assert_int_not_equal(young->at.base, old->at.base);
	assert_ok(do_grow(r->fd, id, MIB, NULL));
	assert_int_equal(peer_touch(young, young->at.base), 0);
	assert_int_equal(peer_touch(old, old->at.base), SIGBUS);
}

struct pool {
	const struct backing *backing;
	long pages;
};

static bool pages_are_free(void *arg)
{
	const struct pool *p = arg;

	return backing_free_pages(p->backing) == p->pages;
}

static void memory_of_an_unlinked_region_is_back_after_its_last_client(void **state)
{
	const struct backing *b = param_of(state)->backing;
	bool pool = backing_is_hugetlb(b);
	struct pool free = { b, backing_free_pages(b) };
	long shmem = meminfo("Shmem:");
	struct peer *a, *c;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	a = peer_join(r, "a");
	c = peer_join(r, "c");
	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(peer_detach(a));
	/* One is left, and so is the memory. */
	assert_int_equal(peer_touch_write(c, r->base + b->step - 1), 0);
	if (pool)
		assert_int_equal(backing_free_pages(b), free.pages - (long)(b->step / b->page));
	peer_kill(c);
	if (pool)
		assert_true(test_until(pages_are_free, &free, SOON));
	else
		assert_true(meminfo_until_at_most("Shmem:", shmem + (long)MIB, SOON));
}

static void memory_of_a_region_without_clients_is_back_when_it_is_unlinked(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct pool free = { b, backing_free_pages(b) };
	long shmem = meminfo("Shmem:");
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	assert_ok(do_unlink(r->fd, r->name));
	if (backing_is_hugetlb(b))
		assert_true(test_until(pages_are_free, &free, SOON));
	else
		assert_true(meminfo_until_at_most("Shmem:", shmem + (long)MIB, SOON));
}

static void the_address_of_a_dead_region_is_used_again(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB), *again;

	(void)state;
	assert_ok(do_unlink(r->fd, r->name));
	again = region_new(&backings[PEERSHM_SMALL], GIB);
	assert_int_equal(again->base, r->base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(a_region_without_clients_keeps_its_contents),
		TEST_BACKINGS(clients_of_an_unlinked_region_go_on),
		TEST(an_unlinked_region_is_not_found),
		TEST(an_unlink_through_a_clients_file_is_the_clients),
		TEST(the_header_says_that_the_region_is_unlinked),
		TEST(the_name_of_an_unlinked_region_is_free_at_once),
		TEST_BACKINGS(memory_of_an_unlinked_region_is_back_after_its_last_client),
		TEST_BACKINGS(memory_of_a_region_without_clients_is_back_when_it_is_unlinked),
		TEST(the_address_of_a_dead_region_is_used_again),
	};

	return test_run(tests);
}
