// SPDX-License-Identifier: 0BSD
#include <stdbool.h>
#include <stddef.h>

#include "tree.h"

/* The `bit` of an item that is in the tree; a fork has a smaller one. */
#define LEAF 64

/* Pairs with the release in tree_insert(): what the pointer leads to is complete. */
static struct tree_item *load(struct tree_item *const *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static struct tree_fork *fork_of(struct tree_item *item)
{
	return (struct tree_fork *)item; /* its first member */
}

static bool agrees(const struct tree_item *item, uint64_t key)
{
	uint64_t difference = item->key ^ key;

	return item->bit == LEAF ? !difference : !(difference >> item->bit >> 1);
}

static int side(const struct tree_item *fork, uint64_t key)
{
	return key >> fork->bit & 1;
}

struct tree_item *tree_insert(struct tree *tree, struct tree_item *item, struct tree_fork *fork)
{
	struct tree_item **slot = &tree->top;
	struct tree_item *other;

	item->bit = LEAF;
	while ((other = *slot) && other->bit != LEAF && agrees(other, item->key))
		slot = &fork_of(other)->child[side(other, item->key)];
	if (other && other->bit == LEAF && other->key == item->key)
		return other;
	if (!other) {
		/* Pairs with the acquire in load(). */
		__atomic_store_n(slot, item, __ATOMIC_RELEASE);
		return item;
	}
	fork->item.key = item->key;
	fork->item.bit = 63 - (uint32_t)__builtin_clzll(other->key ^ item->key);
	fork->child[side(&fork->item, item->key)] = item;
	fork->child[!side(&fork->item, item->key)] = other;
	/* Pairs with the acquire in load(). */
	__atomic_store_n(slot, &fork->item, __ATOMIC_RELEASE);
	return item;
}

static struct tree_item *greatest(struct tree_item *item)
{
	while (item && item->bit != LEAF)
		item = load(&fork_of(item)->child[1]);
	return item;
}

struct tree_item *tree_floor(const struct tree *tree, uint64_t key)
{
	struct tree_item *below = NULL; /* the nearest subtree so far with only smaller keys */
	struct tree_item *item = load(&tree->top);

	while (item && item->bit != LEAF && agrees(item, key)) {
		if (side(item, key))
			below = load(&fork_of(item)->child[0]);
		item = load(&fork_of(item)->child[side(item, key)]);
	}
	/* Here all keys below `item` are less than `key`, or all are greater, or it has the key. */
	return greatest(item && item->key <= key ? item : below);
}
