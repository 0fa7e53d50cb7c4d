/* SPDX-License-Identifier: GPL-2.0-only */
/* Roots: the one without a name, those with names, and their generations. */
#include <unistd.h>

#include "support/harness.h"
#include "support/race.h"

#define STEP (4 * MIB)

static struct region *region_with_memory(void)
{
	struct region *r = region_new(small, GIB);

	region_grow(r, STEP);
	return r;
}

static struct peershm_root_info root_of(const struct region *r, const char *name)
{
	struct peershm_root_info info;

	assert_ok(do_get_root(r->fd, r->id, name, &info));
	assert_string_equal(info.name, name ? name : "");
	return info;
}

/* Everywhere that it can be read. */
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

static void a_generation_tells_a_root_that_was_changed_and_changed_back(void **state)
{
	struct region *r = region_with_memory();
	struct client *c = client_new(r, "test");
	struct peershm_root_info read;
	uint64_t last = 0, now;

	(void)state;
	root_is(r, c, 0, 0);
	read = root_of(r, NULL);
	assert_ok(do_set_root_generation(r->fd, r->id, &read, r->base, &now));
	assert_true(now > last);
	root_is(r, c, r->base, now);
	read = root_of(r, NULL);
	last = now;

	/* Another value and back: the value alone would be right. */
	assert_ok(do_set_root(r->fd, r->id, r->base, r->base + 8));
	assert_ok(do_set_root(r->fd, r->id, r->base + 8, r->base));
	assert_int_equal(root_of(r, NULL).root, read.root);
	assert_true(root_of(r, NULL).generation > last);
	assert_error(do_set_root_generation(r->fd, r->id, &read, r->base + 16, NULL), -EEXIST);
	assert_int_equal(root_of(r, NULL).root, r->base);

	/* Neither may differ. */
	read = root_of(r, NULL);
	read.root += 8;
	assert_error(do_set_root_generation(r->fd, r->id, &read, r->base + 16, NULL), -EEXIST);
	read.root -= 8;
	assert_ok(do_set_root_generation(r->fd, r->id, &read, r->base + 16, &now));
	root_is(r, c, r->base + 16, now);
}

static void attach_tells_the_root_and_its_generation(void **state)
{
	struct region *r = region_with_memory();
	struct client *c;

	(void)state;
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + 8));
	c = client_new(r, "test");
	assert_int_equal(c->at.root, r->base + 8);
	assert_int_equal(c->at.root_generation, root_of(r, NULL).generation);
}

static void named_roots_are_published_looked_up_listed_and_withdrawn(void **state)
{
	struct region *r = region_with_memory();
	struct client *c = client_new(r, "test");
	struct peershm_root_info roots[4];

	(void)state;
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

	/* The one without a name is another. */
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

static void a_named_roots_generation_is_never_the_same_again(void **state)
{
	struct region *r = region_with_memory();
	struct peershm_root_info read;
	uint64_t now;

	(void)state;
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

static void a_named_root_outside_the_active_memory_is_einval(void **state)
{
	struct region *r = region_with_memory();

	(void)state;
	assert_error(do_publish(r->fd, r->id, "a", 0, r->base - 1), -EINVAL);
	assert_error(do_publish(r->fd, r->id, "a", 0, r->base + STEP), -EINVAL);
	assert_error(do_publish(r->fd, r->id, "a", 0, 1), -EINVAL);
	assert_error(do_publish(r->fd, r->id, "a", 0, ~0ULL), -EINVAL);
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 0);
	assert_ok(do_publish(r->fd, r->id, "a", 0, r->base + STEP - 1));
}

static void more_named_roots_than_there_may_be_is_enospc(void **state)
{
	struct peershm_root_info roots[PEERSHM_MAX_ROOTS];
	struct region *r = region_with_memory();
	struct peershm_region_info info;
	char name[16];

	(void)state;
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

	/* What is there can still be changed, and withdrawn to make room. */
	assert_ok(do_publish(r->fd, r->id, "root 7", r->base + 7, r->base));
	assert_ok(do_publish(r->fd, r->id, "root 7", r->base, 0));
	assert_ok(do_publish(r->fd, r->id, "one more", 0, r->base));
	/* The one without a name needs no room. */
	assert_ok(do_set_root(r->fd, r->id, 0, r->base));
}

static void a_list_longer_than_the_array_says_how_many_there_are(void **state)
{
	struct region *r = region_with_memory();
	struct peershm_root_info roots[3];
	char poison[sizeof(roots[0])];

	(void)state;
	assert_ok(do_publish(r->fd, r->id, "a", 0, r->base));
	assert_ok(do_publish(r->fd, r->id, "b", 0, r->base));
	memset(poison, POISON, sizeof(poison));
	memset(roots, POISON, sizeof(roots));
	assert_int_equal(do_roots(r->fd, r->id, roots, 1), 2);
	assert_memory_equal(&roots[1], poison, sizeof(poison));
	assert_string_equal(roots[0].name, "a");
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 2);
}

static void roots_that_a_shrink_cuts_off_are_withdrawn(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_root_info read;
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	region_grow(r, 2 * b->step);
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

	/* Memory that comes back is not what they pointed to. */
	region_grow(r, b->step);
	assert_int_equal(root_of(r, NULL).root, 0);
	assert_error(do_get_root(r->fd, r->id, "above", NULL), -ENOENT);
	assert_ok(do_publish(r->fd, r->id, "above", 0, r->base + b->step));
}

