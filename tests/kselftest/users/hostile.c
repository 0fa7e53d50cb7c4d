/* SPDX-License-Identifier: GPL-2.0-only */
/* Users who mean harm, and calls that nobody makes by accident. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/race.h"
#include "support/taken.h"

/* The name that is made and unlinked: the same in all peers of the race. */
static char contested[PEERSHM_NAME_SIZE];

/* What the peers of that race tell each other in race_shared->values. */
enum {
	LAST_ID,
	CREATOR_DONE,
	UNLINKED_BY_NAME,
	UNLINKED_BY_ID
};

static uint64_t shared_value(int which)
{
	return __atomic_load_n(&race_shared->values[which], __ATOMIC_ACQUIRE);
}

static void share_value(int which, uint64_t value)
{
	__atomic_store_n(&race_shared->values[which], value, __ATOMIC_RELEASE);
}

static long create_for_ever(void *arg)
{
	const struct race *race = arg;
	uint64_t id, last = race->id;
	int fd = device_open(O_RDWR);

	race_expect(fd >= 0, fd);
	share_value(LAST_ID, last);
	race_together();
	for (unsigned int i = 0; i < race->rounds; i++) {
		uint64_t end = now_ms() + DEADLINE_MS;
		long err;

		do {
			err = do_create(fd, contested, small, GIB, &id);
			race_expect(now_ms() < end, i);
		} while (err == -EEXIST);
		race_expect(err == 0, err);
		/* Ids go up by 1; others may have made regions meanwhile, but not that many. */
		race_expect(id > last, id);
		race_expect(id - last < 100000, id);
		last = id;
		share_value(LAST_ID, last);
	}
	share_value(CREATOR_DONE, 1);
	close(fd);
	return 0;
}

static long unlink_by_name_for_ever(void *arg)
{
	int fd = device_open(O_RDWR);
	uint64_t n = 0;

	(void)arg;
	race_expect(fd >= 0, fd);
	race_together();
	while (!shared_value(CREATOR_DONE)) {
		long err = do_unlink(fd, contested);

		race_expect(err == 0 || err == -ENOENT, err);
		n += err == 0;
	}
	share_value(UNLINKED_BY_NAME, n);
	close(fd);
	return 0;
}

/* Unlink the region that is made next, before its creator knows its id. */
static long unlink_by_id_for_ever(void *arg)
{
	int fd = device_open(O_RDWR);
	uint64_t n = 0;

	(void)arg;
	race_expect(fd >= 0, fd);
	race_together();
	while (!shared_value(CREATOR_DONE)) {
		long err = do_unlink_id(fd, shared_value(LAST_ID) + 1);

		race_expect(err == 0 || err == -ENOENT, err);
		n += err == 0;
	}
	share_value(UNLINKED_BY_ID, n);
	close(fd);
	return 0;
}

CASE(a_region_unlinked_while_it_is_created_gives_its_own_id)
{
	static const peer_function functions[] = { create_for_ever, unlink_by_name_for_ever,
						   unlink_by_id_for_ever };
	struct region *r = region_new(small, GIB);
	unsigned int rounds = test_scale(2000);
	uint64_t unlinked;

	region_name(contested);
	race_run(r, functions, 3, rounds);
	unlinked = shared_value(UNLINKED_BY_NAME) + shared_value(UNLINKED_BY_ID);
	/* The last region may still be there. */
	assert_in_range(unlinked, rounds - 1, rounds);
	assert_error(do_unlink(r->fd, contested), unlinked == rounds ? -ENOENT : 0);
}

struct heir {
	pid_t pid; /* out */
	int fd;	   /* out */
};

/* Leave a child that inherits the client's open file, and does nothing with it. */
static long leave_an_heir(void *arg)
{
	struct heir *h = arg;

	h->fd = self.fd;
	h->pid = fork();
	if (h->pid < 0)
		return -errno;
	if (h->pid == 0) {
		for (;;)
			pause();
	}
	return 0;
}

static void end_heir(void *arg)
{
	const struct heir *h = arg;

	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

struct gone {
	const struct region *region;
	long memory; /* what was taken before */
};

static bool is_gone(void *arg)
{
	const struct gone *g = arg;

	return do_stat(g->region->fd, g->region->id, NULL, NULL) == -ENOENT &&
	       taken(g->region->backing) <= g->memory;
}

CASES(an_inherited_file_does_not_keep_the_memory, ALL_BACKINGS)
{
	static struct heir heir;
	struct peershm_create again = { .size = sizeof(again), .capacity = b->capacity };
	struct gone gone = { .memory = taken(b) + (long)MIB };
	struct peer *parent;
	struct region *r;
	char path[64];

	backing_needs(b, b->step);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	r = region_new(b, b->capacity);
	gone.region = r;
	region_grow(r, b->step);
	parent = peer_join(r, "parent");
	assert_ok(peer_call(parent, leave_an_heir, &heir, sizeof(heir)));
	test_cleanup(end_heir, &heir);
	assert_false(is_gone(&gone));
	assert_ok(do_unlink(r->fd, r->name));
	peer_kill(parent);
	assert_true(test_until(is_gone, &gone, 10000));

	/* Its address is free as well, and the child still has the file. */
	region_name(again.name);
	again.base = r->base;
	again.backing = b->id;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_CREATE, &again));
	assert_int_equal(again.base, r->base);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)heir.pid, heir.fd);
	assert_int_equal(access(path, F_OK), 0);
}
