/* SPDX-License-Identifier: 0BSD */
/*
 * A bump allocator: it hands out memory from one end to the other, and takes nothing back. At the
 * end it asks for more memory, which must follow directly. It needs no device.
 */
#ifndef DEMO_ARENA_H
#define DEMO_ARENA_H

#include <stddef.h>

struct arena {
	char *next;
	char *end;
	/* Moves the end up by at least `length` bytes; returns the new end, or NULL. */
	char *(*more)(void *context, size_t length);
	void *context;
};

/* `align` is a power of two. Returns NULL, with the arena unchanged, if memory ran out. */
void *arena_alloc(struct arena *arena, size_t size, size_t align);

#endif /* DEMO_ARENA_H */
