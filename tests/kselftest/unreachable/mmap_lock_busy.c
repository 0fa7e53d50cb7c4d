/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients whose mmap lock is held for long by what they do themselves: fork(), munmap() and mlock()
 * of much memory, and page faults that are never answered. A grow waits for them no longer than its
 * deadline, the others have the memory, and the late client's pages follow by themselves.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/silent_fs.h"
#include "support/timely.h"

#define BIG (256 * MIB)

/* Shared with the peers, which go on with what they do until `stop`. */
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

CASE(a_thousand_grows_do_not_wait_for_a_huge_fork)
{
	grows_beside(fork_again_and_again);
}

CASE(a_thousand_grows_do_not_wait_for_a_huge_munmap)
{
	grows_beside(unmap_again_and_again);
}

CASE(a_thousand_grows_do_not_wait_for_a_huge_mlock)
{
	grows_beside(lock_again_and_again);
}

struct silence {
	char path[64];
	char *memory;
};

static long map_silence(void *arg)
{
	struct silence *s = arg;
	int fd = open(s->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	s->memory = mmap(NULL, SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	return s->memory == MAP_FAILED ? -errno : 0;
}

/*
 * A second thread wants the mmap lock for writing. If the page fault holds that lock, the thread
 * waits for it, and from then on nobody else can have it even for reading.
 */
static void *map_anything(void *arg)
{
	(void)arg;
	for (;;) {
		void *page = mmap(NULL, SYSTEM_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (page != MAP_FAILED)
			munmap(page, SYSTEM_PAGE);
		usleep(1000);
	}
	return NULL;
}

static long touch_silence(void *arg)
{
	const struct silence *s = arg;
	pthread_t thread;

	if (pthread_create(&thread, NULL, map_anything, NULL))
		return -errno;
	return touch((uintptr_t)s->memory, false);
}

/*
 * A page fault first waits for its page without the mmap lock. After an error the kernel tries the
 * fault again, and then keeps the lock while it waits.
 */
static void grows_beside_silence(int errors)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[TIMELY_PEERS];
	struct silent_fs *fs;
	struct silence s;

	/* The peers come first, so that they do not inherit the file system's device. */
	timely_peers(r, peers);
	fs = silent_fs_new(errors);
	memcpy(s.path, fs->path, sizeof(s.path));
	assert_ok(peer_call(peers[3], map_silence, &s, sizeof(s)));
	peer_start(peers[3], touch_silence, &s, sizeof(s));
	assert_true(silent_fs_asked(fs));
	timely_grows(r, peers, peers[3]);
	silent_fs_give_up(fs);
	assert_int_equal(peer_finish(peers[3], NULL, 0), SIGBUS);
	timely_catches_up(r, peers[3]);
}

CASE(a_thousand_grows_do_not_wait_for_a_page_that_never_comes)
{
	grows_beside_silence(0);
}

CASE(a_thousand_grows_do_not_wait_for_a_page_that_never_comes_under_the_lock)
{
	grows_beside_silence(2);
}
