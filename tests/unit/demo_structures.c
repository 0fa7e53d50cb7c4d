/* SPDX-License-Identifier: GPL-2.0-only */
/* The demo's table and its answer key. The table is made for a region, but needs none. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "../../tools/demo/key.h"
#include "../../tools/demo/table.h"

#define ROOM (32u << 20)
#define STEP 65536
#define MANY 20000

/* An empty table in zeroed memory, which has no room for a symbol yet. */
static int set_up(void **state)
{
	struct table *table = aligned_alloc(4096, ROOM);

	assert_non_null(table);
	memset(table, 0, ROOM);
	table_init(table, (char *)table + (sizeof(*table) + 4095) / 4096 * 4096);
	*state = table;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

#define TABLE_CASE(name) CASE_WITH(name, set_up, tear_down)

/* Grows in steps of 64 KiB, as the loader does. */
static void insert(struct table *table, uint64_t address, const char *name)
{
	while (!table_insert(table, address, name)) {
		assert_true(table_granted(table) + STEP <= (char *)table + ROOM);
		table_grant(table, table_granted(table) + STEP);
	}
}

TABLE_CASE(symbols_are_aligned_and_do_not_overlap)
{
	struct table *table = *state;
	char *end = (char *)(table + 1);
	char name[200] = "";

	for (size_t i = 1; i < 2000; i++) {
		const struct symbol *symbol;

		memset(name, 'a', i % sizeof(name));
		name[i % sizeof(name)] = '\0';
		insert(table, i, name);
		symbol = table_at(table, i);
		assert_int_equal((uintptr_t)symbol % 128, 0);
		assert_true((char *)symbol >= end);
		end = (char *)symbol->name + strlen(name) + 1;
		assert_true(end <= table->used);
		assert_true(table->used <= table_granted(table));
	}
}

TABLE_CASE(table_that_is_full_says_so_and_stays_as_it_was)
{
	struct table *table = *state;
	struct table *before = malloc(sizeof(*before));
	char *name = calloc(1, STEP);

	assert_non_null(before);
	assert_non_null(name);
	memset(name, 'a', STEP - 1);
	insert(table, 1, "one");
	memcpy(before, table, sizeof(*before));
	assert_false(table_insert(table, 2, name));
	assert_memory_equal(before, table, sizeof(*before));
	insert(table, 2, name);
	assert_string_equal(table_at(table, 2)->name, name);
	free(before);
	free(name);
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

static void check_floor(const struct table *table, const uint64_t *sorted, size_t n, uint64_t key)
{
	const uint64_t *expected = expected_floor(sorted, n, key);
	const struct symbol *found = table_at(table, key);

	if (!expected) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_int_equal(found->address, *expected);
}

static void fill(struct table *table, uint64_t *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		insert(table, keys[i], "");
	qsort(keys, n, sizeof(*keys), by_value);
	for (size_t i = 0; i < n; i++) {
		check_floor(table, keys, n, keys[i]);
		check_floor(table, keys, n, keys[i] - 1);
		check_floor(table, keys, n, keys[i] + 1);
		check_floor(table, keys, n, shuffle(i));
	}
	check_floor(table, keys, n, 0);
	check_floor(table, keys, n, UINT64_MAX);
}

TABLE_CASE(table_finds_the_nearest_of_random_addresses)
{
	static uint64_t keys[MANY];

	for (size_t i = 0; i < MANY; i++)
		keys[i] = shuffle(i + 1);
	fill(*state, keys, MANY);
}

TABLE_CASE(table_finds_the_nearest_of_addresses_in_order)
{
	static uint64_t keys[MANY];

	for (size_t i = 0; i < MANY; i++)
		keys[i] = 0xffffffff81000000 + 16 * i;
	fill(*state, keys, MANY);
}

TABLE_CASE(table_finds_the_nearest_at_both_ends)
{
	uint64_t keys[] = { UINT64_MAX, 0, 1, 1ULL << 63, (1ULL << 63) - 1, UINT64_MAX - 1 };

	fill(*state, keys, sizeof(keys) / sizeof(keys[0]));
}

TABLE_CASE(empty_table_has_nothing)
{
	assert_null(table_at(*state, 0));
	assert_null(table_at(*state, UINT64_MAX));
	assert_null(table_find(*state, "", NULL));
	assert_int_equal(table_count(*state), 0);
}

TABLE_CASE(table_finds_by_address_and_by_name)
{
	struct table *table = *state;

	insert(table, 100, "one");
	insert(table, 200, "two");
	assert_int_equal(table_count(table), 2);
	assert_null(table_at(table, 99));
	assert_string_equal(table_at(table, 199)->name, "one");
	assert_string_equal(table_at(table, 200)->name, "two");
	assert_int_equal(table_find(table, "one", NULL)->address, 100);
	assert_null(table_find(table, "three", NULL));
}

TABLE_CASE(symbols_may_have_one_address)
{
	struct table *table = *state;

	insert(table, 100, "one");
	insert(table, 100, "uno");
	insert(table, 99, "before");
	assert_int_equal(table_at(table, 100)->address, 100);
	assert_int_equal(table_find(table, "one", NULL)->address, 100);
	assert_int_equal(table_find(table, "uno", NULL)->address, 100);
	assert_string_equal(table_at(table, 99)->name, "before");
}

TABLE_CASE(table_finds_every_symbol_of_one_name)
{
	struct table *table = *state;
	uint64_t sum = 0;

	for (uint64_t i = 1; i <= 10; i++) {
		insert(table, i, "init");
		insert(table, 100 + i, "exit");
	}
	for (const struct symbol *s = NULL; (s = table_find(table, "init", s));)
		sum += s->address;
	assert_int_equal(sum, 55);
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

			wrong += !found || found->address != key;
			snprintf(name, sizeof(name), "symbol %llu", (unsigned long long)which);
			found = table_find(table, name, NULL);
			wrong += !found || found->address != key;
		}
	}
	return (void *)wrong;
}

