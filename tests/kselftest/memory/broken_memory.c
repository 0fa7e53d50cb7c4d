/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that breaks is a SIGBUS for whoever touches it, and for nothing else. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"

#define SEED 0xbad

static void go_on(int signal)
{
	(void)signal;
}

/* From 6.12 on at the latest, who breaks a page that it has mapped is told by a signal. */
static long break_page(void *arg)
{
	struct sigaction survive = { .sa_handler = go_on };
	struct sigaction old;
	long err;

	sigaction(SIGBUS, &survive, &old);
	err = madvise(at_address(*(uint64_t *)arg), SYSTEM_PAGE, MADV_HWPOISON) ? -errno : 0;
	sigaction(SIGBUS, &old, NULL);
	return err;
}

/* The page is missing in whoever comes, and nothing else is. */
static void comes_late(struct region *r, uint64_t length, uint64_t bad, struct peer **late)
{
	uint64_t after = bad + SYSTEM_PAGE;

	*late = peer_join(r, "late");
	assert_int_equal(peer_touch(*late, bad), SIGBUS);
	assert_true(peer_present(*late, r->base, length) >= length - SYSTEM_PAGE);
	peer_check(*late, r->base, bad - r->base, SEED);
	peer_check(*late, after, r->base + length - after, SEED);
}

static void a_broken_page_is_a_sigbus_and_the_others_stay(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t bad, after, length = b->step;
	struct peershm_peer_map m;
	struct peer *p, *other, *late;
	struct region *r;
	long err;

	r = region_new(b, 2 * b->capacity);
	p = peer_join(r, "finder");
	other = peer_join(r, "other");
	region_grow(r, length);
	peer_fill(p, r->base, length, SEED);
	bad = r->base + length / 2 + SYSTEM_PAGE;
	after = bad + SYSTEM_PAGE;
	err = peer_call(p, break_page, &bad, sizeof(bad));
	if (err == -EINVAL)
		skip_because("this kernel does not handle broken memory (CONFIG_MEMORY_FAILURE)");
	assert_ok(err);

	assert_int_equal(peer_touch(p, bad), SIGBUS);
	assert_int_equal(peer_touch_write(other, bad), SIGBUS);
	peer_check(p, r->base, bad - r->base, SEED);
	peer_check(other, after, r->base + length - after, SEED);

	/* The page is missing in the peers, and in those that come; the rest is not. */
	assert_ok(do_peer_map(r->fd, r->id, &m));
	assert_int_equal(m.report.partial, 2);
	comes_late(r, length, bad, &late);

	/* It can grow, and the new memory is whole. */
	region_grow(r, length);
	assert_true(peer_all_zero(other, r->base + length, length));

	/* Without the page it is as any other region, also when it grows anew. */
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	region_grow(r, length);
	assert_true(peer_all_zero(p, r->base, length));
	assert_true(peer_all_zero(other, r->base, length));
	assert_int_equal(peer_touch_write(late, bad), 0);
	assert_ok(do_peer_map(r->fd, r->id, &m));
	assert_int_equal(m.report.mapped, 3);
}

/* Helpers give up when one of them comes to the page; the client itself goes on. */
static void a_late_client_of_much_memory_has_all_but_a_broken_page(void **state)
{
	const struct backing *b = param_of(state)->backing;
	const uint64_t length = 32 * MIB;
	struct peer *p, *late;
	struct region *r;
	uint64_t bad;
	long err;

	r = region_new(b, 2 * length);
	p = peer_join(r, "finder");
	region_grow(r, length);
	peer_fill(p, r->base, length, SEED);
	bad = r->base + SYSTEM_PAGE;
	err = peer_call(p, break_page, &bad, sizeof(bad));
	if (err == -EINVAL)
		skip_because("this kernel does not handle broken memory (CONFIG_MEMORY_FAILURE)");
	assert_ok(err);
	comes_late(r, length, bad, &late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CASE("a_broken_page_is_a_sigbus_and_the_others_stay_small",
			  a_broken_page_is_a_sigbus_and_the_others_stay, PEERSHM_SMALL, 0),
		TEST_CASE("a_broken_page_is_a_sigbus_and_the_others_stay_thp",
			  a_broken_page_is_a_sigbus_and_the_others_stay, PEERSHM_THP, 0),
		TEST_CASE("a_late_client_of_much_memory_has_all_but_a_broken_page_small",
			  a_late_client_of_much_memory_has_all_but_a_broken_page, PEERSHM_SMALL, 0),
	};

	return test_run(tests);
}
