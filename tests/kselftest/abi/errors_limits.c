/* SPDX-License-Identifier: GPL-2.0-only */
/* Beyond a limit a command gets ENOSPC or ENOMEM, and no process is killed. */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/taken.h"

#define STEP (1 * MIB)
#define LIMIT (32 * MIB)

CASES(grow_past_capacity_is_enospc, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct client *witness = client_new(r, "witness");
	struct snapshot *before = snapshot_take(witness);

	assert_error_changes_nothing(before, do_grow(witness->fd, 0, b->capacity, NULL), -ENOSPC);
	assert_error_changes_nothing(
		before, do_grow_to(witness->fd, 0, b->capacity + b->page, NULL), -ENOSPC);
	assert_error_changes_nothing(
		before, do_grow(witness->fd, 0, b->capacity - b->step + b->page, NULL), -ENOSPC);
}

CASE(grow_to_a_size_there_is_already_changes_nothing)
{
	struct region *r = region_new(small, GIB);
	struct client *witness = client_new(r, "witness");
	struct peershm_grow g;
	struct snapshot *before;

	region_grow(r, STEP);
	before = snapshot_take(witness);
	assert_ok(do_grow_to(witness->fd, 0, STEP / 2, &g));
	assert_int_equal(g.old_size, STEP);
	assert_int_equal(g.new_size, STEP);
	assert_ok(do_grow_to(witness->fd, 0, STEP, &g));
	assert_int_equal(g.old_size, g.new_size);
	snapshot_same(before);
}

CASE(more_regions_than_the_module_allows_is_enospc)
{
	struct region *r = region_new(small, GIB);
	struct peershm_regions regions = { .size = sizeof(regions) };
	char name[PEERSHM_NAME_SIZE];

	assert_ok(xioctl(r->fd, PEERSHM_IOC_REGIONS, &regions));
	parameter_set("max_regions", regions.nr_regions);
	region_name(name);
	assert_error(do_create(r->fd, name, r->backing, GIB, NULL), -ENOSPC);
	assert_error(do_stat(r->fd, 0, name, NULL), -ENOENT);
	parameter_set("max_regions", regions.nr_regions + 1);
	assert_ok(do_create(r->fd, name, r->backing, GIB, NULL));
	assert_ok(do_unlink(r->fd, name));
}

CASE(more_clients_than_the_region_allows_is_enospc)
{
	struct region *r = region_new(small, GIB);
	char name[PEERSHM_NAME_SIZE];
	struct peer *a = peer_new(), *b = peer_new(), *c = peer_new();
	struct peershm_region_info before, after;

	region_name(name);
	assert_ok(do_create_mode(r->fd, name, 0600, 2));
	assert_ok(peer_attach(a, name, "a", 0));
	assert_ok(peer_attach(b, name, "b", 0));
	assert_ok(do_stat(r->fd, 0, name, &before));
	assert_int_equal(before.max_clients, 2);
	assert_error(peer_attach(c, name, "c", 0), -ENOSPC);
	assert_ok(do_stat(r->fd, 0, name, &after));
	assert_memory_equal(&before, &after, sizeof(after));
	/* A place that becomes free can be taken. */
	assert_ok(peer_detach(a));
	assert_ok(peer_attach(c, name, "c", 0));
	assert_ok(do_unlink(r->fd, name));
}

CASE(a_region_for_more_clients_than_the_module_allows_is_enospc)
{
	struct region *r = region_new(small, GIB);
	struct peershm_region_info info;
	char name[PEERSHM_NAME_SIZE];

	parameter_set("max_clients", 3);
	region_name(name);
	assert_error(do_create_mode(r->fd, name, 0600, 4), -ENOSPC);
	assert_error(do_stat(r->fd, 0, name, NULL), -ENOENT);
	assert_ok(do_create_mode(r->fd, name, 0600, 0));
	assert_ok(do_stat(r->fd, 0, name, &info));
	assert_int_equal(info.max_clients, 3);
	assert_ok(do_unlink(r->fd, name));
}

CASES(more_memory_than_the_module_allows_is_enospc, TMPFS)
{
	struct region *r = region_new(b, b->capacity);
	struct client *witness = client_new(r, "witness");
	struct snapshot *before;

	parameter_set("max_bytes", (long)(2 * b->step));
	region_grow(r, b->step);
	before = snapshot_take(witness);
	assert_error_changes_nothing(before, do_grow(witness->fd, 0, 2 * b->step, NULL), -ENOSPC);
	/* Neither what was refused nor what was given back counts against the limit. */
	region_grow(r, b->step);
	assert_error(do_grow(witness->fd, 0, b->page, NULL), -ENOSPC);
	assert_ok(do_shrink(witness->fd, 0, b->step, NULL));
	region_grow(r, b->step);
}

