/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shrink that is announced first: who may announce one, what it changes, and what withdraws it.
 */
#include <signal.h>

#include "support/harness.h"

#define STEP (1 * MIB)

/* A region of four steps, with this process and a peer as clients. */
static struct fixture {
	struct region *r;
	struct client *me;
	struct peer *peer;
	uint64_t cookie; /* of the last announcement of either */
} f;

static void setup(void)
{
	f.r = region_new(small, GIB);
	region_grow(f.r, 4 * STEP);
	f.me = client_new(f.r, "me");
	f.peer = peer_join(f.r, "peer");
}

static int announce(uint64_t new_size)
{
	return do_shrink_flags(f.me->fd, 0, PEERSHM_SHRINK_ANNOUNCE, new_size, &f.cookie);
}

static int announced_as(uint64_t cookie, uint64_t new_size)
{
	return do_shrink_flags(f.me->fd, 0, PEERSHM_SHRINK_ANNOUNCED, new_size, &cookie);
}

static int announced(uint64_t new_size)
{
	return announced_as(f.cookie, new_size);
}

static int cancel_as(uint64_t cookie)
{
	return do_shrink_flags(f.me->fd, 0, PEERSHM_SHRINK_CANCEL, 0, &cookie);
}

static int cancel(void)
{
	return cancel_as(f.cookie);
}

static int peer_shrink(uint32_t flags, uint64_t new_size)
{
	struct peershm_shrink s = { .size = sizeof(s), .flags = flags, .new_size = new_size };
	int err;

	s.cookie = flags ? f.cookie : 0;
	err = peer_ioctl(f.peer, PEERSHM_IOC_SHRINK, &s, sizeof(s));
	if (!err && flags)
		f.cookie = s.cookie;
	return err;
}

/* Size and watermark in the header, in steps. */
static void header_says(uint64_t size, uint64_t watermark)
{
	static char copy[64 * KIB];
	const struct peershm_header *h = (const void *)copy;

	assert_true(f.me->at.header_length <= sizeof(copy));
	assert_ok(header_copy(f.me, copy));
	assert_int_equal(h->size, size * STEP);
	assert_int_equal(h->watermark, watermark * STEP);
}

CASE(an_announcement_takes_nothing_away)
{
	setup();
	peer_store(f.peer, f.r->base + 3 * STEP, 77);
	header_says(4, 4);
	assert_ok(announce(2 * STEP));
	header_says(4, 2);
	assert_int_equal(region_size(f.r), 4 * STEP);
	assert_int_equal(peer_load(f.peer, f.r->base + 3 * STEP), 77);
	assert_int_equal(peer_present(f.peer, f.r->base, 4 * STEP), 4 * STEP);
}

CASE(what_was_announced_is_shrunk)
{
	setup();
	assert_ok(announce(2 * STEP));
	assert_ok(announced(2 * STEP));
	header_says(2, 2);
	assert_int_equal(peer_touch(f.peer, f.r->base + 2 * STEP), SIGBUS);
	assert_error(announced(2 * STEP), -ECANCELED);
	assert_error(cancel(), -ECANCELED);
}

CASE(nothing_but_what_was_announced_is_shrunk)
{
	setup();
	assert_error(announced(2 * STEP), -ECANCELED);
	assert_ok(announce(2 * STEP));
	assert_error(announced(1 * STEP), -ECANCELED);
	assert_error(announced(3 * STEP), -ECANCELED);
	assert_error(announced(5 * STEP), -ECANCELED);
	header_says(4, 2);
	assert_ok(announce(3 * STEP));
	header_says(4, 3);
	assert_error(announced(2 * STEP), -ECANCELED);
	assert_ok(announced(3 * STEP));
	header_says(3, 3);
}

CASE(nothing_is_done_with_another_cookie)
{
	setup();
	assert_ok(announce(2 * STEP));
	for (int i = 0; i < 4; i++) {
		const uint64_t others[] = { 0, f.cookie - 1, f.cookie + 1, UINT64_MAX };

		assert_error(announced_as(others[i], 2 * STEP), -ECANCELED);
		assert_error(cancel_as(others[i]), -ECANCELED);
	}
	header_says(4, 2);
	assert_ok(announced(2 * STEP));
	header_says(2, 2);
}

CASE(an_announcement_made_anew_is_another)
{
	uint64_t first;

	setup();
	assert_ok(announce(2 * STEP));
	first = f.cookie;
	assert_ok(announce(2 * STEP));
	assert_error(cancel_as(first), -ECANCELED);
	assert_error(announced_as(first, 2 * STEP), -ECANCELED);
	header_says(4, 2);
	first = f.cookie;
	assert_ok(do_grow(f.me->fd, 0, STEP, NULL));
	assert_ok(announce(2 * STEP));
	assert_error(cancel_as(first), -ECANCELED);
	assert_error(announced_as(first, 2 * STEP), -ECANCELED);
	header_says(5, 2);
	assert_ok(announced(2 * STEP));
	header_says(2, 2);
}

static uint64_t next_cookie(uint64_t last)
{
	assert_true(f.cookie > last);
	return f.cookie;
}

CASE(no_cookie_comes_twice)
{
	uint64_t last;

	setup();
	assert_ok(announce(3 * STEP));
	last = next_cookie(0);
	assert_ok(cancel());
	assert_ok(announce(3 * STEP));
	last = next_cookie(last);
	assert_ok(announced(3 * STEP));
	assert_ok(peer_shrink(PEERSHM_SHRINK_ANNOUNCE, 2 * STEP));
	last = next_cookie(last);
	assert_ok(peer_detach(f.peer));
	client_leave(f.me);
	assert_ok(client_attach(f.me, f.r->name, "me", 0));
	assert_ok(announce(2 * STEP));
	next_cookie(last);
}

