/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client sees of regions, of the header and of its own file while others make and unlink
 * regions, attach and leave, thousands of times over.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/race.h"

static long make_and_unlink(void *arg)
{
	struct race *race = arg;
	uint64_t id, last = 0;
	int fd = device_open(O_RDWR), err;
	long balance = 0;
	char name[PEERSHM_NAME_SIZE];

	memcpy(name, race->region, sizeof(name));
	name[0] = 'u';
	race_together();
	for (unsigned int i = 0; i < race->rounds; i++) {
		if (test_random(&race->seed) & 1) {
			err = do_create(fd, name, small, GIB, &id);
			race_expect(err == 0 || err == -EEXIST, err);
			if (!err) {
				balance++;
				race_expect(id > last, id);
				last = id;
			}
		} else {
			err = do_unlink(fd, name);
			race_expect(err == 0 || err == -ENOENT, err);
			if (!err)
				balance--;
		}
		err = client_attach(&self, name, race->me ? "one" : "two", 0);
		race_expect(err == 0 || err == -ENOENT, err);
		if (!err)
			client_leave(&self);
	}
	race_shared->values[race->me] = (uint64_t)balance;
	race_together();
	balance = (long)(race_shared->values[0] + race_shared->values[1]);
	race_expect(balance == 0 || balance == 1, balance);
	race_together();
	if (race->me == 0) {
		err = do_unlink(fd, name);
		race_expect(err == (balance ? 0 : -ENOENT), err);
	}
	return 0;
}

CASE(one_name_made_and_unlinked_by_two_is_one_region_at_most)
{
	static const peer_function functions[] = { make_and_unlink, make_and_unlink };

	race_run(region_new(small, GIB), functions, 2, test_scale(2000));
}

/* Every copy of the header is consistent in itself. */
static long read_header(void *arg)
{
	struct race *race = arg;
	uint64_t last = 0;
	struct peershm_header *h;

	race_ok(race_join(race, "reader"));
	h = malloc(self.at.header_length);
	race_expect(h, 0);
	for (unsigned int i = 0; i < race->rounds; i++) {
		unsigned int live = 0;

		race_ok(header_copy(&self, h));
		for (unsigned int j = 0; j < h->max_clients; j++) {
			const struct peershm_header_client *c = header_client(h, j);

			race_expect((c->state == PEERSHM_CLIENT_LIVE) == (c->id != 0), c->id);
			if (c->state != PEERSHM_CLIENT_LIVE)
				continue;
			live++;
			race_expect(c->mapped <= h->size, c->mapped);
			race_expect(c->pid > 0 && c->base == h->base && c->name[0], c->pid);
		}
		race_expect(h->nr_clients == live, h->nr_clients);
		race_expect(h->generation >= last, h->generation);
		race_expect(h->size <= h->capacity, h->size);
		last = h->generation;
	}
	free(h);
	return 0;
}

static long come_and_go(void *arg)
{
	struct race *race = arg;

	for (unsigned int i = 0; i < race->rounds / 4; i++) {
		race_ok(race_join(race, "visitor"));
		race_ok(do_grow(self.fd, 0, race->part, NULL));
		race_ok(do_shrink(self.fd, 0, 0, NULL));
		client_leave(&self);
	}
	return 0;
}

CASE(every_copy_of_the_header_makes_sense)
{
	static const peer_function functions[] = { read_header, come_and_go };

	race_run(region_new(small, GIB), functions, 2, test_scale(8000));
}

/* The next cases are for KCSAN, which finds what is read without a lock while it changes. */

struct mapper {
	int fd;
	bool stop; /* atomic */
	unsigned int mapped;
};

static void *map_all_the_while(void *arg)
{
	struct mapper *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED))
		if (mmap(NULL, (size_t)getpagesize(), PROT_READ, MAP_SHARED, m->fd, 0) !=
		    MAP_FAILED)
			m->mapped++;
	return NULL;
}

static long attach_while_mapped(void *arg)
{
	const struct race *race = arg;
	struct mapper m = { .fd = device_open(O_RDWR) };
	pthread_t thread;

	race_ok(pthread_create(&thread, NULL, map_all_the_while, &m));
	for (unsigned int i = 0; i < race->rounds; i++) {
		race_ok(do_attach(m.fd, race->region, "attacher", 0, NULL));
		race_ok(do_detach(m.fd));
	}
	__atomic_store_n(&m.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	race_expect(m.mapped == 0, m.mapped);
	close(m.fd);
	return 0;
}

CASE(only_the_thread_that_attaches_can_map_the_window)
{
	static const peer_function functions[] = { attach_while_mapped };

	race_run(region_new(small, GIB), functions, 1, test_scale(2000));
}

static long make_one_after_the_other(void *arg)
{
	const struct race *race = arg;
	int fd = device_open(O_RDWR);
	char name[PEERSHM_NAME_SIZE];
	uint64_t id;

	memcpy(name, race->region, sizeof(name));
	name[0] = 'l';
	for (unsigned int i = 0; i < race->rounds; i++) {
		race_ok(do_create(fd, name, small, GIB, &id));
		race_ok(do_unlink(fd, name));
	}
	race_together();
	return 0;
}

static long list_all_the_while(void *arg)
{
	const struct race *race = arg;
	int fd = device_open(O_RDWR);

	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_region_info infos[3] = { 0 };
		struct peershm_regions args = {
			.size = sizeof(args),
			.nr_regions = 3,
			.record_size = sizeof(infos[0]),
			.regions = (uintptr_t)infos,
		};

		race_ok(xioctl(fd, PEERSHM_IOC_REGIONS, &args));
		race_expect(args.nr_regions == 1 || args.nr_regions == 2, args.nr_regions);
		for (unsigned int n = 0; n < args.nr_regions; n++)
			race_expect(infos[n].id >= race->id, n);
	}
	race_together();
	return 0;
}

CASE(regions_are_listed_while_others_come_and_go)
{
	static const peer_function functions[] = { make_one_after_the_other, list_all_the_while };

	race_run(region_new(small, GIB), functions, 2, test_scale(4000));
}