CASE(no_address_left_is_enospc)
{
	struct region *r = region_new(small, GIB);
	char name[PEERSHM_NAME_SIZE];

	region_name(name);
	assert_error(do_create(r->fd, name, r->backing, 64 * 1024 * GIB, NULL), -ENOSPC);
	assert_error(do_stat(r->fd, 0, name, NULL), -ENOENT);
}

CASES(an_empty_pool_of_huge_pages_is_enomem, HUGETLB)
{
	struct client *witness;
	struct snapshot *before;
	struct region *r;
	long pages;

	backing_needs(b, b->page);
	pages = backing_free_pages(b);
	r = region_new(b, (uint64_t)(pages + 8) * GIB);
	witness = client_new(r, "witness");
	before = snapshot_take(witness);
	assert_error_changes_nothing(
		before, do_grow(witness->fd, 0, (uint64_t)(pages + 1) * b->page, NULL), -ENOMEM);
	assert_int_equal(backing_free_pages(b), pages);

	/* The last page can be had, but not one more. */
	region_grow(r, (uint64_t)pages * b->page);
	before = snapshot_take(witness);
	assert_error_changes_nothing(before, do_grow(witness->fd, 0, b->page, NULL), -ENOMEM);
	assert_int_equal(backing_free_pages(b), 0);
	assert_int_equal(touch(r->base + (uint64_t)(pages - 1) * b->page, true), 0);
}

CASES(the_memory_cgroups_limit_is_enomem_and_nobody_is_killed, TMPFS)
{
	struct region *r = region_new(b, b->capacity);
	struct client *witness = client_new(r, "witness");
	struct peer *p = peer_join(r, "limited");
	uint64_t limit = 4 * b->page > LIMIT ? 4 * b->page : LIMIT;
	struct peershm_grow g = { .size = sizeof(g), .length = 4 * limit };
	const char *memcg = memcg_new(limit);
	long shmem = meminfo("Shmem:");
	struct snapshot *before;

	cgroup_join(memcg, p->pid);
	before = snapshot_take(witness);
	assert_error_changes_nothing(before, peer_ioctl(p, PEERSHM_IOC_GROW, &g, sizeof(g)),
				     -ENOMEM);
	assert_int_equal(memcg_event(memcg, "oom_kill"), 0);
	assert_true(peer_runs(p));
	assert_true(meminfo_until_at_most("Shmem:", shmem + (long)MIB, 2000));
	/* A smaller grow still succeeds. */
	g.size = sizeof(g);
	g.length = limit / 4;
	assert_ok(peer_ioctl(p, PEERSHM_IOC_GROW, &g, sizeof(g)));
	assert_int_equal(memcg_event(memcg, "oom_kill"), 0);
}

CASES(memory_is_charged_to_the_group_of_who_grew_it, TMPFS)
{
	struct region *r = region_new(b, b->capacity);
	struct peer *grower = peer_join(r, "grower"), *user = peer_join(r, "user");
	const char *growers = memcg_new(256 * MIB), *users = memcg_new(256 * MIB);
	struct peershm_grow g = { .size = sizeof(g), .length = LIMIT };
	char path[256];
	long before;

	cgroup_join(growers, grower->pid);
	cgroup_join(users, user->pid);
	snprintf(path, sizeof(path), "%s/memory.current", users);
	before = file_number(path);
	assert_ok(peer_ioctl(grower, PEERSHM_IOC_GROW, &g, sizeof(g)));
	peer_write(user, r->base, LIMIT);
	assert_true(file_number(path) < before + (long)(LIMIT / 2));
	snprintf(path, sizeof(path), "%s/memory.current", growers);
	assert_true(file_number(path) >= (long)LIMIT);
}

static void do_nothing(int signal)
{
	(void)signal;
}

static long catch_signal(void *arg)
{
	struct sigaction action = { .sa_handler = do_nothing };

	(void)arg;
	return sigaction(SIGUSR1, &action, NULL) ? -errno : 0;
}

static long limit_file_size(void *arg)
{
	struct rlimit limit = { 4096, 4096 };

	(void)arg;
	return setrlimit(RLIMIT_FSIZE, &limit) ? -errno : 0;
}