CASE(an_announcement_of_the_whole_size_is_kept)
{
	setup();
	assert_ok(announce(4 * STEP));
	header_says(4, 4);
	assert_error(peer_shrink(PEERSHM_SHRINK_ANNOUNCE, STEP), -EBUSY);
	assert_ok(announced(4 * STEP));
	header_says(4, 4);
	assert_error(announced(4 * STEP), -ECANCELED);
}

CASE(another_clients_announcement_is_ebusy)
{
	setup();
	assert_ok(announce(2 * STEP));
	assert_error(peer_shrink(PEERSHM_SHRINK_ANNOUNCE, 1 * STEP), -EBUSY);
	assert_error(peer_shrink(PEERSHM_SHRINK_ANNOUNCED, 2 * STEP), -ECANCELED);
	assert_error(peer_shrink(PEERSHM_SHRINK_CANCEL, 0), -ECANCELED);
	header_says(4, 2);
	assert_ok(cancel());
	assert_ok(peer_shrink(PEERSHM_SHRINK_ANNOUNCE, 1 * STEP));
	header_says(4, 1);
}

CASE(a_withdrawn_announcement_is_gone)
{
	setup();
	assert_error(cancel(), -ECANCELED);
	assert_ok(announce(2 * STEP));
	assert_error(do_shrink_flags(f.me->fd, 0, PEERSHM_SHRINK_CANCEL, STEP, &f.cookie), -EINVAL);
	header_says(4, 2);
	assert_ok(cancel());
	header_says(4, 4);
	assert_error(announced(2 * STEP), -ECANCELED);
	header_says(4, 4);
}

CASE(an_announcement_falls_when_the_region_grows)
{
	struct peershm_grow g = { .size = sizeof(g), .length = STEP };

	setup();
	assert_ok(announce(2 * STEP));
	assert_ok(do_grow_to(f.me->fd, 0, 3 * STEP, NULL));
	/* The region was that large already: nobody got memory. */
	header_says(4, 2);
	assert_ok(peer_ioctl(f.peer, PEERSHM_IOC_GROW, &g, sizeof(g)));
	header_says(5, 5);
	assert_error(announced(2 * STEP), -ECANCELED);
	assert_error(cancel(), -ECANCELED);
	assert_int_equal(region_size(f.r), 5 * STEP);
}

CASE(an_announcement_falls_with_another_shrink)
{
	setup();
	assert_ok(announce(2 * STEP));
	assert_ok(peer_shrink(0, 3 * STEP));
	header_says(3, 3);
	assert_error(announced(2 * STEP), -ECANCELED);
	assert_ok(announce(2 * STEP));
	assert_ok(do_shrink(f.me->fd, 0, 1 * STEP, NULL));
	header_says(1, 1);
	assert_error(announced(1 * STEP), -ECANCELED);
	assert_error(announced(2 * STEP), -ECANCELED);
}

static bool watermark_is_the_size(void *arg)
{
	const struct peershm_header *h = f.me->header;

	(void)arg;
	return h->watermark == h->size;
}

CASE(an_announcement_falls_when_its_client_goes)
{
	setup();
	assert_ok(peer_shrink(PEERSHM_SHRINK_ANNOUNCE, 2 * STEP));
	header_says(4, 2);
	assert_ok(peer_detach(f.peer));
	header_says(4, 4);
	f.peer = peer_join(f.r, "another");
	assert_ok(peer_shrink(PEERSHM_SHRINK_ANNOUNCE, 2 * STEP));
	header_says(4, 2);
	peer_kill(f.peer);
	assert_true(test_until(watermark_is_the_size, NULL, DEADLINE_MS));
	assert_ok(announce(3 * STEP));
}

CASE(only_clients_announce)
{
	static const uint32_t flags[] = { PEERSHM_SHRINK_ANNOUNCE, PEERSHM_SHRINK_CANCEL };
	struct client reader;

	setup();
	for (size_t i = 0; i < 2; i++) {
		assert_error(do_shrink_flags(f.r->fd, f.r->id, flags[i], 0, NULL), -ENOTCONN);
		assert_error(do_shrink_flags(f.r->fd, 0, flags[i], 0, NULL), -ENOTCONN);
	}
	assert_error(do_shrink_flags(f.r->fd, f.r->id, PEERSHM_SHRINK_ANNOUNCED, 2 * STEP, NULL),
		     -ECANCELED);
	/* Even if the region is named by its id, it is the file's client who announces. */
	assert_ok(do_shrink_flags(f.me->fd, f.r->id, PEERSHM_SHRINK_ANNOUNCE, 2 * STEP, NULL));
	header_says(4, 2);
	client_leave(f.me);
	assert_ok(client_attach(&reader, f.r->name, "reader", PEERSHM_ATTACH_READ_ONLY));
	assert_error(do_shrink_flags(reader.fd, 0, PEERSHM_SHRINK_ANNOUNCE, STEP, NULL), -EACCES);
	client_leave(&reader);
	assert_ok(client_attach(f.me, f.r->name, "me", 0));
}

CASE(two_flags_at_once_are_einval)
{
	setup();
	assert_ok(announce(2 * STEP));
	for (uint32_t flags = 0; flags < 8; flags++) {
		if (flags & (flags - 1))
			assert_error(do_shrink_flags(f.me->fd, 0, flags, 2 * STEP, &f.cookie),
				     -EINVAL);
	}
	assert_error(announce(STEP + 1), -EINVAL);
	assert_error(announce(5 * STEP), -EINVAL);
	header_says(4, 2);
}
