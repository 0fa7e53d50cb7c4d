// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clears memory that is mapped already, on huge pages: the least that growing by zeroed memory takes
 * on one CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../subjects/subject.h"

static const char *const backings[] = { "thp", NULL };

static char *memory;

static bool open_memory(const char *backing)
{
	const size_t alignment = 2 << 20;

	(void)backing;
	memory = aligned_alloc(alignment, BENCH_CAPACITY / 2);
	if (!memory) {
		perror("bench: memset");
		return false;
	}
	madvise(memory, BENCH_CAPACITY / 2, MADV_HUGEPAGE);
	memset(memory, 1, BENCH_CAPACITY / 2);
	return true;
}

static bool grow(uint64_t from, uint64_t to, uint64_t *place)
{
	*place = from;
	memset(memory + from, 0, to - from);
	/* Nothing reads the memory: without this the compiler may drop the memset(). */
	__asm__ volatile("" : : "r"(memory) : "memory");
	return true;
}

static bool close_memory(void)
{
	free(memory);
	return true;
}

const struct subject subject = {
	.name = "memset",
	.backings = backings,
	.zero_peers = true,
	.open = open_memory,
	.grow = grow,
	.close = close_memory,
};
