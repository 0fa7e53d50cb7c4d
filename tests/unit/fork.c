/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In a child of fork, calls with the parent's handles fail and do no harm. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "fake_device.h"

#define GIB (1ULL << 30)

static struct peershm *open_region(const char *name, const char *client, uint64_t base)
{
	struct peershm_options options = { .capacity = GIB, .base = base };
	struct peershm *handle = NULL;

	if (peershm_open(&handle, name, client, PEERSHM_CREATE, &options))
		return NULL;
	return handle;
}

static int every_call_fails(struct peershm *handle)
{
	struct peershm_region_info info;
	struct peershm_root_info root = { 0 };
	char client[PEERSHM_NAME_SIZE];
	int steps = fake.steps;
	pid_t pid;

	expect(peershm_grow(handle, 4096, NULL) == -ENOTCONN);
	expect(peershm_shrink(handle, 0, 0) == -ENOTCONN);
	expect(peershm_shrink_force(handle, 0) == -ENOTCONN);
	expect(peershm_synchronize(handle, 0) == -ENOTCONN);
	expect(peershm_read_lock(handle) == -ENOTCONN);
	peershm_read_unlock(handle);
	expect(peershm_map_all(handle, 0, 0, NULL) == -ENOTCONN);
	expect(peershm_map_pid(handle, 1, 0, 0, NULL) == -ENOTCONN);
	expect(peershm_map_name(handle, "x", 0, 0, NULL) == -ENOTCONN);
	expect(peershm_set_root(handle, NULL, NULL) == -ENOTCONN);
	expect(peershm_publish(handle, "x", NULL, handle) == -ENOTCONN);
	expect(peershm_withdraw(handle, "x", NULL) == -ENOTCONN);
	expect(peershm_read_root(handle, NULL, &root) == -ENOTCONN);
	expect(peershm_replace_root(handle, &root, NULL) == -ENOTCONN);
	expect(peershm_roots(handle, NULL, 0) == -ENOTCONN);
	expect(peershm_clients(handle, NULL, 0) == -ENOTCONN);
	expect(peershm_header_clients(handle, NULL, 0) == -ENOTCONN);
	expect(peershm_resolve_name(handle, "x", &pid) == -ENOTCONN);
	expect(peershm_resolve_pid(handle, 1, client) == -ENOTCONN);
	expect(peershm_stat(handle, &info) == -ENOTCONN);
	expect(strstr(peershm_strerror(ENOTCONN), "parent"));
	errno = 0;
	expect(!peershm_base(handle) && errno == ENOTCONN);
	errno = 0;
	expect(!peershm_extend(handle, 4096) && errno == ENOTCONN);
	errno = 0;
	expect(!peershm_root(handle) && errno == ENOTCONN);
	errno = 0;
	expect(!peershm_lookup(handle, "x") && errno == ENOTCONN);
	errno = 0;
	expect(!peershm_size(handle) && errno == ENOTCONN);
	expect(!peershm_capacity(handle) && !peershm_page_size(handle));
	expect(!peershm_client_id(handle) && !peershm_header(handle));
	expect(fake.steps == steps); /* the device was not touched */
	return 0;
}

static void every_call_in_a_child_is_enotconn(void **state)
{
	struct peershm *handle = open_region("routes", "bgpd", 0);

	(void)state;
	assert_non_null(handle);
	assert_true(in_child(fork(), every_call_fails, handle));
	assert_int_equal(peershm_grow(handle, 4096, NULL), 0);
	peershm_close(handle);
}

static void administrators_handle_in_a_child_is_enotconn(void **state)
{
	struct peershm *handle = open_region("routes", NULL, 0);

	(void)state;
	assert_non_null(handle);
	assert_true(in_child(fork(), every_call_fails, handle));
	peershm_close(handle);
}

static void child_of_a_raw_clone_knows_too(void **state)
{
	struct peershm *handle = open_region("routes", "bgpd", 0);

	(void)state;
	assert_non_null(handle);
	assert_true(
		in_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), every_call_fails, handle));
	peershm_close(handle);
}