TABLE_CASE(readers_find_what_is_inserted_meanwhile)
{
	struct table *table = *state;
	pthread_t readers[2];
	char name[32];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_while, table), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "symbol %u", i);
		insert(table, shuffle(i) & ~0xfULL, name);
	}
	for (int i = 0; i < 2; i++) {
		void *wrong = readers;

		assert_int_equal(pthread_join(readers[i], &wrong), 0);
		assert_null(wrong);
	}
}

/* Returns what key_make() returns for a file with this text. */
static int key_of(const char *text)
{
	char path[] = "/tmp/peershm-symbols.XXXXXX";
	int file = mkstemp(path);
	int key;

	assert_true(file >= 0);
	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	close(file);
	key = key_make(path);
	unlink(path);
	return key;
}

CASE(symbols_are_read_and_what_is_none_passed_over)
{
	int fd = key_of("ffffffff81000000 T _stext\n"
			"not a symbol\n"
			"\n"
			"ffffffffc0000010 t helper\t[module]\n"
			"ffffffff81000000 t alias\n"
			"0000000000000010 A start");
	const struct key *key = key_map(fd);
	unsigned int seen = 0;

	assert_non_null(key);
	assert_int_equal(key->count, 4);
	assert_string_equal(key_name(key, &key->symbols[0]), "start");
	assert_int_equal(key->symbols[0].address, 0x10);
	assert_int_equal(key->symbols[0].end, 0xffffffff81000000);
	assert_int_equal(key->symbols[1].end, 0xffffffffc0000010);
	assert_int_equal(key->symbols[2].end, 0xffffffffc0000010);
	assert_string_equal(key_name(key, &key->symbols[3]), "helper");
	assert_true(key->symbols[3].end > key->symbols[3].address);
	for (uint64_t i = 0; i < key->count; i++)
		seen |= 1u << (key_nth(key, i) - key->symbols);
	assert_int_equal(seen, 0xf);
	close(fd);
}

CASE(symbols_without_addresses_are_enodata)
{
	assert_int_equal(key_of("0000000000000000 T _stext\n0000000000000000 t helper\n"),
			 -ENODATA);
	assert_int_equal(key_of(""), -ENODATA);
	assert_int_equal(key_make("/nowhere"), -ENOENT);
}
