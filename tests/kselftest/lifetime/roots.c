/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Roots: the one without a name, and those with names, and who may set them. Their generations tell
 * a root that was changed and changed back from one that was not changed.
 */
#include <unistd.h>

#include "support/harness.h"
#include "support/race.h"

#define STEP (4 * MIB)

static struct peershm_root_info root_of(const struct region *r, const char *name)
{
	struct peershm_root_info info;

	assert_ok(do_get_root(r->fd, r->id, name, &info));
	assert_string_equal(info.name, name ? name : "");
	return info;
}

/* The root is the same in STAT, GET_ROOT and the header. */
static void root_is(const struct region *r, const struct client *c, uint64_t root,
		    uint64_t generation)
{
	struct peershm_header *h = malloc(c->at.header_length);
	struct peershm_root_info got = root_of(r, NULL);
	struct peershm_region_info info;

	assert_non_null(h);
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_ok(header_copy(c, h));
	assert_int_equal(got.root, root);
	assert_int_equal(info.root, root);
	assert_int_equal(h->root, root);
	assert_int_equal(got.generation, generation);
	assert_int_equal(info.root_generation, generation);
	assert_int_equal(h->root_generation, generation);
	free(h);
}

CASE(a_generation_tells_a_root_that_was_changed_and_changed_back)
{
	struct region *r = region_with(small, STEP, STEP);
	struct client *c = client_new(r, "test");
	uint64_t last = 0, now;
	struct peershm_root_info read;

	root_is(r, c, 0, 0);
	read = root_of(r, NULL);
	assert_ok(do_set_root_generation(r->fd, r->id, &read, r->base, &now));
	assert_true(now > last);
	root_is(r, c, r->base, now);
	read = root_of(r, NULL);
	last = now;

	/* Another value and back: the value is the expected one, its generation is not. */
	assert_ok(do_set_root(r->fd, r->id, r->base, r->base + 8));
	assert_ok(do_set_root(r->fd, r->id, r->base + 8, r->base));
	assert_int_equal(root_of(r, NULL).root, read.root);
	assert_true(root_of(r, NULL).generation > last);
	assert_error(do_set_root_generation(r->fd, r->id, &read, r->base + 16, NULL), -EEXIST);
	assert_int_equal(root_of(r, NULL).root, r->base);

	/* Nor may the value differ while the generation is right. */
	read = root_of(r, NULL);
	read.root += 8;
	assert_error(do_set_root_generation(r->fd, r->id, &read, r->base + 16, NULL), -EEXIST);
	read.root -= 8;
	assert_ok(do_set_root_generation(r->fd, r->id, &read, r->base + 16, &now));
	root_is(r, c, r->base + 16, now);
}

CASE(attach_tells_the_root_and_its_generation)
{
	struct region *r = region_with(small, STEP, STEP);
	struct client *c;

	assert_ok(do_set_root(r->fd, r->id, 0, r->base + 8));
	c = client_new(r, "test");
	assert_int_equal(c->at.root, r->base + 8);
	assert_int_equal(c->at.root_generation, root_of(r, NULL).generation);
}

CASE(named_roots_are_published_looked_up_listed_and_withdrawn)
{
	struct region *r = region_with(small, STEP, STEP);
	struct client *c = client_new(r, "test");
	struct peershm_root_info roots[4];

	assert_int_equal(do_roots(c->fd, 0, roots, 4), 0);
	assert_ok(do_publish(c->fd, 0, "routes", 0, r->base + 8));
	assert_ok(do_publish(c->fd, 0, "neighbours", 0, r->base + 16));
	assert_int_equal(do_roots(c->fd, 0, roots, 4), 2);
	assert_string_equal(roots[0].name, "routes");
	assert_int_equal(roots[0].root, r->base + 8);
	assert_string_equal(roots[1].name, "neighbours");
	assert_int_equal(roots[1].root, r->base + 16);
	assert_true(roots[1].generation > roots[0].generation);
	assert_int_equal(root_of(r, "routes").root, r->base + 8);
	assert_int_equal(root_of(r, "routes").generation, roots[0].generation);

	/* The root without a name is not one of them. */
	root_is(r, c, 0, 0);

	assert_error(do_publish(c->fd, 0, "routes", 0, r->base + 24), -EEXIST);
	assert_ok(do_publish(c->fd, 0, "routes", r->base + 8, r->base + 24));
	assert_int_equal(root_of(r, "routes").root, r->base + 24);
	assert_error(do_publish(c->fd, 0, "routes", r->base + 8, 0), -EEXIST);
	assert_ok(do_publish(c->fd, 0, "routes", r->base + 24, 0));
	assert_error(do_get_root(c->fd, 0, "routes", NULL), -ENOENT);
	assert_error(do_publish(c->fd, 0, "routes", 0, 0), -ENOENT);
	assert_error(do_publish(c->fd, 0, "routes", r->base, 0), -EEXIST);
	assert_int_equal(do_roots(c->fd, 0, roots, 4), 1);
	assert_string_equal(roots[0].name, "neighbours");
}

