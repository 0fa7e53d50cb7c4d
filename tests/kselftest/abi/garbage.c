/* SPDX-License-Identifier: GPL-2.0-only */
/* A client that fills the control pages with garbage harms nobody who uses the library. */
#include <sys/mman.h>
#include <unistd.h>

#include <peershm.h>

#include "support/harness.h"

/* Fill the control pages with random words, ones and zeroes until it is killed. */
static long write_garbage(void *arg)
{
	uint32_t seed = *(const uint32_t *)arg;
	uint32_t *control = mmap(NULL, self.at.control_length, PROT_READ | PROT_WRITE, MAP_SHARED,
				 self.fd, (off_t)PEERSHM_CONTROL_OFFSET);

	if (control == MAP_FAILED)
		return -errno;
	for (unsigned int i = 0;; i++) {
		for (size_t j = 0; j < self.at.control_length / sizeof(*control); j++)
			__atomic_store_n(&control[j],
					 i % 8 == 0 ? 0 :
					 i % 8 == 1 ? ~0u :
						      test_random(&seed),
					 __ATOMIC_RELAXED);
	}
	return 0;
}

/* Call everything once; each answer is the one it gives without the garbage. */
static void use_the_library(const char *region, unsigned int round)
{
	struct peershm_header_client clients[4];
	struct peershm_client_info infos[4];
	struct peershm_region_info info;
	struct peershm_report report = { .max_peers = 0 };
	struct peershm *shm;
	char name[32];
	uint64_t size;
	void *part;
	int err;

	snprintf(name, sizeof(name), "user %u", round);
	assert_ok(peershm_open(&shm, region, name, 0, NULL));
	part = peershm_extend(shm, MIB);
	assert_non_null(part);
	memset(part, 1, MIB);
	size = peershm_size(shm) + MIB;
	assert_ok(peershm_grow(shm, size, &report));
	assert_int_equal(report.mapped, 2);
	assert_int_equal(peershm_header_clients(shm, clients, 4), 2);
	assert_int_equal(peershm_clients(shm, infos, 4), 2);
	assert_ok(peershm_set_root(shm, peershm_root(shm), part));
	assert_ptr_equal(peershm_root(shm), part);
	assert_ok(peershm_publish(shm, "garbage", NULL, part));
	assert_ptr_equal(peershm_lookup(shm, "garbage"), part);
	assert_ok(peershm_withdraw(shm, "garbage", part));
	assert_ok(peershm_map_all(shm, 0, 0, NULL));
	assert_ok(peershm_stat(shm, &info));
	assert_int_equal(info.nr_clients, 2);
	assert_ptr_equal(peershm_find(part), shm);
	/* The garbage may look like a reader that never ends: then the shrink times out. */
	err = peershm_shrink(shm, MIB, 20);
	assert_true(err == 0 || err == -ETIMEDOUT);
	if (err)
		assert_int_equal(peershm_size(shm), size);
	assert_ok(peershm_shrink_force(shm, 0));
	assert_null(peershm_root(shm));
	peershm_close(shm);
}

CASE(garbage_in_the_control_pages_harms_nobody)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "vandal");
	uint32_t seed = test_seed();

	peer_start(p, write_garbage, &seed, sizeof(seed));
	for (unsigned int round = 0; round < test_scale(200); round++)
		use_the_library(r->name, round);
	/* The vandal has not stopped meanwhile. */
	assert_error(peer_finish_within(p, NULL, 0, 0), -ETIMEDOUT);
	assert_int_equal(region_nr_clients(r), 1);
}
