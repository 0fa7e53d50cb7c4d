/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one thread does while another one is in the middle of a call. Each case has a process of
 * its own, because most happen once in a process.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <urcu/urcu-bp.h>

#include "check.h"
#include "child.h"
#include "fake_device.h"

/*
 * Leaks are not looked for here: in a child of fork, LeakSanitizer counts on threads that the
 * child does not have, and takes what they hold for lost.
 */
PEERSHM_API int __lsan_is_turned_off(void);
PEERSHM_API int __lsan_is_turned_off(void)
{
	return 1;
}

static struct peershm *open_region(const char *client)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };
	struct peershm *handle = NULL;

	peershm_open(&handle, "routes", client, PEERSHM_CREATE, &options);
	return handle;
}

static int open_and_close(struct peershm *none)
{
	struct peershm *handle = open_region("child");

	(void)none;
	expect(handle);
	expect(peershm_find(peershm_base(handle)) == handle);
	peershm_close(handle);
	return 0;
}

/* A thread that says who it is. */
struct helper {
	pthread_t thread;
	sem_t told, go;
	pid_t tid;
	struct peershm *handle;
	bool done;
};

static void tell(struct helper *helper)
{
	helper->tid = gettid();
	sem_post(&helper->told);
}

static bool start(struct helper *helper, void *(*run)(void *helper))
{
	sem_init(&helper->told, 0, 0);
	sem_init(&helper->go, 0, 0);
	if (pthread_create(&helper->thread, NULL, run, helper))
		return false;
	while (sem_wait(&helper->told))
		;
	return true;
}

/* Wait until the thread sleeps. A thread that has told waits for a lock then. */
static bool falls_asleep(const struct helper *helper)
{
	char path[64], text[256], state = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", helper->tid);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		if (!file || !fgets(text, sizeof(text), file))
			return false;
		fclose(file);
		sscanf(strrchr(text, ')'), ") %c", &state);
	}
	return true;
}

static void *read_and_end(void *argument)
{
	struct helper *helper = argument;

	helper->done = !peershm_read_lock(helper->handle);
	peershm_read_unlock(helper->handle);
	tell(helper);
	while (sem_wait(&helper->go))
		;
	tell(helper);
	return NULL;
}

static void *close_handle(void *argument)
{
	struct helper *helper = argument;

	tell(helper);
	peershm_close(helper->handle);
	return NULL;
}

/* Both need the lock, and the thread that ends is the first to get it. */
static int close_while_a_reader_ends(struct peershm *none)
{
	struct helper reader = { .handle = open_region("bgpd") };
	struct helper closer = { .handle = reader.handle };

	(void)none;
	expect(start(&reader, read_and_end) && reader.done);
	pshm_control_lock();
	sem_post(&reader.go);
	while (sem_wait(&reader.told))
		;
	expect(falls_asleep(&reader));
	expect(start(&closer, close_handle));
	expect(falls_asleep(&closer));
	pshm_control_unlock();
	pthread_join(reader.thread, NULL);
	pthread_join(closer.thread, NULL);
	expect(!fake.open_files && !fake.header_maps && !fake.windows);
	return 0;
}

DEVICE_CASE(a_thread_that_has_read_ends_while_another_closes)
{
	assert_true(in_child(fork(), close_while_a_reader_ends, NULL));
}

static void *look_up_for_long(void *argument)
{
	struct helper *helper = argument;

	urcu_bp_read_lock();
	tell(helper);
	while (sem_wait(&helper->go))
		;
	urcu_bp_read_unlock();
	return NULL;
}

static void *close_cancelled(void *argument)
{
	struct helper *helper = argument;

	pthread_cancel(pthread_self());
	tell(helper);
	peershm_close(helper->handle);
	helper->done = true;
	return NULL;
}

static void *open_cancelled(void *argument)
{
	struct helper *helper = argument;
	struct peershm_options options = { .capacity = 1ULL << 30 };

	pthread_cancel(pthread_self());
	tell(helper);
	peershm_open(&helper->handle, "other", "bgpd", PEERSHM_CREATE, &options);
	helper->done = true;
	return NULL;
}

/* Opening and closing wait, with a lock held, for look-ups that have begun. */
static int survive_cancellation(void *(*run)(void *helper))
{
	struct helper reader = { .handle = NULL };
	struct helper cancelled = { .handle = open_region("bgpd") };
	struct peershm *first = cancelled.handle;

	expect(start(&reader, look_up_for_long));
	expect(start(&cancelled, run));
	expect(falls_asleep(&cancelled));
	sem_post(&reader.go);
	pthread_join(reader.thread, NULL);
	pthread_join(cancelled.thread, NULL);
	expect(cancelled.done);
	if (cancelled.handle != first) {
		peershm_close(cancelled.handle);
		peershm_close(first);
	}
	return open_and_close(NULL);
}

static int close_with_cancellation(struct peershm *none)
{
	(void)none;
	return survive_cancellation(close_cancelled);
}

static int open_with_cancellation(struct peershm *none)
{
	(void)none;
	return survive_cancellation(open_cancelled);
}

DEVICE_CASE(a_thread_that_is_cancelled_opens_and_closes_to_the_end)
{
	skip_without_cancellation();
	assert_true(in_child(fork(), close_with_cancellation, NULL));
	assert_true(in_child(fork(), open_with_cancellation, NULL));
}

/* What another thread does in the first open, before or after the fork handlers are registered. */
static struct {
	void *(*run)(void *done);
	bool after;
	bool done;
} meanwhile;

static void happen(bool after)
{
	void *(*run)(void *done) = meanwhile.run;
	pthread_t thread;

	if (!run || meanwhile.after != after)
		return;
	meanwhile.run = NULL;
	pthread_create(&thread, NULL, run, &meanwhile.done);
	pthread_join(thread, NULL);
}

int __real_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
	int err;

	happen(false);
	err = __real_pthread_atfork(before, parent, child);
	happen(true);
	return err;
}

static int open_and_fork(struct peershm *none)
{
	expect(!open_and_close(none));
	expect(in_child(fork(), open_and_close, none));
	return 0;
}

static void *fork_a_child_that_opens(void *done)
{
	*(bool *)done = in_child(fork(), open_and_fork, NULL);
	return NULL;
}

static void *open_and_fork_in_thread(void *done)
{
	*(bool *)done = !open_and_fork(NULL);
	return NULL;
}

static int open_meanwhile(struct peershm *none)
{
	expect(!open_and_fork(none));
	expect(meanwhile.done);
	return 0;
}

static bool both_end_well(void *(*run)(void *done))
{
	bool well = true;

	for (int after = 0; after < 2; after++) {
		meanwhile.run = run;
		meanwhile.after = after;
		well &= in_child(fork(), open_meanwhile, NULL);
	}
	return well;
}

DEVICE_CASE(a_fork_during_the_first_open_leaves_a_child_that_can_open)
{
	assert_true(both_end_well(fork_a_child_that_opens));
}

DEVICE_CASE(two_first_opens_at_once_leave_a_process_that_can_fork)
{
	assert_true(both_end_well(open_and_fork_in_thread));
}
