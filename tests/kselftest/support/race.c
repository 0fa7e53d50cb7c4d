/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "race.h"

#define RACE_SECONDS 150
#define MEET_SECONDS 20

struct race_shared *race_shared;

/* Where `size` processes meet: `round` counts how often they did. */
struct meeting {
	uint32_t size, here, round;
};

static struct meeting *meetings;

static bool meet(struct meeting *m)
{
	const struct timespec deadline = { .tv_sec = MEET_SECONDS };
	uint32_t round = __atomic_load_n(&m->round, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&m->here, 1, __ATOMIC_ACQ_REL) == m->size) {
		__atomic_store_n(&m->here, 0, __ATOMIC_RELAXED);
		__atomic_add_fetch(&m->round, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, &m->round, FUTEX_WAKE, RACE_PEERS, NULL, NULL, 0);
		return true;
	}
	while (__atomic_load_n(&m->round, __ATOMIC_ACQUIRE) == round) {
		if (syscall(SYS_futex, &m->round, FUTEX_WAIT, round, &deadline, NULL, 0) &&
		    errno == ETIMEDOUT)
			return false;
	}
	return true;
}

bool race_meet(void)
{
	return meet(&meetings[0]);
}

bool race_meet_two(void)
{
	return meet(&meetings[1]);
}

void race_stagger(uint32_t *seed)
{
	uint32_t n = test_random(seed) % 8 ? test_random(seed) % 4000 : 0;

	for (volatile uint32_t i = 0; i < n; i++)
		continue;
}

long race_failed(const char *what, long value, const char *file, int line)
{
	if (!race_shared->message[0])
		snprintf(race_shared->message, sizeof(race_shared->message), "%s:%d: not %s: %ld",
			 file, line, what, value);
	return -EPROTO;
}

int race_join(const struct race *race, const char *name)
{
	return client_attach(&self, race->region, name, 0);
}

static void unmap_shared(void *arg)
{
	peers_end();
	munmap(arg, 2 * SYSTEM_PAGE);
}

void race_run(const struct region *r, const peer_function *functions, unsigned int n,
	      unsigned int rounds)
{
	uint32_t seed = test_seed();
	uint64_t end = now_ms() + RACE_SECONDS * 1000;
	struct pollfd pollfds[RACE_PEERS];
	struct peer *peers[RACE_PEERS];
	struct race race = { .id = r->id, .base = r->base };
	unsigned int running = n;

	race_shared = mmap(NULL, 2 * SYSTEM_PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(race_shared, MAP_FAILED);
	test_cleanup(unmap_shared, race_shared);
	meetings = (void *)((char *)race_shared + SYSTEM_PAGE);
	meetings[0].size = n;
	meetings[1].size = 2;
	memcpy(race.region, r->name, sizeof(race.region));
	race.rounds = rounds;
	race.page = r->backing->page;
	race.part = race.page > 64 * KIB ? race.page : 64 * KIB;
	for (unsigned int i = 0; i < n; i++) {
		peers[i] = peer_new();
		race.me = i;
		race.seed = seed + i * 7919;
		peer_start(peers[i], functions[i], &race, sizeof(race));
	}
	while (running > 0 && now_ms() < end) {
		for (unsigned int i = 0; i < n; i++) {
			pollfds[i].fd = peers[i] ? peers[i]->socket : -1;
			pollfds[i].events = POLLIN;
		}
		if (poll(pollfds, n, 1000) <= 0)
			continue;
		for (unsigned int i = 0; i < n; i++) {
			long result;

			if (!peers[i] || !pollfds[i].revents)
				continue;
			result = peer_finish_within(peers[i], NULL, 0, 1000);
			if (result) {
				print_error("peer %u: %ld %s\n", i, result, race_shared->message);
				fail();
			}
			peers[i] = NULL;
			running--;
		}
	}
	if (running)
		print_error("%u peers are not done in time\n", running);
	assert_int_equal(running, 0);
}