/* A client is in the middle of a large grow: it has allocated some of it. */
struct large_grow {
	struct region *region;
	struct client *witness;
	struct snapshot *before;
	struct peer *peer;
	uint64_t length;
	long taken;
};

static struct large_grow start_large_grow(const struct backing *b, bool limited)
{
	struct large_grow g = { .length = GIB };

	if (backing_is_hugetlb(b)) {
		g.length = (uint64_t)backing_free_pages(b) * b->page;
		backing_needs(b, 64 * MIB);
	}
	g.region = region_new(b, 4 * GIB);
	g.witness = client_new(g.region, "witness");
	g.peer = peer_join(g.region, "grower");
	assert_ok(peer_call(g.peer, catch_signal, NULL, 0));
	if (limited)
		assert_ok(peer_call(g.peer, limit_file_size, NULL, 0));
	g.before = snapshot_take(g.witness);
	g.taken = taken(b);
	peer_start(g.peer, grow_self, &g.length, sizeof(g.length));
	assert_true(taken_until_at_least(b, g.taken + (long)(4 * MIB), 10000));
	return g;
}

CASES(a_signal_during_a_large_grow_is_eintr_and_gives_all_back, UP_TO_2M)
{
	struct large_grow g = start_large_grow(b, false);

	assert_int_equal(kill(g.peer->pid, SIGUSR1), 0);
	assert_error(peer_finish(g.peer, NULL, 0), -EINTR);
	/* As it is not gone on with. */
	assert_true(taken_until_at_most(b, g.taken + (long)MIB, 5000));
	assert_true(snapshot_settled(g.before));
	snapshot_same(g.before);
	/* It can go on. */
	assert_ok(peer_grow(g.peer, b->step));
}

CASES(a_grow_that_is_made_again_after_a_signal_goes_on_from_there, UP_TO_2M)
{
	struct large_grow g = start_large_grow(b, false);
	struct peershm_region_info info;
	uint64_t length;

	assert_int_equal(kill(g.peer->pid, SIGUSR1), 0);
	assert_error(peer_finish(g.peer, NULL, 0), -EINTR);
	assert_ok(do_stat(g.witness->fd, 0, NULL, &info));
	assert_int_equal(info.active, 0);
	assert_in_range(info.reserved, 1, g.length - 1);
	/* Not to the end of it, which takes long under KASAN. */
	length = info.reserved + b->page;
	assert_ok(peer_grow(g.peer, length));
	assert_ok(do_stat(g.witness->fd, 0, NULL, &info));
	assert_int_equal(info.active, length);
	assert_int_equal(info.reserved, 0);
	assert_true(taken(b) <= g.taken + (long)(length + MIB));
	assert_true(peer_all_zero(g.peer, g.region->base, length));
	peer_has_all(g.peer, g.region->base, length);
}

/* Meanwhile others can write to it: it must not be there for a grow that is to give zeroes. */
CASES(a_signal_during_a_grow_beyond_the_limit_of_file_sizes_leaves_nothing, UP_TO_2M)
{
	struct large_grow g = start_large_grow(b, true);

	touch(g.region->base + g.length - b->page, true);
	assert_int_equal(kill(g.peer->pid, SIGUSR1), 0);
	assert_error(peer_finish(g.peer, NULL, 0), -EINTR);
	snapshot_same(g.before);
	assert_true(taken_until_at_most(b, g.taken + (long)MIB, 5000));
	assert_int_equal(touch(g.region->base, true), SIGBUS);
}

CASES(a_client_killed_during_a_large_grow_leaves_the_region_whole, UP_TO_2M)
{
	struct large_grow g = start_large_grow(b, false);
	struct region *r = g.region;

	peer_kill(g.peer);
	assert_true(region_until_clients(r, 1, 5000));
	assert_int_equal(region_size(r), 0);
	assert_int_equal(touch(r->base, false), SIGBUS);
	assert_true(taken_until_at_most(b, g.taken + (long)MIB, 5000));
	assert_ok(do_grow(g.witness->fd, 0, b->step, NULL));
	assert_int_equal(touch(r->base, true), 0);
}

CASES(the_limit_of_file_sizes_does_not_hit_a_grower, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *other = peer_join(r, "other"), *p = peer_join(r, "limited");

	assert_ok(peer_call(p, limit_file_size, NULL, 0));
	assert_ok(peer_grow(p, b->step));
	assert_true(peer_runs(p));
	assert_int_equal(region_size(r), b->step);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	assert_int_equal(peer_touch(other, r->base + b->step), SIGBUS);
	assert_int_equal(peer_touch_write(other, r->base + b->step - 1), 0);
}
