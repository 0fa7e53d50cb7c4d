/* SPDX-License-Identifier: GPL-2.0-only */
/* Read sections of other processes, and shrinks of the library that wait for them. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/library.h"

#define SHORT_MS 100

static const struct peershm_options options = { .capacity = GIB, .size = 4 * MIB };

/* A region that this process and a peer have opened. */
static struct peer *region_with_reader(unsigned int flags)
{
	struct open_order o = { .client = "reader", .flags = flags };
	struct peer *p = peer_new();

	open_here(o.region, "test", &options);
	assert_ok(peer_call(p, open_by_library, &o, sizeof(o)));
	return p;
}

static long enter(void *arg)
{
	(void)arg;
	return peershm_read_lock(shm);
}

static long leave(void *arg)
{
	(void)arg;
	peershm_read_unlock(shm);
	return 0;
}

static long leave_late(void *arg)
{
	usleep(SHORT_MS * 1000);
	return leave(arg);
}

static long announce(void *arg)
{
	struct peershm_region_info info;
	long err = peershm_stat(shm, &info);
	int fd = -1;

	(void)arg;
	/* Through the file of the handle: the library would withdraw the announcement. */
	for (int i = 3; !err && i < 64; i++) {
		struct peershm_shrink s = { .size = sizeof(s), .flags = PEERSHM_SHRINK_ANNOUNCE };

		s.new_size = MIB;
		if (!xioctl(i, PEERSHM_IOC_SHRINK, &s))
			fd = i;
	}
	return fd < 0 ? -ENOENT : err;
}

static void nothing_changed(void)
{
	assert_int_equal(peershm_size(shm), 4 * MIB);
	assert_int_equal(peershm_header(shm)->watermark, 4 * MIB);
	assert_int_equal(touch((uintptr_t)peershm_base(shm) + 4 * MIB - 1, true), 0);
}

static void check_waiting(struct peer *p)
{
	for (int depth = 1; depth <= 3; depth++)
		assert_ok(peer_call(p, enter, NULL, 0));
	for (int depth = 3; depth >= 1; depth--) {
		assert_error(peershm_synchronize(shm, SHORT_MS), -ETIMEDOUT);
		assert_non_null(strstr(peershm_strerror(ETIMEDOUT), "reader"));
		assert_ok(peer_call(p, leave, NULL, 0));
	}
	assert_ok(peershm_synchronize(shm, DEADLINE_MS));
}

CASE(a_nested_section_of_another_process_is_waited_for)
{
	check_waiting(region_with_reader(0));
}

CASE(a_section_of_a_read_only_client_is_waited_for)
{
	check_waiting(region_with_reader(PEERSHM_READ_ONLY));
}

CASE(shrink_waits_for_a_section_and_then_revokes)
{
	struct peer *p = region_with_reader(0);

	assert_ok(peer_call(p, enter, NULL, 0));
	assert_error(peershm_shrink(shm, MIB, SHORT_MS), -ETIMEDOUT);
	nothing_changed();
	peer_start(p, leave_late, NULL, 0);
	assert_ok(peershm_shrink(shm, MIB, DEADLINE_MS));
	assert_ok(peer_finish(p, NULL, 0));
	assert_int_equal(peershm_size(shm), MIB);
	assert_int_equal(peershm_header(shm)->watermark, MIB);
	assert_int_equal(peer_touch(p, (uintptr_t)peershm_base(shm) + MIB), SIGBUS);
}

CASE(force_waits_for_nobody)
{
	struct peer *p = region_with_reader(0);

	assert_ok(peer_call(p, enter, NULL, 0));
	assert_ok(peershm_shrink_force(shm, MIB));
	assert_int_equal(peershm_size(shm), MIB);
	assert_ok(peer_call(p, leave, NULL, 0));
}

CASE(a_reader_that_dies_inside_is_not_waited_for)
{
	struct peer *p = region_with_reader(0);

	assert_ok(peer_call(p, enter, NULL, 0));
	assert_error(peershm_shrink(shm, MIB, SHORT_MS), -ETIMEDOUT);
	peer_kill(p);
	assert_ok(peershm_shrink(shm, MIB, DEADLINE_MS));
}

CASE(a_reader_that_is_stopped_inside_is_etimedout)
{
	struct peer *p = region_with_reader(0);

	assert_ok(peer_call(p, enter, NULL, 0));
	peer_stop(p);
	assert_error(peershm_shrink(shm, MIB, SHORT_MS), -ETIMEDOUT);
	nothing_changed();
	peer_continue(p);
	assert_ok(peer_call(p, leave, NULL, 0));
	assert_ok(peershm_shrink(shm, MIB, DEADLINE_MS));
}

/* In a peer: attach without the library, and leave, but keep the control page mapped. */
static uint32_t *page;

static long leave_page_behind(void *arg)
{
	const struct open_order *o = arg;
	struct peershm_attach at;
	int fd = device_open(O_RDWR);
	int err = do_attach(fd, o->region, "forger", PEERSHM_ATTACH_READ_ONLY, &at);
	size_t size = sysconf(_SC_PAGESIZE);

	/* The page of the second client, which this process is. */
	if (!err)
		page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    (off_t)PEERSHM_CONTROL_OFFSET + 2 * (off_t)size);
	if (!err && page == MAP_FAILED)
		err = -errno;
	return err ? err : do_detach(fd);
}

static long write_page(void *arg)
{
	for (long i = 0; i < sysconf(_SC_PAGESIZE) / (long)sizeof(*page); i++)
		__atomic_store_n(&page[i], *(uint32_t *)arg, __ATOMIC_SEQ_CST);
	return 0;
}

