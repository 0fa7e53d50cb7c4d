/* SPDX-License-Identifier: 0BSD */
/*
 * A hash table with names as keys, made of raw pointers, for one writer and any number of readers
 * without a lock: an item is inserted at the front of its bucket, and stays there.
 */
#ifndef DEMO_HASH_H
#define DEMO_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Embedded in the objects of the table. The caller sets `name`, the table the rest. */
struct hash_item {
	struct hash_item *next;
	const char *name;
};

struct hash {
	uint64_t mask;		     /* number of buckets, a power of two, minus one */
	struct hash_item *buckets[]; /* written by the writer alone, read by all */
};

/* The size of a table in bytes. An empty one has a mask, and all else is zero. */
size_t hash_size(size_t buckets);

void hash_insert(struct hash *hash, struct hash_item *item);

/* These return an item with that name, and the next item with the same name, or NULL. */
struct hash_item *hash_find(const struct hash *hash, const char *name);
struct hash_item *hash_find_next(const struct hash_item *item);

#endif /* DEMO_HASH_H */
