/* SPDX-License-Identifier: GPL-2.0-only */
/* One user takes only a share of what there is; the others have theirs. */
#include <unistd.h>

#include "common/harness.h"

#define BOB 1001
/* Which none of the other tests uses: the regions of the others count, too. */
#define MALLORY 1004

static const struct backing *const small = &backings[PEERSHM_SMALL];

struct memory {
	char name[PEERSHM_NAME_SIZE];
	uint64_t id;
	int created, grown, shrunk, reserved, regrown; /* out */
};

static long grow_a_region(void *arg)
{
	struct memory *m = arg;
	int fd = device_open(O_RDWR);

	if (fd < 0)
		return fd;
	m->created = do_create(fd, m->name, small, GIB, &m->id);
	m->grown = do_grow(fd, m->id, 4 * MIB, NULL);
	close(fd);
	return 0;
}

static long grow_it_more(void *arg)
{
	struct memory *m = arg;
	struct peershm_set_reserve reserve = { .size = sizeof(reserve),
					       .region = m->id,
					       .reserve = 8 * MIB };
	int fd = device_open(O_RDWR);

	if (fd < 0)
		return fd;
	m->grown = do_grow(fd, m->id, SYSTEM_PAGE, NULL);
	m->reserved = xioctl(fd, PEERSHM_IOC_SET_RESERVE, &reserve);
	m->shrunk = do_shrink(fd, m->id, 0, NULL);
	m->regrown = do_grow(fd, m->id, 4 * MIB, NULL);
	close(fd);
	return 0;
}

static void one_user_takes_only_his_share_of_memory(void **state)
{
	struct memory one = { .id = 0 }, two = { .id = 0 }, three = { .id = 0 }, bobs = { .id = 0 };
	struct peer *mallory = peer_new(), *bob = peer_new();
	struct peershm_region_info info;
	int fd = device_open(O_RDWR);

	(void)state;
	assert_true(fd >= 0);
	parameter_set("max_user_bytes", 8 * MIB);
	region_name(one.name);
	region_name(two.name);
	region_name(three.name);
	region_name(bobs.name);
	peer_become(mallory, MALLORY, MALLORY);
	peer_become(bob, BOB, BOB);
	assert_ok(peer_call(mallory, grow_a_region, &one, sizeof(one)));
	assert_ok(one.grown);
	assert_ok(peer_call(mallory, grow_a_region, &two, sizeof(two)));
	assert_ok(two.grown);
	assert_ok(peer_call(mallory, grow_a_region, &three, sizeof(three)));
	assert_ok(three.created);
	assert_error(three.grown, -ENOSPC);
	assert_ok(do_stat(fd, three.id, NULL, &info));
	assert_int_equal(info.active, 0);

	/* Not by a page, not as a reserve; but again what was given back. */
	assert_ok(peer_call(mallory, grow_it_more, &two, sizeof(two)));
	assert_error(two.grown, -ENOSPC);
	assert_error(two.reserved, -ENOSPC);
	assert_ok(two.shrunk);
	assert_ok(two.regrown);

	/* Who has the right to more has it, in a region of his own. */
	assert_error(do_grow(fd, two.id, SYSTEM_PAGE, NULL), -ENOSPC);
	assert_ok(peer_call(bob, grow_a_region, &bobs, sizeof(bobs)));
	assert_ok(bobs.grown);
	region_grow(region_new(small, GIB), 16 * MIB);
	/* A region that is gone does not count. */
	assert_ok(do_unlink(fd, one.name));
	assert_ok(do_grow(fd, two.id, 4 * MIB, NULL));
	close(fd);
}

static void one_user_is_only_so_many_clients_of_anothers_region(void **state)
{
	struct region r = { .backing = small };
	struct peer *mallory[4], *bob = peer_new(), *root = peer_new();
	char name[16];

	(void)state;
	parameter_set("max_user_clients", 3);
	region_name(r.name);
	r.fd = device_open(O_RDWR);
	assert_ok(do_create_mode(r.fd, r.name, 0644, 8));
	peer_become(bob, BOB, BOB);
	for (int i = 0; i < 4; i++) {
		mallory[i] = peer_new();
		peer_become(mallory[i], MALLORY, MALLORY);
		snprintf(name, sizeof(name), "mallory %d", i);
		assert_error(peer_attach(mallory[i], r.name, name, PEERSHM_ATTACH_READ_ONLY),
			     i < 3 ? 0 : -ENOSPC);
	}
	assert_ok(peer_attach(bob, r.name, "bob", PEERSHM_ATTACH_READ_ONLY));
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "root %d", i);
		assert_ok(peer_attach(i ? peer_new() : root, r.name, name, 0));
	}
	/* Whose client died may come again. */
	peer_kill(mallory[0]);
	assert_ok(peer_attach(mallory[3], r.name, "mallory 3", PEERSHM_ATTACH_READ_ONLY));
	close(r.fd);
}