CASE(who_has_left_cannot_forge_the_sections_of_who_came_after)
{
	struct open_order o = { .client = "reader", .flags = PEERSHM_READ_ONLY };
	struct peer *forger = peer_new(), *reader = peer_new();
	uint32_t none = 0, one = 1;

	open_here(o.region, "test", &options);
	assert_ok(peer_call(forger, leave_page_behind, &o, sizeof(o)));
	assert_ok(peer_call(reader, open_by_library, &o, sizeof(o)));
	assert_ok(peer_call(reader, enter, NULL, 0));
	assert_ok(peer_call(forger, write_page, &none, sizeof(none)));
	assert_error(peershm_shrink(shm, MIB, SHORT_MS), -ETIMEDOUT);
	nothing_changed();
	assert_ok(peer_call(reader, leave, NULL, 0));
	assert_ok(peer_call(forger, write_page, &one, sizeof(one)));
	assert_ok(peershm_shrink(shm, MIB, DEADLINE_MS));
}

CASE(an_announcement_falls_with_its_client)
{
	struct peer *p = region_with_reader(0);

	assert_ok(peer_call(p, announce, NULL, 0));
	assert_int_equal(peershm_header(shm)->watermark, MIB);
	assert_error(peershm_shrink(shm, MIB, SHORT_MS), -EBUSY);
	peer_kill(p);
	nothing_changed();
	assert_ok(peershm_shrink(shm, MIB, DEADLINE_MS));
}

/* In a peer that is in a section: 1 if somebody waits for its end. */
static long awaited(void *arg)
{
	(void)arg;
	return __atomic_load_n(&peershm_reader_->slot->waiting, __ATOMIC_ACQUIRE);
}

static bool is_awaited(void *peer)
{
	return peer_call(peer, awaited, NULL, 0) == 1;
}

/* In a peer: threads that shrink the region. */
static struct shrinker {
	pthread_t thread;
	int err;
} shrinkers[2];

static void *shrink(void *arg)
{
	((struct shrinker *)arg)->err = peershm_shrink(shm, MIB, DEADLINE_MS);
	return NULL;
}

static long start_shrink(void *thread)
{
	struct shrinker *s = &shrinkers[*(int *)thread];

	return -pthread_create(&s->thread, NULL, shrink, s);
}

static long end_shrink(void *thread)
{
	struct shrinker *s = &shrinkers[*(int *)thread];

	return pthread_join(s->thread, NULL) ? -EDEADLK : s->err;
}

/* A thread of the peer has announced, and waits for the reader, which is in a section. */
static void shrink_waits_for(struct peer *reader, struct peer *p, int thread)
{
	assert_ok(peer_call(p, start_shrink, &thread, sizeof(thread)));
	assert_true(test_until(is_awaited, reader, DEADLINE_MS));
	assert_int_equal(peershm_header(shm)->watermark, MIB);
}

static struct peer *open_as(struct open_order *o, const char *client)
{
	struct peer *p = peer_new();

	put_name(o->client, client);
	assert_ok(peer_call(p, open_by_library, o, sizeof(*o)));
	return p;
}

/*
 * The first thread has seen that the early reader is in no section, and waits for the late one.
 * Then the region grows, and the early reader begins a section, for which the second thread waits.
 */
CASE(two_threads_that_shrink_wait_for_readers_each)
{
	int first = 0, second = 1;
	struct peer *early, *late, *p;
	struct open_order o = { 0 };
	long err;

	open_here(o.region, "test", &options);
	early = open_as(&o, "early");
	late = open_as(&o, "late");
	p = open_as(&o, "shrinks");
	assert_ok(peer_call(late, enter, NULL, 0));
	shrink_waits_for(late, p, first);
	assert_ok(peershm_grow(shm, 5 * MIB, NULL));
	assert_ok(peer_call(early, enter, NULL, 0));
	shrink_waits_for(early, p, second);
	assert_ok(peer_call(late, leave, NULL, 0));
	err = peer_call(p, end_shrink, &first, sizeof(first));
	assert_int_equal(peer_touch(early, (uintptr_t)peershm_base(shm) + 4 * MIB), 0);
	assert_error(err, -ECANCELED);
	assert_ok(peer_call(early, leave, NULL, 0));
	assert_ok(peer_call(p, end_shrink, &second, sizeof(second)));
	assert_int_equal(peershm_size(shm), MIB);
}

/* One more than a thread can be in read sections of at once. */
#define REGIONS 129

static struct {
	struct peershm *handle;
	char name[PEERSHM_NAME_SIZE];
} many[REGIONS];

static void unlink_many(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < REGIONS; i++) {
		peershm_close(many[i].handle);
		many[i].handle = NULL;
		peershm_unlink(many[i].name);
	}
}

CASE(a_thread_reads_in_128_regions_and_no_more)
{
	static const struct peershm_options small_options = { .capacity = MIB };

	test_cleanup(unlink_many, NULL);
	for (unsigned int i = 0; i < REGIONS; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "t-%d-%u", (int)getpid(), i);
		assert_ok(peershm_open(&many[i].handle, many[i].name, "test", PEERSHM_CREATE,
				       &small_options));
	}
	for (unsigned int i = 0; i < REGIONS - 1; i++)
		assert_ok(peershm_read_lock(many[i].handle));
	assert_error(peershm_read_lock(many[REGIONS - 1].handle), -ENOSPC);
	assert_non_null(strstr(peershm_strerror(ENOSPC), "128 regions"));
	for (unsigned int i = 0; i < REGIONS - 1; i++)
		peershm_read_unlock(many[i].handle);
	peershm_close(many[0].handle);
	many[0].handle = NULL;
	assert_ok(peershm_read_lock(many[REGIONS - 1].handle));
	peershm_read_unlock(many[REGIONS - 1].handle);
}
