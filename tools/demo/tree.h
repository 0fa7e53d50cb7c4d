/* SPDX-License-Identifier: 0BSD */
/*
 * A search tree with numbers as keys, made of raw pointers, for one writer and any number of
 * readers without a lock: a crit-bit tree. An item never moves, and an insertion is published by
 * storing one pointer: a concurrent reader sees the tree either with the item or without it.
 */
#ifndef DEMO_TREE_H
#define DEMO_TREE_H

#include <stdint.h>

/* Embedded in the objects of the tree. The caller sets `key`, the tree the rest. */
struct tree_item {
	uint64_t key;
	uint32_t bit;
};

/* An inner node: all keys below it agree with its own key above `bit`, and differ in that bit. */
struct tree_fork {
	struct tree_item item;
	struct tree_item *child[2]; /* written by the writer alone, read by all */
};

struct tree {
	struct tree_item *top; /* written by the writer alone, read by all */
};

/*
 * Inserts an item; `fork` is memory for an inner node. Returns the item; or, if there is one with
 * the same key, that one, and uses neither `item` nor `fork`.
 */
struct tree_item *tree_insert(struct tree *tree, struct tree_item *item, struct tree_fork *fork);

/* Returns the item with the greatest key that is not above `key`, or NULL. */
struct tree_item *tree_floor(const struct tree *tree, uint64_t key);

#endif /* DEMO_TREE_H */
