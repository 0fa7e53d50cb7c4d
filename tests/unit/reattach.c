/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A handle that was opened with PEERSHM_REATTACH is the child's own when fork() returns. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "fake_device.h"

#define GIB (1ULL << 30)

static struct peershm *open_region(unsigned int flags)
{
	struct peershm_options options = { .capacity = GIB };
	struct peershm *handle = NULL;

	assert_int_equal(peershm_open(&handle, "routes", "bgpd",
				      PEERSHM_CREATE | PEERSHM_REATTACH | flags, &options),
			 0);
	return handle;
}

/* The base and client id of the parent's handle. */
static void *base;
static uint64_t parents_id;

static struct peershm *open_parent(unsigned int flags)
{
	struct peershm *handle = open_region(flags);

	base = peershm_base(handle);
	parents_id = peershm_client_id(handle);
	assert_string_equal(peershm_client_name(handle), "bgpd");
	return handle;
}

static int is_a_client(struct peershm *handle, const char *name)
{
	expect(peershm_base(handle) == base);
	expect(peershm_client_id(handle) && peershm_client_id(handle) != parents_id);
	expect(!strcmp(peershm_client_name(handle), name));
	expect(!strcmp(fake.last_attach.client_name, name));
	expect(!strcmp(fake.last_attach.region_name, "routes"));
	expect(peershm_find(base) == handle);
	expect(peershm_header(handle)->base == (uintptr_t)base);
	expect(!peershm_grow(handle, 4096, NULL));
	expect(peershm_size(handle) >= 4096);
	return 0;
}

static int is_named_after_its_pid(struct peershm *handle)
{
	char name[PEERSHM_NAME_SIZE];

	snprintf(name, sizeof(name), "bgpd.%d", (int)getpid());
	return is_a_client(handle, name);
}

static int closes(struct peershm *handle)
{
	if (is_named_after_its_pid(handle))
		return 1;
	peershm_close(handle);
	expect(fake_count(PEERSHM_IOC_DETACH) == 1);
	expect(!peershm_find(base));
	expect(!fake.open_files);
	return 0;
}

static void child_is_a_client_of_its_own(void **state)
{
	struct peershm *handle = open_parent(0);
	uint64_t id = peershm_client_id(handle);

	(void)state;
	assert_true(in_child(fork(), closes, handle));
	assert_int_equal(fake_count(PEERSHM_IOC_DETACH), 0);
	assert_int_equal(peershm_client_id(handle), id);
	assert_string_equal(peershm_client_name(handle), "bgpd");
	assert_ptr_equal(peershm_find(base), handle);
	assert_int_equal(peershm_grow(handle, 4096, NULL), 0);
	peershm_close(handle);
}

static int forks_again(struct peershm *handle)
{
	if (is_named_after_its_pid(handle))
		return 1;
	parents_id = peershm_client_id(handle);
	expect(in_child(fork(), closes, handle));
	expect(peershm_client_id(handle) == parents_id);
	expect(!peershm_grow(handle, 8192, NULL));
	peershm_close(handle);
	expect(!fake.open_files);
	return 0;
}

static void child_of_a_child_is_one_too(void **state)
{
	struct peershm *handle = open_parent(0);

	(void)state;
	assert_true(in_child(fork(), forks_again, handle));
	peershm_close(handle);
}

static int is_read_only(struct peershm *handle)
{
	expect(peershm_client_id(handle) != parents_id);
	expect(fake.last_attach.flags == (PEERSHM_ATTACH_READ_ONLY | PEERSHM_ATTACH_DUMP));
	expect(peershm_grow(handle, 4096, NULL) == -EACCES);
	peershm_close(handle);
	expect(!fake.open_files);
	return 0;
}

static void child_of_a_read_only_client_is_read_only(void **state)
{
	struct peershm *handle = open_parent(PEERSHM_READ_ONLY | PEERSHM_DUMP);

	(void)state;
	assert_true(in_child(fork(), is_read_only, handle));
	peershm_close(handle);
}

/* The first name that a child asks for, after its PID, is another client's. */
static void take_name_of_this_pid(unsigned long command)
{
	(void)command;
	snprintf(fake.taken, sizeof(fake.taken), "bgpd.%d", (int)getpid());
}

