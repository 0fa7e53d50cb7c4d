// SPDX-License-Identifier: 0BSD
#include <stdint.h>

#include "arena.h"

void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
	size_t padding = -(uintptr_t)arena->next & (align - 1);
	size_t left = (size_t)(arena->end - arena->next);
	char *start;

	if (size > SIZE_MAX - padding)
		return NULL;
	if (left < padding + size) {
		char *end = arena->more ? arena->more(arena->context, padding + size - left) : NULL;

		if (!end)
			return NULL;
		arena->end = end;
	}
	start = arena->next + padding;
	arena->next = start + size;
	return start;
}
