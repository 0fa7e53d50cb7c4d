/* SPDX-License-Identifier: 0BSD */
/*
 * A bump allocator: memory from one end to the other, never given back one by one. It asks
 * for more when it comes to the end, and more must follow what it has. It needs no device.
 */
#ifndef DEMO_ARENA_H
#define DEMO_ARENA_H

#include <stddef.h>

struct arena {
	char *next;
	char *end;
	/* Move the end up by `length` bytes or more: the new end, or NULL. */
	char *(*more)(void *context, size_t length);
	void *context;
};

/* `align` is a power of two. NULL: there is no more; the arena is as before. */
void *arena_alloc(struct arena *arena, size_t size, size_t align);

#endif /* DEMO_ARENA_H */
