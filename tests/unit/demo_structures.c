/* SPDX-License-Identifier: GPL-2.0-only */
/* The demo's tree, hash table and allocator. They are made for a region, but need none. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "../../tools/demo/arena.h"
#include "../../tools/demo/symbols.h"
#include "../../tools/demo/table.h"
#include "../../tools/demo/tree.h"

#define ROOM (32u << 20)
#define MANY 20000

struct memory {
	char *start;
	unsigned int calls;
	struct arena arena;
};

/* Grows in steps of 64 KiB, up to ROOM. */
static char *more(void *context, size_t length)
{
	struct memory *memory = context;
	size_t left = (size_t)(memory->start + ROOM - memory->arena.end);
	size_t step = length > 65536 ? length : 65536;

	memory->calls++;
	return step > left ? NULL : memory->arena.end + step;
}

static int set_up(void **state)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	assert_non_null(memory);
	memory->start = aligned_alloc(4096, ROOM);
	assert_non_null(memory->start);
	memset(memory->start, 0xa5, ROOM);
	memory->arena = (struct arena){ memory->start, memory->start, more, memory };
	*state = memory;
	return 0;
}

static int tear_down(void **state)
{
	struct memory *memory = *state;

	free(memory->start);
	free(memory);
	return 0;
}

static void arena_aligns_and_does_not_overlap(void **state)
{
	struct memory *memory = *state;
	char *last = memory->start;

	for (size_t i = 1; i < 2000; i++) {
		size_t align = (size_t)1 << (i % 8);
		char *got = arena_alloc(&memory->arena, i, align);

		assert_non_null(got);
		assert_int_equal((uintptr_t)got % align, 0);
		assert_true(got >= last);
		last = got + i;
		assert_true(last <= memory->arena.end);
	}
	assert_true(memory->calls > 1);
}

static void arena_that_is_full_says_so_and_stays_as_it_was(void **state)
{
	struct memory *memory = *state;
	struct arena before;

	assert_non_null(arena_alloc(&memory->arena, 100, 64));
	before = memory->arena;
	assert_null(arena_alloc(&memory->arena, ROOM, 64));
	assert_null(arena_alloc(&memory->arena, SIZE_MAX, 64));
	assert_memory_equal(&before, &memory->arena, sizeof(before));
	assert_non_null(arena_alloc(&memory->arena, 100, 64));
}

static uint64_t shuffle(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The same look-up in a sorted array: the greatest element not above key, or NULL. */
static const uint64_t *expected_floor(const uint64_t *sorted, size_t n, uint64_t key)
{
	size_t low = 0;

	while (n) {
		if (sorted[low + n / 2] <= key) {
			low += n / 2 + 1;
			n -= n / 2 + 1;
		} else {
			n /= 2;
		}
	}
	return low ? &sorted[low - 1] : NULL;
}

static void check_floor(const struct tree *tree, const uint64_t *sorted, size_t n, uint64_t key)
{
	const uint64_t *expected = expected_floor(sorted, n, key);
	const struct tree_item *found = tree_floor(tree, key);

	if (!expected) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_int_equal(found->key, *expected);
}

static void fill(struct memory *memory, struct tree *tree, uint64_t *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct tree_item *item = arena_alloc(&memory->arena, sizeof(*item), 8);
		struct tree_fork *fork = arena_alloc(&memory->arena, sizeof(*fork), 8);

		assert_non_null(item);
		assert_non_null(fork);
		item->key = keys[i];
		assert_ptr_equal(tree_insert(tree, item, fork), item);
	}
	qsort(keys, n, sizeof(*keys), by_value);
	for (size_t i = 0; i < n; i++) {
		check_floor(tree, keys, n, keys[i]);
		check_floor(tree, keys, n, keys[i] - 1);
		check_floor(tree, keys, n, keys[i] + 1);
		check_floor(tree, keys, n, shuffle(i));
	}
	check_floor(tree, keys, n, 0);
	check_floor(tree, keys, n, UINT64_MAX);
}

static void tree_finds_the_nearest_of_random_keys(void **state)
{
	struct tree tree = { 0 };
	uint64_t *keys = calloc(MANY, sizeof(*keys));

	assert_non_null(keys);
	for (size_t i = 0; i < MANY; i++)
		keys[i] = shuffle(i + 1);
	fill(*state, &tree, keys, MANY);
	free(keys);
}

static void tree_finds_the_nearest_of_keys_in_order(void **state)
{
	struct tree tree = { 0 };
	uint64_t *keys = calloc(MANY, sizeof(*keys));

	assert_non_null(keys);
	for (size_t i = 0; i < MANY; i++)
		keys[i] = 0xffffffff81000000 + 16 * i;
	fill(*state, &tree, keys, MANY);
	free(keys);
}

static void tree_finds_the_nearest_at_both_ends(void **state)
{
	uint64_t keys[] = { UINT64_MAX, 0, 1, 1ULL << 63, (1ULL << 63) - 1, UINT64_MAX - 1 };
	struct tree tree = { 0 };

	fill(*state, &tree, keys, sizeof(keys) / sizeof(keys[0]));
}

static void empty_tree_has_nothing(void **state)
{
	struct tree tree = { 0 };

	(void)state;
	assert_null(tree_floor(&tree, 0));
	assert_null(tree_floor(&tree, UINT64_MAX));
}

