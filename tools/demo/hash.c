// SPDX-License-Identifier: 0BSD
#include <string.h>

#include "hash.h"

/* FNV-1a */
static uint64_t mix(const char *name)
{
	uint64_t value = 0xcbf29ce484222325;

	for (; *name; name++)
		value = (value ^ (unsigned char)*name) * 0x100000001b3;
	return value ^ value >> 32;
}

size_t hash_size(size_t buckets)
{
	return sizeof(struct hash) + buckets * sizeof(struct hash_item *);
}

void hash_insert(struct hash *hash, struct hash_item *item)
{
	struct hash_item **bucket = &hash->buckets[mix(item->name) & hash->mask];

	item->next = *bucket;
	/* Pairs with the acquire in hash_find(): a reader that sees the item sees it complete. */
	__atomic_store_n(bucket, item, __ATOMIC_RELEASE);
}

/* Readers need no barrier here: `next` does not change once readers can see the item. */
static struct hash_item *search(struct hash_item *item, const char *name)
{
	while (item && strcmp(item->name, name) != 0)
		item = item->next;
	return item;
}

struct hash_item *hash_find(const struct hash *hash, const char *name)
{
	/* Pairs with the release in hash_insert(). */
	return search(__atomic_load_n(&hash->buckets[mix(name) & hash->mask], __ATOMIC_ACQUIRE),
		      name);
}

struct hash_item *hash_find_next(const struct hash_item *item)
{
	return search(item->next, item->name);
}