CASE(a_named_roots_generation_is_never_the_same_again)
{
	struct region *r = region_with(small, STEP, STEP);
	struct peershm_root_info read;
	uint64_t now;

	assert_ok(do_publish(r->fd, r->id, "routes", 0, r->base));
	read = root_of(r, "routes");
	assert_ok(do_publish(r->fd, r->id, "routes", r->base, 0));
	assert_ok(do_publish(r->fd, r->id, "routes", 0, r->base));
	assert_true(root_of(r, "routes").generation > read.generation);
	assert_error(do_set_root_generation(r->fd, r->id, &read, r->base + 8, NULL), -EEXIST);
	read = root_of(r, "routes");
	assert_ok(do_set_root_generation(r->fd, r->id, &read, r->base + 8, &now));
	read = root_of(r, "routes");
	assert_int_equal(read.generation, now);
	assert_int_equal(read.root, r->base + 8);
	assert_ok(do_set_root_generation(r->fd, r->id, &read, 0, &now));
	assert_int_equal(now, 0);
}

CASE(a_named_root_outside_the_active_memory_is_einval)
{
	struct region *r = region_with(small, STEP, STEP);

	assert_error(do_publish(r->fd, r->id, "a", 0, r->base - 1), -EINVAL);
	assert_error(do_publish(r->fd, r->id, "a", 0, r->base + STEP), -EINVAL);
	assert_error(do_publish(r->fd, r->id, "a", 0, 1), -EINVAL);
	assert_error(do_publish(r->fd, r->id, "a", 0, ~0ULL), -EINVAL);
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 0);
	assert_ok(do_publish(r->fd, r->id, "a", 0, r->base + STEP - 1));
}

CASE(more_named_roots_than_there_may_be_is_enospc)
{
	struct region *r = region_with(small, STEP, STEP);
	struct peershm_root_info roots[PEERSHM_MAX_ROOTS];
	struct peershm_region_info info;
	char name[16];

	for (int i = 0; i < PEERSHM_MAX_ROOTS; i++) {
		snprintf(name, sizeof(name), "root %d", i);
		assert_ok(do_publish(r->fd, r->id, name, 0, r->base + (uint64_t)i));
	}
	assert_error(do_publish(r->fd, r->id, "one more", 0, r->base), -ENOSPC);
	assert_error(do_get_root(r->fd, r->id, "one more", NULL), -ENOENT);
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.nr_roots, PEERSHM_MAX_ROOTS);
	assert_int_equal(do_roots(r->fd, r->id, roots, PEERSHM_MAX_ROOTS), PEERSHM_MAX_ROOTS);
	for (int i = 0; i < PEERSHM_MAX_ROOTS; i++)
		assert_int_equal(roots[i].root, r->base + (uint64_t)i);

	/* A root that is there can still be changed, and withdrawn to make room for another. */
	assert_ok(do_publish(r->fd, r->id, "root 7", r->base + 7, r->base));
	assert_ok(do_publish(r->fd, r->id, "root 7", r->base, 0));
	assert_ok(do_publish(r->fd, r->id, "one more", 0, r->base));
	/* The root without a name needs no room. */
	assert_ok(do_set_root(r->fd, r->id, 0, r->base));
}

