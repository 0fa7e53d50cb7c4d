/* SPDX-License-Identifier: GPL-2.0-only */
/* Windows and fork(): a child has none, unless its parent asks for one with MADV_DOFORK. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

/* How soon an entry of the registry has to be gone that nobody takes out. */
#define SOON_MS 1000

struct parent {
	uint64_t address, length; /* of its window */
	bool dofork;		  /* give it to the child */
	bool move;		  /* the child moves it before it touches it */
};

/* In a peer: fork. Gives the signal that the child gets when it touches the window. */
static long fork_and_touch(void *arg)
{
	const struct parent *p = arg;
	int status;
	pid_t child;

	if (p->dofork && madvise(at_address(p->address), p->length, MADV_DOFORK))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		if (p->move && move_mapping(p->address, p->length, ELSEWHERE))
			_exit(255);
		_exit(touch(p->move ? ELSEWHERE : p->address, p->move));
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status);
}

CASES(a_child_of_fork_has_no_window, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join(r, "parent");
	struct parent parent = { .address = r->base, .length = b->capacity };

	assert_int_equal(peer_call(p, fork_and_touch, &parent, sizeof(parent)), SIGSEGV);
	assert_int_equal(region_nr_clients(r), 1);
	assert_int_equal(peer_touch(p, r->base), 0);
}

/* The kernel may refuse, or the child may see the memory: the registry is right either way. */
CASES(a_window_that_is_forked_after_all_does_no_harm, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join(r, "parent");
	struct parent parent = { .address = r->base, .length = b->capacity, .dofork = true };
	long got = peer_call(p, fork_and_touch, &parent, sizeof(parent));

	assert_true(got >= 0 || got == -EINVAL);
	assert_int_equal(region_nr_clients(r), 1);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	region_grow(r, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, SOON_MS));
}

/* A child that lives on with the window of its parent; gives its PID. */
static long leave_window_to_a_child(void *arg)
{
	const struct parent *p = arg;
	pid_t child;

	if (madvise(at_address(p->address), p->length, MADV_DOFORK))
		return -errno;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		alarm(2 * DEADLINE_MS / 1000);
		close(self.fd);
		for (;;)
			pause();
	}
	return child < 0 ? -errno : child;
}

static void end_child(void *pid)
{
	kill((pid_t)(intptr_t)pid, SIGKILL);
}

/* The child's window is not in the registry, and moves as its parent's does. */
CASES(a_child_moves_the_window_it_was_given, UP_TO_2M)
{
	struct region *r = region_with(b, b->step, 2 * b->step);
	struct peer *p = peer_join(r, "parent");
	struct parent parent = {
		.address = r->base, .length = b->capacity, .dofork = true, .move = true
	};
	long got;

	peer_join(r, "other");
	got = peer_call(p, fork_and_touch, &parent, sizeof(parent));
	if (got == -EINVAL)
		skip_because("this kernel gives no child such a window");
	assert_ok(got);
	assert_int_equal(grow_and_report(r, p, DEADLINE_MS).result, PEERSHM_PEER_MAPPED);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	assert_int_equal(region_nr_clients(r), 2);
}

/* More than an ATTACH takes out of the registry in one go. */
#define MANY 20

CASE(the_dead_whose_windows_others_hold_make_room)
{
	struct region *r = region_new(small, GIB);
	struct parent parent = { .address = r->base, .length = GIB };
	struct peershm_region_info info;
	struct peer *p[MANY];

	peers_join(r, p, MANY);
	for (int i = 0; i < MANY; i++) {
		long child = peer_call(p[i], leave_window_to_a_child, &parent, sizeof(parent));

		if (child == -EINVAL)
			skip_because("this kernel gives no child such a window");
		assert_true(child > 0);
		test_cleanup(end_child, (void *)(intptr_t)child);
	}
	for (int i = 0; i < MANY; i++)
		peer_kill(p[i]);
	assert_int_equal(do_clients(r->fd, r->id, NULL, 0), 0);
	/* They are counted until somebody attaches. */
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.nr_clients, MANY);
	client_new(r, "new");
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.nr_clients, 1);
}
