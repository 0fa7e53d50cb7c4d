// SPDX-License-Identifier: 0BSD
#include <string.h>

#include "table.h"

/* A symbol has cache lines of its own, in pairs as CPUs fetch them: no write to another invalidates it. */
#define CACHE_LINES 128

static size_t cache_lines(size_t size)
{
	return (size + CACHE_LINES - 1) / CACHE_LINES * CACHE_LINES;
}

void table_init(struct table *table, char *end)
{
	table->used = (char *)table + cache_lines(sizeof(*table));
	table_grant(table, end);
}

void table_grant(struct table *table, char *end)
{
	/* Pairs with the acquire in table_granted(): a reader sees the new end after the grow. */
	__atomic_store_n(&table->granted, end, __ATOMIC_RELEASE);
}

char *table_granted(const struct table *table)
{
	/* Pairs with the release in table_grant(). */
	return __atomic_load_n(&table->granted, __ATOMIC_ACQUIRE);
}

/* Pairs with the acquire in load(). */
static void publish(struct symbol **slot, struct symbol *symbol)
{
	__atomic_store_n(slot, symbol, __ATOMIC_RELEASE);
}

/* Pairs with the release in publish(): what the pointer leads to is complete. */
static struct symbol *load(struct symbol *const *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* FNV-1a */
static uint64_t bucket_of(const char *name)
{
	uint64_t value = 0xcbf29ce484222325;

	for (; *name; name++)
		value = (value ^ (unsigned char)*name) * 0x100000001b3;
	return (value ^ value >> 32) % TABLE_BUCKETS;
}

bool table_insert(struct table *table, uint64_t address, const char *name)
{
	/* Every fourth symbol is in two levels or more, every sixteenth in three or more. */
	int levels = 1 + __builtin_ctzll((table->count + 1) | 1ULL << (2 * TABLE_LEVELS - 2)) / 2;
	size_t length = strlen(name) + 1;
	struct symbol *symbol = (struct symbol *)table->used;
	struct symbol **bucket = &table->buckets[bucket_of(name)];
	struct symbol **slots[TABLE_LEVELS];
	struct symbol **next = table->first;
	char *text = (char *)&symbol->next[levels];
	size_t size = cache_lines((size_t)(text + length - table->used));

	if ((size_t)(table->granted - table->used) < size)
		return false;
	table->used += size;
	symbol->address = address;
	symbol->name = memcpy(text, name, length);
	symbol->in_bucket = *bucket;
	for (int level = TABLE_LEVELS; level-- > 0;) {
		while (next[level] && next[level]->address <= address)
			next = next[level]->next;
		if (level >= levels)
			continue;
		symbol->next[level] = next[level];
		slots[level] = &next[level];
	}
	publish(bucket, symbol);
	for (int level = 0; level < levels; level++)
		publish(slots[level], symbol);
	/* Pairs with the acquire in table_count(). */
	__atomic_store_n(&table->count, table->count + 1, __ATOMIC_RELEASE);
	return true;
}

uint64_t table_count(const struct table *table)
{
	/* Pairs with the release in table_insert(): a reader that sees the count finds the symbols. */
	return __atomic_load_n(&table->count, __ATOMIC_ACQUIRE);
}

const struct symbol *table_at(const struct table *table, uint64_t address)
{
	struct symbol *const *next = table->first;
	const struct symbol *found = NULL;
	const struct symbol *at;

	for (int level = TABLE_LEVELS; level-- > 0;) {
		while ((at = load(&next[level])) && at->address <= address) {
			found = at;
			next = at->next;
		}
	}
	return found;
}

const struct symbol *table_find(const struct table *table, const char *name,
				const struct symbol *last)
{
	const struct symbol *at = last ? last->in_bucket : load(&table->buckets[bucket_of(name)]);

	while (at && strcmp(at->name, name) != 0)
		at = at->in_bucket;
	return at;
}
