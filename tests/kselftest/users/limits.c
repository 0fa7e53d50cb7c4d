/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits for one user: regions, address space, memory, clients, watchers. Others keep theirs. */
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/interruption.h"

#define MOST_NAMES 8

struct making {
	uint64_t capacity;
	char names[MOST_NAMES][PEERSHM_NAME_SIZE];
	unsigned int made; /* out */
	int unlink_first;  /* give one back before */
};

/* Make regions until that fails; gives the error. */
static long make_regions(void *arg)
{
	struct making *m = arg;
	int fd = device_open(O_RDWR);
	long err = 0;

	if (fd < 0)
		return fd;
	if (m->unlink_first)
		err = do_unlink(fd, m->names[0]);
	m->made = 0;
	for (int i = 0; !err && i < MOST_NAMES; i++) {
		err = do_create(fd, m->names[i], small, m->capacity, NULL);
		if (err == -EEXIST)
			err = 0;
		else
			m->made += err == 0;
	}
	close(fd);
	return err;
}

/* Mallory can make 3 regions and no more. Others are not hindered. */
static void mallory_takes_only_three_regions(void)
{
	struct making mallorys = { .capacity = GIB }, bobs = { .capacity = GIB };
	struct peer *mallory = peer_new(), *bob = peer_new();
	char name[PEERSHM_NAME_SIZE];
	int fd;

	for (int i = 0; i < MOST_NAMES; i++) {
		region_name(mallorys.names[i]);
		region_name(bobs.names[i]);
	}
	peer_become(mallory, MALLORY, MALLORY);
	peer_become(bob, BOB, BOB);
	assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)), -ENOSPC);
	assert_int_equal(mallorys.made, 3);
	assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)), -ENOSPC);
	assert_int_equal(mallorys.made, 0);

	/* For a region that is unlinked, another one can be made. */
	mallorys.unlink_first = 1;
	assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)), -ENOSPC);
	assert_int_equal(mallorys.made, 1);

	/* A user namespace of his own does not help. */
	mallorys.unlink_first = 0;
	if (peer_enter_user_namespace(mallory) == 0) {
		assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)),
			     -ENOSPC);
		assert_int_equal(mallorys.made, 0);
	}

	assert_error(peer_call(bob, make_regions, &bobs, sizeof(bobs)), -ENOSPC);
	assert_int_equal(bobs.made, 3);
	fd = device_open(O_RDWR);
	for (int i = 0; i < 5; i++) {
		region_name(name);
		assert_ok(do_create(fd, name, small, GIB, NULL));
	}
	close(fd);
}

CASE(one_user_takes_only_his_share_of_regions)
{
	parameter_set("max_user_regions", 3);
	mallory_takes_only_three_regions();
}

CASE(one_user_takes_only_his_share_of_address_space)
{
	parameter_set("max_user_capacity", (long)(4 * GIB - SYSTEM_PAGE));
	mallory_takes_only_three_regions();
}

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

CASE(one_user_takes_only_his_share_of_memory)
{
	struct memory one = { .id = 0 }, two = { .id = 0 }, three = { .id = 0 }, bobs = { .id = 0 };
	struct peer *mallory = peer_new(), *bob = peer_new();
	struct peershm_region_info info;
	int fd = device_open(O_RDWR);

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

	/* Not by one page more, nor as a reserve; but what was given back can be had again. */
	assert_ok(peer_call(mallory, grow_it_more, &two, sizeof(two)));
	assert_error(two.grown, -ENOSPC);
	assert_error(two.reserved, -ENOSPC);
	assert_ok(two.shrunk);
	assert_ok(two.regrown);

	/* Root cannot grow mallory's region beyond mallory's limit, but a region of its own. */
	assert_error(do_grow(fd, two.id, SYSTEM_PAGE, NULL), -ENOSPC);
	assert_ok(peer_call(bob, grow_a_region, &bobs, sizeof(bobs)));
	assert_ok(bobs.grown);
	region_grow(region_new(small, GIB), 16 * MIB);
	/* A region that is gone does not count. */
	assert_ok(do_unlink(fd, one.name));
	assert_ok(do_grow(fd, two.id, 4 * MIB, NULL));
	close(fd);
}

/* Two regions of mallory's: what the first keeps ready, the second cannot have. */
struct keeping {
	struct peer *mallory;
	char names[2][PEERSHM_NAME_SIZE];
	uint64_t ids[2];
	uint64_t reserved;    /* in the first; after the commands, if there were any */
	int first, second[2]; /* what GROW says */
};

static long make_two(void *arg)
{
	struct keeping *k = arg;
	int err = 0;

	self.fd = device_open(O_RDWR);
	for (int i = 0; !err && i < 2; i++)
		err = do_create(self.fd, k->names[i], small, GIB, &k->ids[i]);
	return err;
}

static struct keeping two_regions_of_mallory(void)
{
	struct keeping k = { .mallory = peer_new() };

