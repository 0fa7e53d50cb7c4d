/* SPDX-License-Identifier: GPL-2.0-only */
/* Sizes as people write them: 64G, 1.5M, 4096; K is 1024. */
#ifndef PEERSHMCTL_SIZE_H
#define PEERSHMCTL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define SIZE_TEXT 24
#define SIZE_FORMS "4096, 64K, 1.5M, 64GiB, 2T" /* that are taken, for people */

/* false: not a size, or beyond 64 bits. A fraction of a byte counts as one. */
bool size_parse(const char *text, uint64_t *bytes);

/* In the largest unit that gives 1 or more, with two decimals at most. */
void size_format(uint64_t bytes, char text[SIZE_TEXT]);

/* Both sizes, and in bytes if they would read the same though they are not. */
void size_format_two(uint64_t one, uint64_t other, char one_text[SIZE_TEXT],
		     char other_text[SIZE_TEXT]);

#endif /* PEERSHMCTL_SIZE_H */