/* `none` is NULL. */
static int no_handle_is_einval(struct peershm *none)
{
	struct peershm_root_info root = { 0 };
	struct peershm_region_info info;
	struct peershm_event event;
	char client[PEERSHM_NAME_SIZE];
	pid_t pid;

	expect(peershm_read_lock(none) == -EINVAL);
	peershm_read_unlock(none);
	expect(peershm_grow(none, 4096, NULL) == -EINVAL);
	expect(peershm_shrink(none, 0, 0) == -EINVAL);
	expect(peershm_shrink_force(none, 0) == -EINVAL);
	expect(peershm_synchronize(none, 0) == -EINVAL);
	expect(peershm_set_reserve(none, 0) == -EINVAL);
	expect(peershm_map_all(none, 0, 0, NULL) == -EINVAL);
	expect(peershm_map_pid(none, 1, 0, 0, NULL) == -EINVAL);
	expect(peershm_map_name(none, "x", 0, 0, NULL) == -EINVAL);
	expect(peershm_set_root(none, NULL, NULL) == -EINVAL);
	expect(peershm_publish(none, "x", NULL, &info) == -EINVAL);
	expect(peershm_withdraw(none, "x", NULL) == -EINVAL);
	expect(peershm_read_root(none, NULL, &root) == -EINVAL);
	expect(peershm_replace_root(none, &root, NULL) == -EINVAL);
	expect(peershm_roots(none, NULL, 0) == -EINVAL);
	expect(peershm_clients(none, NULL, 0) == -EINVAL);
	expect(peershm_header_clients(none, NULL, 0) == -EINVAL);
	expect(peershm_resolve_name(none, "x", &pid) == -EINVAL);
	expect(peershm_resolve_pid(none, 1, client) == -EINVAL);
	expect(peershm_stat(none, &info) == -EINVAL);
	expect(peershm_next_event(none, &event, 0) == -EINVAL);
	expect(peershm_event_fd(none) == -EINVAL);
	expect(strstr(peershm_strerror(EINVAL), "the handle is NULL"));
	errno = 0;
	expect(!peershm_extend(none, 4096) && errno == EINVAL);
	errno = 0;
	expect(!peershm_lookup(none, "x") && errno == EINVAL);
	errno = 0;
	expect(!peershm_root(none) && errno == EINVAL);
	errno = 0;
	expect(!peershm_size(none) && errno == EINVAL);
	expect(!peershm_base(none) && !peershm_header(none) && !peershm_client_name(none));
	expect(!peershm_capacity(none) && !peershm_page_size(none));
	expect(!peershm_client_id(none));
	expect(!peershm_find(none));
	peershm_close(none);
	return 0;
}

/* What a thread has of its read sections reads as zero in the child, and so does a handle there. */
static void no_handle_is_einval_in_a_child_of_a_reader_too(void **state)
{
	struct peershm *handle = open_region("routes", "bgpd", 0);

	(void)state;
	assert_int_equal(peershm_read_lock(handle), 0);
	peershm_read_unlock(handle);
	assert_int_equal(no_handle_is_einval(NULL), 0);
	assert_true(in_child(fork(), no_handle_is_einval, NULL));
	assert_true(in_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), no_handle_is_einval,
			     NULL));
	peershm_close(handle);
}

static uint64_t inherited_base;

static int finds_nothing(struct peershm *handle)
{
	(void)handle;
	expect(!peershm_find((void *)(uintptr_t)inherited_base));
	return 0;
}

static void child_does_not_find_the_parents_handle(void **state)
{
	struct peershm *handle = open_region("routes", "bgpd", 0);

	(void)state;
	assert_non_null(handle);
	inherited_base = (uintptr_t)peershm_base(handle);
	assert_true(in_child(fork(), finds_nothing, handle));
	assert_ptr_equal(peershm_find(peershm_base(handle)), handle);
	peershm_close(handle);
}

