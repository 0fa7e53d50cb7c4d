/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking up the handle of an address, alone and while other threads add and remove handles. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "internal.h"

#define BASE 0x500000000000ULL
#define STEP (1ULL << 30)

static struct peershm *make_handle(uint64_t base, uint64_t capacity)
{
	struct peershm *handle = calloc(1, sizeof(*handle));

	assert_non_null(handle);
	handle->base = base;
	handle->capacity = capacity;
	assert_int_equal(pshm_fork_enter(&handle->epoch), 0);
	return handle;
}

static struct peershm *add(uint64_t base, uint64_t capacity)
{
	struct peershm *handle = make_handle(base, capacity);

	assert_int_equal(pshm_find_add(handle), 0);
	return handle;
}

static void drop(struct peershm *handle)
{
	pshm_find_remove(handle);
	free(handle);
}

static struct peershm *find(uint64_t address)
{
	return peershm_find((void *)(uintptr_t)address);
}

CASE(nothing_is_found_without_handles)
{
	assert_null(find(0));
	assert_null(find(BASE));
	assert_null(find(UINT64_MAX));
}

CASE(both_ends_of_a_window_are_found)
{
	struct peershm *handle = add(BASE, STEP);

	assert_ptr_equal(find(BASE), handle);
	assert_ptr_equal(find(BASE + STEP - 1), handle);
	assert_null(find(BASE - 1));
	assert_null(find(BASE + STEP));
	drop(handle);
}

CASE(removed_handle_is_not_found)
{
	struct peershm *first = add(BASE, STEP);
	struct peershm *second = add(BASE + STEP, STEP);

	drop(first);
	assert_null(find(BASE));
	assert_ptr_equal(find(BASE + STEP), second);
	drop(second);
	assert_null(find(BASE + STEP));
}

CASE(each_of_many_windows_is_found)
{
	enum {
		N = 500
	};
	static struct peershm *handles[N];

	/* 317 and 500 have no common factor, so every place comes once, in mixed order. */
	for (uint64_t i = 0; i < N; i++)
		handles[i * 317 % N] = add(BASE + i * 317 % N * 2 * STEP, STEP);
	for (uint64_t i = 0; i < N; i++) {
		assert_ptr_equal(find(BASE + i * 2 * STEP + STEP / 2), handles[i]);
		assert_null(find(BASE + i * 2 * STEP + STEP));
	}
	for (uint64_t i = 0; i < N; i += 2)
		drop(handles[i]);
	for (uint64_t i = 0; i < N; i++)
		assert_ptr_equal(find(BASE + i * 2 * STEP), i % 2 ? handles[i] : NULL);
	for (uint64_t i = 1; i < N; i += 2)
		drop(handles[i]);
}

CASE(window_that_lies_over_an_old_one_takes_its_place)
{
	struct peershm *old = add(BASE, STEP);
	struct peershm *new = add(BASE, 2 * STEP);

	assert_ptr_equal(find(BASE), new);
	drop(old);
	assert_ptr_equal(find(BASE), new);
	drop(new);
}

static void *fails(size_t size)
{
	(void)size;
	return NULL;
}

CASE(adding_without_memory_is_enomem_and_changes_nothing)
{
	const struct pshm_system broke = { .alloc = fails };
	struct peershm *first = add(BASE, STEP);
	struct peershm *second = make_handle(BASE + STEP, STEP);

	pshm_system = &broke;
	assert_int_equal(pshm_find_add(second), -ENOMEM);
	assert_ptr_equal(find(BASE), first);
	assert_null(find(BASE + STEP));
	drop(first); /* needs no memory, so it succeeds */
	pshm_system = &pshm_kernel;
	assert_null(find(BASE));
	free(second);
}

/*
 * Readers look up addresses while the writer adds handles, removes them and frees them
 * right after. If a look-up could still find a freed handle, that would be a use after
 * free, which ASan reports. The steady handle is never removed, and every look-up must
 * find it.
 */
static bool stop;
static struct peershm *steady;

static void *look_up(void *found)
{
	uint64_t *count = found;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (find(steady->base + 1) != steady)
			return "the steady window was lost";
		for (uint64_t i = 1; i < 8; i++)
			*count += find(BASE + i * STEP) != NULL;
	}
	return NULL;
}

/* A thousand times, or as often as a slow machine can in the time. */
#define ENOUGH 1000
#define AT_LEAST 20
#define SECONDS 10

static void *add_and_remove(void *argument)
{
	uint64_t base = BASE + STEP * (1 + 3 * *(uint64_t *)argument);
	time_t end = time(NULL) + SECONDS;

	for (int i = 0; i < ENOUGH && (i < AT_LEAST || time(NULL) < end); i++) {
		struct peershm *one = add(base, STEP);
		struct peershm *other = add(base + STEP, STEP);

		if (find(base) != one || find(base + STEP) != other)
			return "a window was lost to its own writer";
		drop(one);
		if (find(base))
			return "a removed window was found";
		drop(other);
	}
	return NULL;
}

CASE(lookups_are_right_while_others_add_and_remove)
{
	uint64_t number[2] = { 0, 1 };
	uint64_t found[2] = { 0, 0 };
	pthread_t readers[2];
	pthread_t writers[2];
	void *complaint;

	steady = add(BASE, STEP);
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++) {
		pthread_create(&readers[i], NULL, look_up, &found[i]);
		pthread_create(&writers[i], NULL, add_and_remove, &number[i]);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(writers[i], &complaint);
		assert_null(complaint);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &complaint);
		assert_null(complaint);
	}
	drop(steady);
}
