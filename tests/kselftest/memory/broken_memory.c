/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page whose memory is broken (MADV_HWPOISON): whoever touches it gets SIGBUS; the rest of the
 * region stays usable, and can grow and shrink.
 */
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

/* Newer kernels send SIGBUS to a process that breaks a page which it has mapped. */
static long do_break_page(void *arg)
{
	struct sigaction survive = { .sa_handler = go_on };
	struct sigaction old;
	long err;

	sigaction(SIGBUS, &survive, &old);
	err = madvise(at_address(*(uint64_t *)arg), SYSTEM_PAGE, MADV_HWPOISON) ? -errno : 0;
	sigaction(SIGBUS, &old, NULL);
	return err;
}

static void break_page(struct peer *p, uint64_t address)
{
	long err = peer_call(p, do_break_page, &address, sizeof(address));

	if (err == -EINVAL)
		skip_because("this kernel does not handle broken memory (CONFIG_MEMORY_FAILURE)");
	assert_ok(err);
}

/* A client that comes now has all but the broken page. */
static struct peer *comes_late(struct region *r, uint64_t length, uint64_t bad)
{
	struct peer *late = peer_join(r, "late");
	uint64_t after = bad + SYSTEM_PAGE;

	assert_int_equal(peer_touch(late, bad), SIGBUS);
	assert_true(peer_present(late, r->base, length) >= length - SYSTEM_PAGE);
	peer_check(late, r->base, bad - r->base, SEED);
	peer_check(late, after, r->base + length - after, SEED);
	return late;
}

CASES(a_broken_page_is_a_sigbus_and_the_others_stay, TMPFS)
{
	struct region *r = region_new(b, 2 * b->capacity);
	struct peer *p = peer_join(r, "finder"), *other = peer_join(r, "other"), *late;
	const uint64_t length = b->step;
	const uint64_t bad = r->base + length / 2 + SYSTEM_PAGE, after = bad + SYSTEM_PAGE;
	struct peershm_peer_map m;

	region_grow(r, length);
	peer_fill(p, r->base, length, SEED);
	break_page(p, bad);

	assert_int_equal(peer_touch(p, bad), SIGBUS);
	assert_int_equal(peer_touch_write(other, bad), SIGBUS);
	peer_check(p, r->base, bad - r->base, SEED);
	peer_check(other, after, r->base + length - after, SEED);

	/* A peer map cannot map the page; nor can an attach. */
	assert_ok(do_peer_map(r->fd, r->id, &m));
	assert_int_equal(m.report.partial, 2);
	late = comes_late(r, length, bad);

	/* The region can grow, and the new memory is whole. */
	region_grow(r, length);
	assert_true(peer_all_zero(other, r->base + length, length));

	/* After a shrink took the page away it is as any other region. */
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	region_grow(r, length);
	assert_true(peer_all_zero(p, r->base, length));
	assert_true(peer_all_zero(other, r->base, length));
	assert_int_equal(peer_touch_write(late, bad), 0);
	assert_ok(do_peer_map(r->fd, r->id, &m));
	assert_int_equal(m.report.mapped, 3);
}

/* Kernel threads that help give up when they come to the broken page; the client goes on alone. */
CASES(a_late_client_of_much_memory_has_all_but_a_broken_page, SMALL)
{
	const uint64_t length = 32 * MIB;
	struct region *r = region_new(b, 2 * length);
	struct peer *p = peer_join(r, "finder");
	const uint64_t bad = r->base + SYSTEM_PAGE;

	region_grow(r, length);
	peer_fill(p, r->base, length, SEED);
	break_page(p, bad);
	comes_late(r, length, bad);
}