static void key_that_is_there_gives_the_item_that_has_it(void **state)
{
	struct tree tree = { 0 };
	struct tree_item first = { .key = 7 };
	struct tree_item second = { .key = 7 };
	struct tree_fork fork;

	(void)state;
	assert_ptr_equal(tree_insert(&tree, &first, &fork), &first);
	assert_ptr_equal(tree_insert(&tree, &second, &fork), &first);
	assert_ptr_equal(tree_floor(&tree, 7), &first);
}

static void table_finds_by_address_and_by_name(void **state)
{
	struct memory *memory = *state;
	struct table *table = table_new(&memory->arena, 64);
	const struct symbol *found;

	assert_non_null(table);
	assert_null(table_at(table, 100));
	assert_null(table_find(table, "one"));
	assert_true(table_insert(table, &memory->arena, 100, "one"));
	assert_true(table_insert(table, &memory->arena, 200, "two"));
	assert_true(table_insert(table, &memory->arena, 100, "uno"));
	assert_int_equal(table_count(table), 3);

	assert_null(table_at(table, 99));
	found = table_at(table, 199);
	assert_string_equal(found->by_name.name, "one");
	assert_string_equal(table_alias(found)->by_name.name, "uno");
	assert_null(table_alias(table_alias(found)));
	assert_string_equal(table_at(table, 200)->by_name.name, "two");
	assert_int_equal(table_find(table, "uno")->by_address.key, 100);
	assert_null(table_find(table, "three"));
}

static void table_finds_every_symbol_of_one_name(void **state)
{
	struct memory *memory = *state;
	struct table *table = table_new(&memory->arena, 1);
	uint64_t sum = 0;

	assert_non_null(table);
	for (uint64_t i = 1; i <= 10; i++) {
		assert_true(table_insert(table, &memory->arena, i, "init"));
		assert_true(table_insert(table, &memory->arena, 100 + i, "exit"));
	}
	for (const struct symbol *s = table_find(table, "init"); s; s = table_find_next(s))
		sum += s->by_address.key;
	assert_int_equal(sum, 55);
}

static void table_without_memory_says_so(void **state)
{
	struct memory *memory = *state;
	struct table *table = table_new(&memory->arena, 64);

	assert_non_null(table);
	memory->arena.more = NULL;
	memory->arena.end = memory->arena.next;
	assert_false(table_insert(table, &memory->arena, 1, "one"));
	assert_int_equal(table_count(table), 0);
	assert_null(table_find(table, "one"));
}

/* A reader without a lock finds every element that the writer has counted already. */
static void *read_all_the_while(void *arg)
{
	const struct table *table = arg;
	uint64_t count = 0;
	uint64_t random = 1;
	uintptr_t wrong = 0;
	char name[32];

	while (count < MANY) {
		count = table_count(table);
		for (int i = 0; i < 100 && count; i++) {
			uint64_t which = (random = shuffle(random + 1)) % count;
			uint64_t key = shuffle(which) & ~0xfULL;
			const struct symbol *found = table_at(table, key | (random >> 60));

			wrong += !found || found->by_address.key != key;
			snprintf(name, sizeof(name), "symbol %llu", (unsigned long long)which);
			found = table_find(table, name);
			wrong += !found || found->by_address.key != key;
		}
	}
	return (void *)wrong;
}

static void readers_find_what_is_inserted_meanwhile(void **state)
{
	struct memory *memory = *state;
	struct table *table = table_new(&memory->arena, 1024);
	pthread_t readers[2];
	char name[32];

	assert_non_null(table);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_while, table), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "symbol %u", i);
		assert_true(table_insert(table, &memory->arena, shuffle(i) & ~0xfULL, name));
	}
	for (int i = 0; i < 2; i++) {
		void *wrong = readers;

		assert_int_equal(pthread_join(readers[i], &wrong), 0);
		assert_null(wrong);
	}
}

static void symbols_are_read_and_what_is_none_passed_over(void **state)
{
	static const char text[] = "ffffffff81000000 T _stext\n"
				   "not a symbol\n"
				   "\n"
				   "ffffffffc0000010 t helper\t[module]\n"
				   "0000000000000000 A start";
	char path[] = "/tmp/peershm-symbols.XXXXXX";
	struct symbols symbols;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(symbols_open(&symbols, path), 0);
	unlink(path);
	assert_true(symbols_next(&symbols));
	assert_int_equal(symbols.address, 0xffffffff81000000);
	assert_string_equal(symbols.name, "_stext");
	assert_true(symbols_next(&symbols));
	assert_string_equal(symbols.name, "helper");
	assert_true(symbols_next(&symbols));
	assert_int_equal(symbols.address, 0);
	assert_string_equal(symbols.name, "start");
	assert_false(symbols_next(&symbols));
	symbols_close(&symbols);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_MEMORY(arena_aligns_and_does_not_overlap),
		IN_MEMORY(arena_that_is_full_says_so_and_stays_as_it_was),
		IN_MEMORY(tree_finds_the_nearest_of_random_keys),
		IN_MEMORY(tree_finds_the_nearest_of_keys_in_order),
		IN_MEMORY(tree_finds_the_nearest_at_both_ends),
		cmocka_unit_test(empty_tree_has_nothing),
		cmocka_unit_test(key_that_is_there_gives_the_item_that_has_it),
		IN_MEMORY(table_finds_by_address_and_by_name),
		IN_MEMORY(table_finds_every_symbol_of_one_name),
		IN_MEMORY(table_without_memory_says_so),
		IN_MEMORY(readers_find_what_is_inserted_meanwhile),
		cmocka_unit_test(symbols_are_read_and_what_is_none_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