static int is_the_second_of_its_pid(struct peershm *handle)
{
	char name[PEERSHM_NAME_SIZE];

	snprintf(name, sizeof(name), "bgpd.%d.2", (int)getpid());
	return is_a_client(handle, name);
}

static void name_that_is_taken_gets_a_number(void **state)
{
	struct peershm *handle = open_parent(0);

	(void)state;
	fake.before = take_name_of_this_pid;
	assert_true(in_child(fork(), is_the_second_of_its_pid, handle));
	peershm_close(handle);
}

static int is_lost(struct peershm *handle)
{
	struct peershm_region_info info;

	expect(peershm_grow(handle, 4096, NULL) == -ENOTCONN);
	expect(strstr(peershm_strerror(ENOTCONN), "could not attach again"));
	expect(strstr(peershm_strerror(ENOTCONN), "routes"));
	expect(peershm_stat(handle, &info) == -ENOTCONN);
	expect(!peershm_base(handle) && !peershm_client_name(handle));
	expect(!peershm_find(base));
	expect(!fake.open_files);
	return 0;
}

static int is_lost_and_so_is_its_child(struct peershm *handle)
{
	if (is_lost(handle))
		return 1;
	expect(in_child(fork(), is_lost, handle));
	peershm_close(handle);
	expect(!fake_count(PEERSHM_IOC_DETACH));
	return 0;
}

static void region_that_is_gone_is_enotconn_in_the_child(void **state)
{
	struct peershm *handle = open_parent(0);

	(void)state;
	assert_int_equal(peershm_unlink("routes"), 0);
	assert_true(in_child(fork(), is_lost_and_so_is_its_child, handle));
	peershm_close(handle);
}

static int is_lost_and_left_the_stranger(struct peershm *handle)
{
	if (is_lost(handle))
		return 1;
	expect(fake_count(PEERSHM_IOC_DETACH) == 1); /* from the other region */
	return 0;
}

static void another_region_of_the_name_is_enotconn_in_the_child(void **state)
{
	struct peershm_options options = { .capacity = GIB };
	struct peershm *handle = open_parent(0);
	struct peershm *other;

	(void)state;
	assert_int_equal(peershm_unlink("routes"), 0);
	assert_int_equal(peershm_open(&other, "routes", NULL, PEERSHM_CREATE, &options), 0);
	fake.nr_commands = 0;
	peershm_close(other);
	assert_true(in_child(fork(), is_lost_and_left_the_stranger, handle));
	peershm_close(handle);
}

/* Opening the device, ATTACH and mapping fail once each, only in the child. */
static void any_step_that_fails_is_enotconn_in_the_child(void **state)
{
	(void)state;
	for (int step = 1; step <= 3; step++) {
		struct peershm *handle = open_parent(0);

		fake.fail_at = fake.steps + step;
		fake.fail_with = ENOMEM;
		assert_true(in_child(fork(), is_lost, handle));
		fake.fail_at = 0;
		assert_int_equal(peershm_grow(handle, 4096, NULL), 0);
		peershm_close(handle);
	}
}

static void interrupted_attach_is_tried_again(void **state)
{
	struct peershm *handle = open_parent(0);

	(void)state;
	fake.fail_at = fake.steps + 2;
	fake.fail_with = EINTR;
	assert_true(in_child(fork(), closes, handle));
	fake.fail_at = 0;
	peershm_close(handle);
}

static int allocated_nothing(struct peershm *handle)
{
	expect(!fake.allocations);
	peershm_close(handle);
	return 0;
}

static void nothing_is_allocated_in_the_child(void **state)
{
	struct peershm *handle = open_parent(0);

	(void)state;
	fake.allocations = 0;
	assert_true(in_child(fork(), allocated_nothing, handle));
	peershm_close(handle);
}

static int is_enotconn(struct peershm *handle)
{
	expect(peershm_grow(handle, 4096, NULL) == -ENOTCONN);
	expect(strstr(peershm_strerror(ENOTCONN), "parent"));
	return 0;
}

static void child_of_a_raw_clone_is_no_client(void **state)
{
	struct peershm *handle = open_parent(0);

	(void)state;
	assert_true(in_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), is_enotconn, handle));
	peershm_close(handle);
}