CASE(a_list_longer_than_the_array_says_how_many_there_are)
{
	struct region *r = region_with(small, STEP, STEP);
	struct peershm_root_info roots[3];
	char poison[sizeof(roots[0])];

	assert_ok(do_publish(r->fd, r->id, "a", 0, r->base));
	assert_ok(do_publish(r->fd, r->id, "b", 0, r->base));
	memset(poison, POISON, sizeof(poison));
	memset(roots, POISON, sizeof(roots));
	assert_int_equal(do_roots(r->fd, r->id, roots, 1), 2);
	assert_memory_equal(&roots[1], poison, sizeof(poison));
	assert_string_equal(roots[0].name, "a");
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 2);
}

CASES(roots_that_a_shrink_cuts_off_are_withdrawn, ALL_BACKINGS)
{
	struct region *r = region_with(b, 2 * b->step, 2 * b->step);
	struct peershm_root_info read;

	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->step));
	assert_ok(do_publish(r->fd, r->id, "above", 0, r->base + b->step));
	assert_ok(do_publish(r->fd, r->id, "below", 0, r->base + b->step - 1));
	read = root_of(r, NULL);
	assert_ok(do_shrink(r->fd, r->id, b->step, NULL));
	assert_int_equal(root_of(r, NULL).root, 0);
	assert_true(root_of(r, NULL).generation > read.generation);
	assert_error(do_get_root(r->fd, r->id, "above", NULL), -ENOENT);
	assert_int_equal(root_of(r, "below").root, r->base + b->step - 1);
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 1);

	/* They do not come back with the memory, which is not what they pointed to. */
	region_grow(r, b->step);
	assert_int_equal(root_of(r, NULL).root, 0);
	assert_error(do_get_root(r->fd, r->id, "above", NULL), -ENOENT);
	assert_ok(do_publish(r->fd, r->id, "above", 0, r->base + b->step));
}

CASES(a_root_that_a_shrink_cuts_off_is_null, ALL_BACKINGS)
{
	struct region *r = region_with(b, 2 * b->page, 2 * b->page);
	struct peershm_region_info info;

	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->page));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.root, 0);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->page - 8));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.root, r->base + b->page - 8);
}

CASE(roots_outlive_the_clients_that_published_them)
{
	struct region *r = region_with(small, STEP, STEP);
	struct peershm_set_root set = { .size = sizeof(set), .root = r->base + 8 };
	struct peer *p = peer_join(r, "publisher");

	put_name(set.name, "routes");
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SET_ROOT, &set, sizeof(set)));
	peer_kill(p);
	assert_int_equal(root_of(r, "routes").root, r->base + 8);
	assert_int_equal(root_of(r, "routes").generation, set.generation);
}

struct root_calls {
	uint64_t id, base;
	int publish, withdraw, get, list; /* out */
};

static long try_root_calls(void *arg)
{
	struct root_calls *c = arg;
	int fd = device_open(O_RDWR);

	if (fd < 0)
		return fd;
	c->publish = do_publish(fd, c->id, "bob's", 0, c->base);
	c->withdraw = do_publish(fd, c->id, "root's", c->base, 0);
	c->get = do_get_root(fd, c->id, "root's", NULL);
	c->list = do_roots(fd, c->id, NULL, 0);
	close(fd);
	return 0;
}

static struct root_calls calls_of_bob(uint32_t mode)
{
	struct region *r = region_of_mode(small, mode, 0);
	struct root_calls c = { .id = r->id, .base = r->base };
	struct peer *bob = peer_new();

	region_grow(r, STEP);
	assert_ok(do_publish(r->fd, r->id, "root's", 0, r->base));
	peer_become(bob, BOB, BOB);
	assert_ok(peer_call(bob, try_root_calls, &c, sizeof(c)));
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 1);
	return c;
}

CASE(named_roots_are_read_and_changed_by_whom_the_mode_allows)
{
	struct root_calls c = calls_of_bob(0600);

	assert_error(c.publish, -EACCES);
	assert_error(c.withdraw, -EACCES);
	assert_error(c.get, -EACCES);
	assert_error(c.list, -EACCES);
	c = calls_of_bob(0604);
	assert_error(c.publish, -EACCES);
	assert_error(c.withdraw, -EACCES);
	assert_error(c.get, 0);
	assert_error(c.list, 1);
	c = calls_of_bob(0606);
	assert_error(c.publish, 0);
	assert_error(c.withdraw, 0);
	assert_error(c.get, -ENOENT);
	assert_error(c.list, 1);
}

