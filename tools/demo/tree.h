/* SPDX-License-Identifier: 0BSD */
/*
 * A search tree by number, of raw pointers, for one writer and any number of readers that
 * take no lock: a crit-bit tree. An item never moves, and an insertion becomes visible by
 * one store of one pointer, so that whoever reads meanwhile sees the tree with it or without.
 */
#ifndef DEMO_TREE_H
#define DEMO_TREE_H

#include <stdint.h>

/* Part of whatever is in the tree. The inserter sets key, the tree the rest. */
struct tree_item {
	uint64_t key;
	uint32_t bit;
};

/* Where two subtrees part: keys below agree with its own above `bit`, and differ there. */
struct tree_fork {
	struct tree_item item;
	struct tree_item *child[2]; /* written by the writer alone, read by all */
};

struct tree {
	struct tree_item *top; /* likewise */
};

/*
 * Insert an item, with memory for one fork. If one with this key is there, that is given
 * back and neither is used; otherwise the item itself.
 */
struct tree_item *tree_insert(struct tree *tree, struct tree_item *item, struct tree_fork *fork);

/* The item with the greatest key that is not above `key`, or NULL. */
struct tree_item *tree_floor(const struct tree *tree, uint64_t key);

#endif /* DEMO_TREE_H */