static void roots_outlive_the_clients_that_published_them(void **state)
{
	struct region *r = region_with_memory();
	struct peershm_set_root set = { .size = sizeof(set), .root = r->base + 8 };
	struct peer *p = peer_join(r, "publisher");

	(void)state;
	put_name(set.name, "routes");
	assert_ok(peer_ioctl(p, PEERSHM_IOC_SET_ROOT, &set, sizeof(set)));
	peer_kill(p);
	assert_int_equal(root_of(r, "routes").root, r->base + 8);
	assert_int_equal(root_of(r, "routes").generation, set.generation);
}

struct root_calls {
	char region[PEERSHM_NAME_SIZE];
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
	struct root_calls c = { .id = 0 };
	struct peershm_region_info info;
	struct peer *bob = peer_new();
	int fd = device_open(O_RDWR);

	assert_true(fd >= 0);
	region_name(c.region);
	assert_ok(do_create_mode(fd, c.region, mode, 0));
	assert_ok(do_stat(fd, 0, c.region, &info));
	c.id = info.id;
	c.base = info.base;
	assert_ok(do_grow(fd, c.id, STEP, NULL));
	assert_ok(do_publish(fd, c.id, "root's", 0, c.base));
	peer_become(bob, BOB, BOB);
	assert_ok(peer_call(bob, try_root_calls, &c, sizeof(c)));
	assert_int_equal(do_roots(fd, c.id, NULL, 0), 1);
	close(fd);
	return c;
}

static void named_roots_are_read_and_changed_by_whom_the_mode_allows(void **state)
{
	struct root_calls c;

	(void)state;
	c = calls_of_bob(0600);
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

static void a_read_only_client_reads_roots_and_changes_none(void **state)
{
	struct region *r = region_with_memory();
	struct peershm_set_root set = { .size = sizeof(set), .root = r->base };
	struct peershm_get_root get = { .size = sizeof(get) };
	struct peer *p;

	(void)state;
	assert_ok(do_publish(r->fd, r->id, "routes", 0, r->base));
	p = peer_join_flags(r, "reader", PEERSHM_ATTACH_READ_ONLY);
	put_name(set.name, "mine");
	assert_error(peer_ioctl(p, PEERSHM_IOC_SET_ROOT, &set, sizeof(set)), -EACCES);
	put_name(get.info.name, "routes");
	assert_ok(peer_ioctl(p, PEERSHM_IOC_GET_ROOT, &get, sizeof(get)));
	assert_int_equal(get.info.root, r->base);
	assert_int_equal(do_roots(r->fd, r->id, NULL, 0), 1);
}

/* Publish, change and withdraw names of one's own and one that all want. */
static long publish_for_ever(void *arg)
{
	const struct race *race = arg;
	uint64_t mine = race->base + 8 * (race->me + 1), wins = 0;
	struct client c;
	char name[16];

	race_expect(client_attach(&c, race->region, "", 0) == -EINVAL, 0);
	snprintf(name, sizeof(name), "peer %u", race->me);
	race_expect(client_attach(&c, race->region, name, 0) == 0, 0);
	race_together();
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_root_info info, roots[PEERSHM_MAX_ROOTS];
		int err, n;

		race_expect(do_publish(c.fd, 0, name, 0, mine) == 0, i);
		race_expect(do_get_root(c.fd, 0, name, &info) == 0, i);
		race_expect(info.root == mine, info.root);
		n = do_roots(c.fd, 0, roots, PEERSHM_MAX_ROOTS);
		race_expect(n >= 1 && n <= RACE_PEERS + 1, n);
		for (int j = 0; j < n; j++)
			race_expect(roots[j].root > race->base &&
					    roots[j].root <= race->base + 8 * RACE_PEERS,
				    roots[j].root);
		race_expect(do_publish(c.fd, 0, name, mine, 0) == 0, i);

		err = do_publish(c.fd, 0, "wanted", 0, mine);
		race_expect(err == 0 || err == -EEXIST, err);
		if (err)
			continue;
		wins++;
		race_expect(do_get_root(c.fd, 0, "wanted", &info) == 0, i);
		race_expect(info.root == mine, info.root);
		race_expect(do_set_root_generation(c.fd, 0, &info, 0, NULL) == 0, i);
	}
	race_shared->values[race->me] = wins;
	client_leave(&c);
	return 0;
}

static void clients_that_publish_at_once_each_win_or_lose(void **state)
{
	static const peer_function functions[] = { publish_for_ever, publish_for_ever,
						   publish_for_ever };
	struct region *r = region_with_memory();
	uint64_t wins = 0;

	(void)state;
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

static void a_client_killed_while_it_publishes_has_published_or_not(void **state)
{
	struct region *r = region_with_memory();
	uint32_t seed = test_seed();

	(void)state;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_generation_tells_a_root_that_was_changed_and_changed_back),
		TEST(attach_tells_the_root_and_its_generation),
		TEST(named_roots_are_published_looked_up_listed_and_withdrawn),
		TEST(a_named_roots_generation_is_never_the_same_again),
		TEST(a_named_root_outside_the_active_memory_is_einval),
		TEST(more_named_roots_than_there_may_be_is_enospc),
		TEST(a_list_longer_than_the_array_says_how_many_there_are),
		TEST_BACKINGS(roots_that_a_shrink_cuts_off_are_withdrawn),
		TEST(roots_outlive_the_clients_that_published_them),
		TEST(named_roots_are_read_and_changed_by_whom_the_mode_allows),
		TEST(a_read_only_client_reads_roots_and_changes_none),
		TEST(clients_that_publish_at_once_each_win_or_lose),
		TEST(a_client_killed_while_it_publishes_has_published_or_not),
	};

	return test_run(tests);
}