CASE(a_read_only_client_reads_roots_and_changes_none)
{
	struct region *r = region_with(small, STEP, STEP);
	struct peershm_set_root set = { .size = sizeof(set), .root = r->base };
	struct peershm_get_root get = { .size = sizeof(get) };
	struct peer *p;

	assert_ok(do_publish(r->fd, r->id, "routes", 0, r->base));
	p = peer_join_flags(r, "reader", PEERSHM_ATTACH_READ_ONLY);
	put_name(set.name, "mine");
	assert_error(peer_ioctl(p, PEERSHM_IOC_SET_ROOT, &set, sizeof(set)), -EACCES);
	put_name(get.info.name, "routes");
	assert_ok(peer_ioctl(p, PEERSHM_IOC_GET_ROOT, &get, sizeof(get)));
	assert_int_equal(get.info.root, r->base);
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 1);
}

/* Publish, look up and withdraw a name of the peer's own, and one that all peers want. */
static long publish_for_ever(void *arg)
{
	const struct race *race = arg;
	uint64_t mine = race->base + 8 * (race->me + 1), wins = 0;
	char name[16];

	race_expect(race_join(race, "") == -EINVAL, 0);
	snprintf(name, sizeof(name), "peer %u", race->me);
	race_ok(race_join(race, name));
	race_together();
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_root_info info, roots[PEERSHM_MAX_ROOTS];
		int err, n;

		race_ok(do_publish(self.fd, 0, name, 0, mine));
		race_ok(do_get_root(self.fd, 0, name, &info));
		race_expect(info.root == mine, info.root);
		n = do_roots(self.fd, 0, roots, PEERSHM_MAX_ROOTS);
		race_expect(n >= 1 && n <= RACE_PEERS + 1, n);
		for (int j = 0; j < n; j++)
			race_expect(roots[j].root > race->base &&
					    roots[j].root <= race->base + 8 * RACE_PEERS,
				    roots[j].root);
		race_ok(do_publish(self.fd, 0, name, mine, 0));

		err = do_publish(self.fd, 0, "wanted", 0, mine);
		race_expect(err == 0 || err == -EEXIST, err);
		if (err)
			continue;
		wins++;
		race_ok(do_get_root(self.fd, 0, "wanted", &info));
		race_expect(info.root == mine, info.root);
		race_ok(do_set_root_generation(self.fd, 0, &info, 0, NULL));
	}
	race_shared->values[race->me] = wins;
	client_leave(&self);
	return 0;
}

CASE(clients_that_publish_at_once_each_win_or_lose)
{
	static const peer_function functions[] = { publish_for_ever, publish_for_ever,
						   publish_for_ever };
	struct region *r = region_with(small, STEP, STEP);
	uint64_t wins = 0;

	race_run(r, functions, 3, test_scale(2000));
	for (int i = 0; i < 3; i++)
		wins += race_shared->values[i];
	assert_true(wins >= test_scale(2000));
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 0);
}

static long publish_until_killed(void *arg)
{
	const uint64_t *base = arg;

	for (;;) {
		if (do_publish(self.fd, 0, "routes", 0, *base + 8) == -EEXIST)
			do_publish(self.fd, 0, "routes", *base + 16, 0);
		do_publish(self.fd, 0, "routes", *base + 8, *base + 16);
	}
	return 0;
}

CASE(a_client_killed_while_it_publishes_has_published_or_not)
{
	struct region *r = region_with(small, STEP, STEP);
	uint32_t seed = test_seed();

	for (unsigned int i = 0; i < test_scale(50); i++) {
		struct peer *p = peer_join(r, "publisher");
		struct peershm_root_info roots[2];
		int n;

		peer_start(p, publish_until_killed, &r->base, sizeof(r->base));
		usleep(test_random(&seed) % 20000);
		peer_kill(p);
		n = do_roots(r->fd, r->id, roots, 2);
		assert_in_range(n, 0, 1);
		if (n) {
			assert_string_equal(roots[0].name, "routes");
			assert_true(roots[0].root == r->base + 8 || roots[0].root == r->base + 16);
			assert_ok(do_publish(r->fd, r->id, "routes", roots[0].root, 0));
		}
		peers_end();
	}
}