	region_name(k.names[0]);
	region_name(k.names[1]);
	peer_become(k.mallory, MALLORY, MALLORY);
	assert_ok(peer_call(k.mallory, make_two, &k, sizeof(k)));
	return k;
}

/* The functions that follow run in mallory. */
static long look_at_reserve(struct keeping *k)
{
	struct peershm_region_info info = { 0 };
	int err = do_stat(self.fd, k->ids[0], NULL, &info);

	k->reserved = info.reserved;
	return err;
}

static long shrink_both(struct keeping *k)
{
	int err = do_shrink(self.fd, k->ids[0], 0, NULL);

	return err ? err : do_shrink(self.fd, k->ids[1], 0, NULL);
}

/* Have grows of the first interrupted, until one of them leaves more than a page there. */
static long grow_until_interrupted(void *arg)
{
	const uint64_t least_ns = 100000;
	uint64_t end = now_ms() + DEADLINE_MS;
	struct keeping *k = arg;

	k->reserved = 0;
	for (uint64_t ns = least_ns; k->reserved <= SYSTEM_PAGE; ns += ns / 4) {
		long err = now_ms() > end ? -ETIMEDOUT : shrink_both(k);

		if (!err)
			err = interrupt_after(ns);
		if (err)
			return err;
		err = do_grow(self.fd, k->ids[0], 32 * MIB, NULL);
		interrupt_never();
		if (!err)
			ns = least_ns;
		else if (err != -EINTR || look_at_reserve(k))
			return err;
	}
	return 0;
}

static long grow_second(void *arg)
{
	struct keeping *k = arg;

	k->second[0] = do_grow(self.fd, k->ids[1], SYSTEM_PAGE, NULL);
	return look_at_reserve(k);
}

static long grow_first_and_second(void *arg)
{
	struct keeping *k = arg;

	k->second[0] = do_grow(self.fd, k->ids[1], SYSTEM_PAGE, NULL);
	k->first = do_grow(self.fd, k->ids[0], SYSTEM_PAGE, NULL);
	k->second[1] = do_grow(self.fd, k->ids[1], SYSTEM_PAGE, NULL);
	return look_at_reserve(k);
}

struct wish {
	struct keeping *k;
	uint64_t bytes;
};

static bool lies_ready(void *arg)
{
	struct wish *wish = arg;

	return !look_at_reserve(wish->k) && wish->k->reserved == wish->bytes;
}

static long make_reserve(void *arg)
{
	struct keeping *k = arg;
	struct wish wish = { k, k->reserved };
	long err = shrink_both(k);

	if (!err)
		err = do_set_reserve(self.fd, k->ids[0], wish.bytes);
	if (!err && !test_until(lies_ready, &wish, DEADLINE_MS))
		err = -ETIMEDOUT;
	return err;
}

static long give_reserve_up(void *arg)
{
	struct keeping *k = arg;
	long err = do_set_reserve(self.fd, k->ids[0], 0);

	return err ? err : grow_second(k);
}

static bool second_grows(void *arg)
{
	struct keeping *k = arg;

	return !peer_call(k->mallory, grow_second, k, sizeof(*k)) && !k->second[0];
}

/* What is to be given back may be before mallory's next command: then it is tried again. */
#define TRIES 10

CASE(what_an_interrupted_grow_keeps_counts_until_it_is_given_back)
{
	struct keeping k = two_regions_of_mallory();
	unsigned int tries = 0;
	uint64_t kept;

	do {
		parameter_set("max_user_bytes", 64 * MIB);
		assert_ok(peer_call(k.mallory, grow_until_interrupted, &k, sizeof(k)));
		kept = k.reserved;
		parameter_set("max_user_bytes", (long)kept);
		assert_ok(peer_call(k.mallory, grow_first_and_second, &k, sizeof(k)));
	} while (!k.reserved && ++tries < TRIES);
	/* Also while the first has grown by a part of it. */
	assert_ok(k.first);
	assert_int_equal(k.reserved, kept - SYSTEM_PAGE);
	assert_error(k.second[0], -ENOSPC);
	assert_error(k.second[1], -ENOSPC);
	assert_true(test_until(second_grows, &k, DEADLINE_MS));
	assert_int_equal(k.reserved, 0);
}

CASE(a_reserve_that_is_given_up_counts_until_it_is_given_back)
{
	const uint64_t most = 64 * MIB;
	struct keeping k = two_regions_of_mallory();
	unsigned int tries = 0;

	parameter_set("max_user_bytes", (long)most);
	do {
		k.reserved = most;
		assert_ok(peer_call(k.mallory, make_reserve, &k, sizeof(k)));
		assert_ok(peer_call(k.mallory, give_reserve_up, &k, sizeof(k)));
	} while (!k.reserved && ++tries < TRIES);
	assert_true(k.reserved > 0);
	assert_error(k.second[0], -ENOSPC);
	assert_true(test_until(second_grows, &k, DEADLINE_MS));
}

