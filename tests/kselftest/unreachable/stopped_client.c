/* SPDX-License-Identifier: GPL-2.0-only */
/* Peers that do not run, but could be reached: a grow maps them as any other. */
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "support/harness.h"
#include "support/timely.h"

#define STEP (1 * MIB)

static void a_stopped_peer_is_mapped(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	struct peershm_grow g;

	(void)state;
	peer_stop(p);
	timely_grow(r, STEP, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(timely_info(r, p).mapped, STEP);
	peer_continue(p);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
}

static void a_traced_peer_is_mapped(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	struct peershm_grow g;
	int status;

	(void)state;
	assert_int_equal(ptrace(PTRACE_ATTACH, p->pid, NULL, NULL), 0);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	timely_grow(r, STEP, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(timely_info(r, p).mapped, STEP);
	assert_int_equal(ptrace(PTRACE_DETACH, p->pid, NULL, NULL), 0);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
}

static void a_frozen_peer_is_mapped(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	const char *group = cgroup_new();
	struct peershm_grow g;

	(void)state;
	cgroup_join(group, p->pid);
	cgroup_freeze(group);
	timely_grow(r, STEP, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(timely_info(r, p).mapped, STEP);
	cgroup_thaw(group);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
	assert_int_equal(peer_write(p, r->base, STEP).minor, 0);
}

/* It cannot even be told to go; but its death takes it out of the registry. */
static void a_frozen_peer_that_is_killed_is_gone(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	const char *group = cgroup_new();

	(void)state;
	cgroup_join(group, p->pid);
	cgroup_freeze(group);
	region_grow(r, STEP);
	peer_kill(p);
	assert_int_equal(region_nr_clients(r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stopped_peer_is_mapped),
		TEST(a_traced_peer_is_mapped),
		TEST(a_frozen_peer_is_mapped),
		TEST(a_frozen_peer_that_is_killed_is_gone),
	};

	return test_run(tests);
}
