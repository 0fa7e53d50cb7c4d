/* SPDX-License-Identifier: 0BSD */
/*
 * The symbols of a kernel, by address and by name. The region's root points to this table. One
 * process inserts while others look up, through the same pointers.
 */
#ifndef DEMO_TABLE_H
#define DEMO_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "hash.h"
#include "tree.h"

struct symbol {
	struct tree_item by_address;
	struct hash_item by_name;
	struct symbol *alias; /* another symbol at the same address */
	char text[];	      /* its name */
};

/* Written by the loader alone, read by all. */
struct table {
	struct tree by_address;
	struct hash *by_name;
	uint64_t count; /* symbols that can be found */
	char *granted;	/* the region's end, as of the last grow that returned */
};

struct table *table_new(struct arena *arena, size_t buckets);

/* False: there is no more memory. */
bool table_insert(struct table *table, struct arena *arena, uint64_t address, const char *name);

/* So many symbols, counted from the first that was inserted, can be found for sure. */
uint64_t table_count(const struct table *table);

/* The end of the region's memory: the inserter sets it after each grow. */
void table_grant(struct table *table, char *end);
char *table_granted(const struct table *table);

/* The symbol that contains this address: it has the greatest address that is not above. */
struct symbol *table_at(const struct table *table, uint64_t address);

/* These return a symbol with that name, and the next symbol with the same name, or NULL. */
struct symbol *table_find(const struct table *table, const char *name);
struct symbol *table_find_next(const struct symbol *symbol);

/* Another symbol at the same address, or NULL. */
struct symbol *table_alias(const struct symbol *symbol);

#endif /* DEMO_TABLE_H */
