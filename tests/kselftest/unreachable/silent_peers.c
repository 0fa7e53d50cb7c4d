/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Peers in the middle of a page fault that is never answered: nobody waits for them for
 * longer than the deadline, the others have the memory, and their pages follow.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/silent_fs.h"
#include "support/timely.h"

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

/* Waits for the mmap lock, if the fault holds it; then nobody else can take it, either. */
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
 * The first time a fault waits without the lock. If that is an error the fault is tried
 * again, and then it keeps the lock while it waits.
 */
static void grows_beside_silence(int errors)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[TIMELY_PEERS];
	struct silent_fs *fs;
	struct silence s;

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

static void a_thousand_grows_do_not_wait_for_a_page_that_never_comes(void **state)
{
	(void)state;
	grows_beside_silence(0);
}

static void a_thousand_grows_do_not_wait_for_a_page_that_never_comes_under_the_lock(void **state)
{
	(void)state;
	grows_beside_silence(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thousand_grows_do_not_wait_for_a_page_that_never_comes),
		TEST(a_thousand_grows_do_not_wait_for_a_page_that_never_comes_under_the_lock),
	};

	return test_run(tests);
}
