/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client that is stopped, traced or frozen is mapped as any other: a grow needs nothing of it
 * but its mmap lock. Nor does such a client hold up a shrink.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "support/harness.h"
#include "support/timely.h"

/* Far more than a shrink takes that waits for nobody. */
#define PROMPT_MS 10000

/* The grow waits for nobody, and reports the client as mapped. */
static void a_grow_maps(const struct region *r, const struct peer *p)
{
	struct peershm_grow g;

	timely_grow(r, r->backing->step, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(timely_info(r, p).mapped, r->backing->step);
}

CASES(a_stopped_peer_is_mapped, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "stopped");

	peer_stop(p);
	a_grow_maps(r, p);
	peer_continue(p);
	peer_has_all(p, r->base, b->step);
}

CASES(a_stopped_peer_does_not_hold_up_a_shrink, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *stopped = peer_join(r, "stopped");
	uint64_t start;

	peer_stop(stopped);
	start = now_ms();
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_true(now_ms() - start < PROMPT_MS);
	peer_continue(stopped);
	assert_int_equal(peer_touch(stopped, r->base), SIGBUS);
}

CASE(a_traced_peer_is_mapped)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	int status;

	assert_int_equal(ptrace(PTRACE_ATTACH, p->pid, NULL, NULL), 0);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	a_grow_maps(r, p);
	assert_int_equal(ptrace(PTRACE_DETACH, p->pid, NULL, NULL), 0);
	peer_has_all(p, r->base, small->step);
}

CASE(a_frozen_peer_is_mapped)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	const char *group = cgroup_new();

	cgroup_join(group, p->pid);
	cgroup_freeze(group);
	a_grow_maps(r, p);
	cgroup_thaw(group);
	peer_has_all(p, r->base, small->step);
}

/* SIGKILL ends even a frozen process, and its end takes it out of the registry. */
CASE(a_frozen_peer_that_is_killed_is_gone)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	const char *group = cgroup_new();

	cgroup_join(group, p->pid);
	cgroup_freeze(group);
	region_grow(r, small->step);
	peer_kill(p);
	assert_int_equal(region_nr_clients(r), 0);
}
