/* SPDX-License-Identifier: 0BSD */
/*
 * A hash table by name, of raw pointers, for one writer and any number of readers that take
 * no lock: items are put in front of their bucket and stay.
 */
#ifndef DEMO_HASH_H
#define DEMO_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Part of whatever is in the table. The inserter sets name, the table the rest. */
struct hash_item {
	struct hash_item *next;
	const char *name;
};

struct hash {
	uint64_t mask;		     /* buckets less one; they are a power of two */
	struct hash_item *buckets[]; /* written by the writer alone, read by all */
};

/* Bytes of a table; all zero but the mask, it is empty. */
size_t hash_size(size_t buckets);

void hash_insert(struct hash *hash, struct hash_item *item);

/* An item of this name, or NULL; and the next of the same name. */
struct hash_item *hash_find(const struct hash *hash, const char *name);
struct hash_item *hash_find_next(const struct hash_item *item);

#endif /* DEMO_HASH_H */
