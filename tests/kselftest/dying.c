/* SPDX-License-Identifier: GPL-2.0-only */
/* A client that is killed, crashes or execs makes room for the next of its name at once. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define ROUNDS 200

static void a_name_is_free_as_soon_as_its_client_is_killed(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	unsigned int rounds = test_scale(ROUNDS);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct peer *old = peer_new(), *young = peer_new();

		assert_ok(peer_attach(old, r->name, "daemon", 0));
		/* Not waited for: it may still be on its way out. */
		assert_int_equal(kill(old->pid, SIGKILL), 0);
		assert_ok(peer_attach(young, r->name, "daemon", 0));
		assert_true(young->at.client > old->at.client);
		peers_end();
	}
}

static long crash(void *arg)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	(void)arg;
	if (setrlimit(RLIMIT_CORE, &all) || chdir("/tmp"))
		return -errno;
	abort();
}

static bool has_ended(void *arg)
{
	const struct peer *p = arg;
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

/* With the window in it, a dump would look at 64 GiB of pages first: minutes. */
static void a_client_that_dumps_core_is_back_soon(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], 64 * GIB);
	struct peer *old = peer_join(r, "daemon"), *young = peer_new();

	(void)state;
	region_grow(r, MIB);
	peer_start(old, crash, NULL, 0);
	assert_true(test_until(has_ended, old, DEADLINE_MS));
	assert_ok(peer_attach(young, r->name, "daemon", 0));
	assert_int_equal(region_nr_clients(r), 1);
	unlink("/tmp/core");
}

static void a_live_name_is_still_eexist(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct peer *old = peer_join(r, "daemon"), *young = peer_new();

	(void)state;
	peer_stop(old);
	assert_error(peer_attach(young, r->name, "daemon", 0), -EEXIST);
	peer_continue(old);
	assert_int_equal(region_nr_clients(r), 1);
}

static void a_root_that_a_shrink_cuts_off_is_null(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_region_info info;
	struct region *r;

	backing_needs(b, 2 * b->page);
	r = region_new(b, b->capacity);
	region_grow(r, 2 * b->page);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->page));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.root, 0);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->page - 8));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.root, r->base + b->page - 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_is_free_as_soon_as_its_client_is_killed),
		TEST(a_client_that_dumps_core_is_back_soon),
		TEST(a_live_name_is_still_eexist),
		TEST_BACKINGS(a_root_that_a_shrink_cuts_off_is_null),
	};

	return test_run(tests);
}
