// SPDX-License-Identifier: 0BSD
#include <string.h>

#include "table.h"

/* Each symbol has a cache line of its own, which no write to another symbol invalidates. */
#define CACHE_LINE 64

struct table *table_new(struct arena *arena, size_t buckets)
{
	struct table *table = arena_alloc(arena, sizeof(*table), CACHE_LINE);
	struct hash *hash = arena_alloc(arena, hash_size(buckets), CACHE_LINE);

	if (!table || !hash)
		return NULL;
	memset(table, 0, sizeof(*table));
	memset(hash, 0, hash_size(buckets));
	hash->mask = buckets - 1;
	table->by_name = hash;
	return table;
}

bool table_insert(struct table *table, struct arena *arena, uint64_t address, const char *name)
{
	size_t length = strlen(name) + 1;
	struct symbol *symbol = arena_alloc(arena, sizeof(*symbol) + length, CACHE_LINE);
	struct tree_fork *fork = arena_alloc(arena, sizeof(*fork), _Alignof(struct tree_fork));
	struct tree_item *item;

	if (!symbol || !fork)
		return false;
	memcpy(symbol->text, name, length);
	symbol->by_name.name = symbol->text;
	symbol->by_address.key = address;
	symbol->alias = NULL;

	item = tree_insert(&table->by_address, &symbol->by_address, fork);
	if (item != &symbol->by_address) {
		struct symbol *first = (struct symbol *)item; /* its first member */

		symbol->alias = first->alias;
		/* Pairs with the acquire in table_alias(). */
		__atomic_store_n(&first->alias, symbol, __ATOMIC_RELEASE);
	}
	hash_insert(table->by_name, &symbol->by_name);
	/* Pairs with the acquire in table_count(). */
	__atomic_store_n(&table->count, table->count + 1, __ATOMIC_RELEASE);
	return true;
}

uint64_t table_count(const struct table *table)
{
	/* Pairs with the release in table_insert(): a reader that sees the count finds the symbols. */
	return __atomic_load_n(&table->count, __ATOMIC_ACQUIRE);
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

struct symbol *table_at(const struct table *table, uint64_t address)
{
	return (struct symbol *)tree_floor(&table->by_address, address); /* its first member */
}

static struct symbol *symbol_of(struct hash_item *item)
{
	return item ? (struct symbol *)((char *)item - offsetof(struct symbol, by_name)) : NULL;
}

struct symbol *table_find(const struct table *table, const char *name)
{
	return symbol_of(hash_find(table->by_name, name));
}

struct symbol *table_find_next(const struct symbol *symbol)
{
	return symbol_of(hash_find_next(&symbol->by_name));
}

struct symbol *table_alias(const struct symbol *symbol)
{
	/* Pairs with the release in table_insert(). */
	return __atomic_load_n(&symbol->alias, __ATOMIC_ACQUIRE);
}