struct flood {
	char prefix[PEERSHM_NAME_SIZE], victim[PEERSHM_NAME_SIZE];
	unsigned int rounds;
	uint32_t seed;
	unsigned int created, refused, attached; /* out */
};

static uint64_t any_capacity(uint32_t *seed)
{
	return (uint64_t)SYSTEM_PAGE << test_random(seed) % 40;
}

/* Regions of any capacity made, attached and left, and another's clients tried. */
static long flood(void *arg)
{
	struct flood *f = arg;

	for (unsigned int i = 0; i < f->rounds; i++) {
		char name[PEERSHM_NAME_SIZE];
		struct client c;
		int err, fd = device_open(O_RDWR);

		if (fd < 0)
			return fd;
		snprintf(name, sizeof(name), "%.50s-%u", f->prefix, test_random(&f->seed) % 200);
		err = do_create(fd, name, small, any_capacity(&f->seed), NULL);
		close(fd);
		f->created += err == 0;
		f->refused += err == -ENOSPC;
		if (err && err != -ENOSPC && err != -EEXIST)
			return err;
		err = client_attach(&c, test_random(&f->seed) % 2 ? name : f->victim, "mallory", 0);
		if (!err) {
			f->attached++;
			do_grow(c.fd, 0, any_capacity(&f->seed), NULL);
			if (test_random(&f->seed) % 2)
				client_leave(&c);
			else /* the window is left behind */
				close(c.fd);
		}
		if (test_random(&f->seed) % 4 == 0) {
			fd = device_open(O_RDWR);
			do_unlink(fd, name);
			close(fd);
		}
	}
	return 0;
}

static void unlink_all(void *arg)
{
	const struct flood *f = arg;
	char name[PEERSHM_NAME_SIZE];
	int fd = device_open(O_RDWR);

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%.50s-%d", f->prefix, i);
		do_unlink(fd, name);
	}
	close(fd);
}

static void a_flood_of_regions_and_clients_of_one_user_leaves_room_for_others(void **state)
{
	static struct flood f;
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "victim");
	struct peer *mallory = peer_new();
	unsigned int rounds = 0;
	long err;

	(void)state;
	parameter_set("max_user_regions", 16);
	parameter_set("max_user_bytes", 64 * MIB);
	memset(&f, 0, sizeof(f));
	f.rounds = test_scale(3000);
	f.seed = test_seed();
	snprintf(f.prefix, sizeof(f.prefix), "flood-%d", (int)getpid());
	memcpy(f.victim, r->name, sizeof(f.victim));
	test_cleanup(unlink_all, &f);
	peer_become(mallory, MALLORY, MALLORY);
	peer_start(mallory, flood, &f, sizeof(f));
	do {
		char name[PEERSHM_NAME_SIZE];
		struct client mine;

		snprintf(name, sizeof(name), "own-%d", (int)getpid());
		assert_ok(do_create(r->fd, name, small, GIB, NULL));
		assert_ok(client_attach(&mine, name, "me", 0));
		assert_ok(do_grow(mine.fd, 0, MIB, NULL));
		client_leave(&mine);
		assert_ok(do_unlink(r->fd, name));
		assert_ok(do_grow(c->fd, 0, SYSTEM_PAGE, NULL));
		assert_int_equal(region_nr_clients(r), 1); /* its mode lets nobody else */
		rounds++;
		err = peer_finish_within(mallory, &f, sizeof(f), 0);
	} while (err == -ETIMEDOUT && rounds < 20000);
	assert_ok(err);
	print_message("# %u regions made, %u refused, %u attaches\n", f.created, f.refused,
		      f.attached);
	assert_true(f.created > 0);
	assert_true(f.attached > 0);
	peer_kill(mallory);
	unlink_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_user_takes_only_his_share_of_memory),
		TEST(one_user_is_only_so_many_clients_of_anothers_region),
		TEST(a_flood_of_regions_and_clients_of_one_user_leaves_room_for_others),
	};

	return test_run(tests);
}