CASE(one_user_is_only_so_many_clients_of_anothers_region)
{
	struct region r = { .backing = small };
	struct peer *mallory[4], *bob = peer_new(), *root = peer_new();
	char name[16];

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
	/* When one of his clients has died, he may attach another. */
	peer_kill(mallory[0]);
	assert_ok(peer_attach(mallory[3], r.name, "mallory 3", PEERSHM_ATTACH_READ_ONLY));
	close(r.fd);
}

/* In a peer: attach and detach as a reader again and again, keeping each control page mapped. */
struct pages {
	char region[PEERSHM_NAME_SIZE];
	int n; /* out: how many */
	void *page[4];
};

static long leave_pages_behind(void *arg)
{
	struct pages *p = arg;
	int fd = device_open(O_RDWR);
	int err = 0;

	while (p->n < 4) {
		err = do_attach(fd, p->region, "reader", PEERSHM_ATTACH_READ_ONLY, NULL);
		if (err)
			break;
		/* His entries are the first in the region, so his pages are, too. */
		p->page[p->n] =
			mmap(NULL, SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			     (off_t)PEERSHM_CONTROL_OFFSET + (1 + p->n) * (off_t)SYSTEM_PAGE);
		if (p->page[p->n] == MAP_FAILED)
			err = -errno;
		else
			p->n++;
		do_detach(fd);
		if (err)
			break;
	}
	close(fd);
	return err;
}

static long give_a_page_back(void *arg)
{
	struct pages *p = arg;

	return munmap(p->page[--p->n], SYSTEM_PAGE) ? -errno : 0;
}

CASE(pages_left_behind_count_as_clients_of_their_user)
{
	struct pages pages = { .n = 0 };
	struct peer *mallory = peer_new();
	struct region r = { .backing = small };

	parameter_set("max_user_clients", 2);
	region_name(r.name);
	r.fd = device_open(O_RDWR);
	test_close(r.fd);
	assert_ok(do_create_mode(r.fd, r.name, 0644, 3));
	memcpy(pages.region, r.name, sizeof(pages.region));
	peer_become(mallory, MALLORY, MALLORY);
	assert_error(peer_call(mallory, leave_pages_behind, &pages, sizeof(pages)), -ENOSPC);
	assert_int_equal(pages.n, 2);
	assert_ok(peer_attach(peer_new(), r.name, "other", 0));
	assert_ok(peer_call(mallory, give_a_page_back, &pages, sizeof(pages)));
	assert_ok(peer_attach(mallory, r.name, "reader", PEERSHM_ATTACH_READ_ONLY));
}

struct watching {
	uint64_t id;
	int fd; /* out */
};

static long watch(void *arg)
{
	struct watching *w = arg;

	w->fd = device_open(O_RDONLY);
	return w->fd < 0 ? w->fd : do_watch(w->fd, w->id);
}

static long close_watching(void *arg)
{
	return close(((struct watching *)arg)->fd);
}

CASE(one_user_watches_anothers_region_only_so_many_times)
{
	struct peer *mallory = peer_new(), *bob = peer_new();
	struct watching first = { .fd = -1 }, w;
	struct peershm_region_info info;
	char name[PEERSHM_NAME_SIZE];
	int fd = device_open(O_RDWR);

	test_close(fd);
	parameter_set("max_user_clients", 3);
	region_name(name);
	assert_ok(do_create_mode(fd, name, 0644, 8));
	assert_ok(do_stat(fd, 0, name, &info));
	first.id = info.id;
	w = first;
	peer_become(mallory, MALLORY, MALLORY);
	peer_become(bob, BOB, BOB);
	assert_ok(peer_call(mallory, watch, &first, sizeof(first)));
	for (int i = 1; i < 5; i++)
		assert_error(peer_call(mallory, watch, &w, sizeof(w)), i < 3 ? 0 : -ENOSPC);
	assert_ok(peer_call(bob, watch, &w, sizeof(w)));
	for (int i = 0; i < 4; i++)
		assert_ok(peer_call(i ? peer_new() : bob, watch, &w, sizeof(w)));
	/* When he has closed a file that watched, he may watch with another. */
	assert_ok(peer_call(mallory, close_watching, &first, sizeof(first)));
	assert_ok(peer_call(mallory, watch, &w, sizeof(w)));
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

/* Make regions of any capacity, attach, leave; try to attach to somebody else's region. */
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
		/* A region that uses up his whole limit is not to stop the flood for long. */
		if (i % 16 == 15)
			unlink_all(f);
	}
	return 0;
}

CASE(a_flood_of_regions_and_clients_of_one_user_leaves_room_for_others)
{
	static struct flood f;
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "victim");
	struct peer *mallory = peer_new();
	unsigned int rounds = 0;
	long err;

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
