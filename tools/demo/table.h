/* SPDX-License-Identifier: 0BSD */
/*
 * The symbols of a kernel, by address and by name: a skip list and a hash table of raw pointers, in
 * memory that grows. The region's root points to this table. One process inserts while others look
 * up without a lock: a symbol is published by storing a pointer to it, and never changes or moves.
 */
#ifndef DEMO_TABLE_H
#define DEMO_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define TABLE_LEVELS 10
#define TABLE_BUCKETS (1u << 16)

struct symbol {
	uint64_t address;
	const char *name;
	struct symbol *in_bucket; /* the next one there */
	struct symbol *next[];	  /* by address, at each level that the symbol is in */
};

/* Written by the loader alone, read by all. */
struct table {
	uint64_t count; /* symbols that can be found */
	char *used;	/* the end of the memory that symbols take */
	char *granted;	/* the end of the memory there is */
	struct symbol *first[TABLE_LEVELS];
	struct symbol *buckets[TABLE_BUCKETS];
};

/* Makes an empty table. It lies at the beginning of its memory, which is zero, and has this end. */
void table_init(struct table *table, char *end);

/* More memory, directly behind what there was, has this end. */
void table_grant(struct table *table, char *end);
char *table_granted(const struct table *table);

/* False, with the table unchanged: it needs more memory. */
bool table_insert(struct table *table, uint64_t address, const char *name);

/* So many symbols, counted from the first that was inserted, can be found for sure. */
uint64_t table_count(const struct table *table);

/* Returns a symbol with the greatest address that is not above this one, or NULL. */
const struct symbol *table_at(const struct table *table, uint64_t address);

/* Returns a symbol with that name behind `last` (NULL: the first one), or NULL. */
const struct symbol *table_find(const struct table *table, const char *name,
				const struct symbol *last);

#endif /* DEMO_TABLE_H */