/* The child has another mapping at the window's address; closing must not unmap it. */
static int closes_without_detaching(struct peershm *handle)
{
	char *stranger = mmap((void *)(uintptr_t)inherited_base, 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	int maps = fake.header_maps;

	expect(stranger == (char *)(uintptr_t)inherited_base);
	*stranger = 1;
	peershm_close(handle);
	expect(*stranger == 1);
	expect(!fake_count(PEERSHM_IOC_DETACH));
	expect(fake.header_maps == maps);
	expect(!fake.open_files);
	return 0;
}

static void close_in_a_child_leaves_the_parents_client_alone(void **state)
{
	struct peershm *handle = open_region("routes", "bgpd", 0);

	(void)state;
	assert_non_null(handle);
	inherited_base = (uintptr_t)peershm_base(handle);
	assert_true(in_child(fork(), closes_without_detaching, handle));
	peershm_close(handle);
	assert_int_equal(fake_count(PEERSHM_IOC_DETACH), 1);
}

/* At the same base as the parent, because it is the same region. */
static int opens_itself(struct peershm *inherited)
{
	struct peershm *handle;

	fake_setup(NULL);
	handle = open_region("routes", "child", inherited_base);
	expect(handle);
	expect((uintptr_t)peershm_base(handle) == inherited_base);
	expect(peershm_find((void *)(uintptr_t)inherited_base) == handle);
	expect(!peershm_grow(handle, 4096, NULL));
	expect(peershm_grow(inherited, 8192, NULL) == -ENOTCONN);
	peershm_close(inherited);
	expect(peershm_find((void *)(uintptr_t)inherited_base) == handle);
	expect(in_child(fork(), every_call_fails, handle));
	peershm_close(handle);
	expect(!peershm_find((void *)(uintptr_t)inherited_base));
	return 0;
}

static void child_can_open_the_region_itself(void **state)
{
	struct peershm *handle = open_region("routes", "bgpd", 0);

	(void)state;
	assert_non_null(handle);
	inherited_base = (uintptr_t)peershm_base(handle);
	assert_true(in_child(fork(), opens_itself, handle));
	peershm_close(handle);
}

static bool stop;

static void *open_and_close(void *failed)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct peershm *handle = open_region("routes", "bgpd", 0x590000000000);

		if (!handle)
			*(bool *)failed = true;
		peershm_close(handle);
	}
	return NULL;
}

static void *look_up(void *argument)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		peershm_find((void *)0x590000000000);
	return argument;
}

static int opens_and_closes(struct peershm *inherited)
{
	struct peershm *handle;

	(void)inherited;
	memset(&fake, 0, sizeof(fake)); /* another thread may have changed it during the fork */
	handle = open_region("own", "child", 0x5a0000000000);
	expect(handle);
	expect(peershm_find(peershm_base(handle)) == handle);
	peershm_close(handle);
	return 0;
}

static void fork_while_others_open_and_look_up_hangs_nobody(void **state)
{
	bool failed = false;
	pthread_t threads[2];

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip_because("the sanitizer's allocator has locks that are not made for this");
#endif
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	pthread_create(&threads[0], NULL, open_and_close, &failed);
	pthread_create(&threads[1], NULL, look_up, NULL);
	for (int i = 0; i < 200; i++)
		assert_true(in_child(fork(), opens_and_closes, NULL));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_false(failed);
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(every_call_in_a_child_is_enotconn),
		WITH_DEVICE(administrators_handle_in_a_child_is_enotconn),
		WITH_DEVICE(child_of_a_raw_clone_knows_too),
		WITH_DEVICE(no_handle_is_einval_in_a_child_of_a_reader_too),
		WITH_DEVICE(child_does_not_find_the_parents_handle),
		WITH_DEVICE(close_in_a_child_leaves_the_parents_client_alone),
		WITH_DEVICE(child_can_open_the_region_itself),
		WITH_DEVICE(fork_while_others_open_and_look_up_hangs_nobody),
	};

	return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