static int only_one_is_a_client(struct peershm *handle)
{
	struct peershm *plain = *(struct peershm **)base;

	(void)handle;
	expect(peershm_client_id(plain) == 0 && errno == ENOTCONN);
	return 0;
}

static void handle_opened_without_the_flag_is_enotconn_all_the_same(void **state)
{
	struct peershm_options options = { .capacity = GIB };
	struct peershm *handle = open_parent(0);
	struct peershm *plain;

	(void)state;
	assert_int_equal(peershm_open(&plain, "other", "bgpd", PEERSHM_CREATE, &options), 0);
	base = &plain;
	assert_true(in_child(fork(), only_one_is_a_client, handle));
	peershm_close(plain);
	peershm_close(handle);
}

static struct peershm *shared;

static void *fork_again_and_again(void *failed)
{
	for (int i = 0; i < 50; i++) {
		if (!in_child(fork(), is_named_after_its_pid, shared))
			__atomic_store_n((bool *)failed, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void threads_that_fork_at_once_each_have_a_client(void **state)
{
	pthread_t threads[4];
	bool failed = false;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip_because("the sanitizer's allocator has locks that are not made for this");
#endif
	shared = open_parent(0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fork_again_and_again, &failed),
				 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_false(failed);
	peershm_close(shared);
}

static void *fork_cancelled(void *attached)
{
	bool named = false;
	int status;
	pid_t pid;

	pthread_cancel(pthread_self());
	pid = fork();
	if (!pid)
		named = is_named_after_its_pid(shared);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	if (!pid)
		_exit(named ? 1 : 2); /* may write counts of lines, to files */
	*(bool *)attached = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
			    WEXITSTATUS(status) == 2;
	return NULL;
}

/* The child would end within fork(). */
static void thread_that_is_cancelled_forks_a_client(void **state)
{
	bool attached = false;
	pthread_t thread;

	(void)state;
	skip_without_cancellation();
	shared = open_parent(0);
	pthread_create(&thread, NULL, fork_cancelled, &attached);
	pthread_join(thread, NULL);
	assert_true(attached);
	peershm_close(shared);
}

static void bad_arguments_are_einval(void **state)
{
	char longest[PSHM_REATTACH_NAME + 2];
	struct peershm *handle;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(peershm_open(&handle, "routes", NULL, PEERSHM_CREATE | PEERSHM_REATTACH,
				      NULL),
			 -EINVAL);
	assert_non_null(strstr(peershm_strerror(EINVAL), "client name"));
	assert_int_equal(peershm_open(&handle, "routes", longest, PEERSHM_CREATE | PEERSHM_REATTACH,
				      NULL),
			 -EINVAL);
	assert_int_equal(fake.steps, 0);
	longest[PSHM_REATTACH_NAME] = '\0';
	assert_int_equal(peershm_open(&handle, "routes", longest, PEERSHM_CREATE | PEERSHM_REATTACH,
				      NULL),
			 0);
	peershm_close(handle);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(child_is_a_client_of_its_own),
		WITH_DEVICE(child_of_a_child_is_one_too),
		WITH_DEVICE(child_of_a_read_only_client_is_read_only),
		WITH_DEVICE(name_that_is_taken_gets_a_number),
		WITH_DEVICE(region_that_is_gone_is_enotconn_in_the_child),
		WITH_DEVICE(another_region_of_the_name_is_enotconn_in_the_child),
		WITH_DEVICE(any_step_that_fails_is_enotconn_in_the_child),
		WITH_DEVICE(interrupted_attach_is_tried_again),
		WITH_DEVICE(nothing_is_allocated_in_the_child),
		WITH_DEVICE(child_of_a_raw_clone_is_no_client),
		WITH_DEVICE(handle_opened_without_the_flag_is_enotconn_all_the_same),
		WITH_DEVICE(threads_that_fork_at_once_each_have_a_client),
		WITH_DEVICE(thread_that_is_cancelled_forks_a_client),
		WITH_DEVICE(bad_arguments_are_einval),
	};

	return cmocka_run_group_tests_name("reattach", tests, NULL, NULL);
}
