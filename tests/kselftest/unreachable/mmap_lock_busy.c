/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Peers that hold their own mmap lock for as long as user space can: nobody waits for them
 * for longer than the deadline, the others have the memory, and their pages follow.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/timely.h"

#define BIG (256 * MIB)

/* Shared with the peers, which do it until they are told to stop. */
static struct progress {
	bool stop;
	unsigned int rounds;
} * progress;

static void free_progress(void *arg)
{
	munmap(arg, sizeof(*progress));
}

static bool go_on(void)
{
	__atomic_add_fetch(&progress->rounds, 1, __ATOMIC_RELAXED);
	return !__atomic_load_n(&progress->stop, __ATOMIC_RELAXED);
}

static long fork_again_and_again(void *arg)
{
	char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (big == MAP_FAILED)
		return -errno;
	madvise(big, BIG, MADV_NOHUGEPAGE);
	memset(big, 1, BIG);
	while (go_on()) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child < 0)
			return -errno;
		waitpid(child, NULL, 0);
	}
	return munmap(big, BIG) ? -errno : 0;
}

static long unmap_again_and_again(void *arg)
{
	(void)arg;
	while (go_on()) {
		char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (big == MAP_FAILED || munmap(big, BIG))
			return -errno;
	}
	return 0;
}

static long lock_again_and_again(void *arg)
{
	char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long err = big == MAP_FAILED ? -errno : 0;

	(void)arg;
	while (!err && go_on()) {
		if (mlock(big, BIG) || munlock(big, BIG))
			err = -errno;
	}
	munmap(big, BIG);
	return err;
}

static bool has_begun(void *arg)
{
	(void)arg;
	return __atomic_load_n(&progress->rounds, __ATOMIC_RELAXED) > 1;
}

static void grows_beside(peer_function f)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[TIMELY_PEERS];

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	assert_ptr_not_equal(progress, MAP_FAILED);
	test_cleanup(free_progress, progress);
	timely_peers(r, peers);
	peer_start(peers[3], f, NULL, 0);
	assert_true(test_until(has_begun, NULL, DEADLINE_MS));
	timely_grows(r, peers, peers[3]);
	__atomic_store_n(&progress->stop, true, __ATOMIC_RELAXED);
	assert_ok(peer_finish(peers[3], NULL, 0));
	timely_catches_up(r, peers[3]);
}

static void a_thousand_grows_do_not_wait_for_a_huge_fork(void **state)
{
	(void)state;
	grows_beside(fork_again_and_again);
}

static void a_thousand_grows_do_not_wait_for_a_huge_munmap(void **state)
{
	(void)state;
	grows_beside(unmap_again_and_again);
}

static void a_thousand_grows_do_not_wait_for_a_huge_mlock(void **state)
{
	(void)state;
	grows_beside(lock_again_and_again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thousand_grows_do_not_wait_for_a_huge_fork),
		TEST(a_thousand_grows_do_not_wait_for_a_huge_munmap),
		TEST(a_thousand_grows_do_not_wait_for_a_huge_mlock),
	};

	return test_run(tests);
}
