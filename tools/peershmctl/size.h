/* SPDX-License-Identifier: GPL-2.0-only */
/* Sizes as people write them: 64G, 1.5M, 4096; K is 1024. */
#ifndef PEERSHMCTL_SIZE_H
#define PEERSHMCTL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define SIZE_TEXT 24
#define SIZE_FORMS "4096, 64K, 1.5M, 64GiB, 2T" /* examples, for messages */

/* False: not a size, or larger than 64 bits. A fraction of a byte is rounded up. */
bool size_parse(const char *text, uint64_t *bytes);

/* Writes the size in the largest unit that gives at least 1, with at most two decimals. */
void size_format(uint64_t bytes, char text[SIZE_TEXT]);

/* Writes both sizes; as bytes if they differ but would look the same. */
void size_format_two(uint64_t one, uint64_t other, char one_text[SIZE_TEXT],
		     char other_text[SIZE_TEXT]);

#endif /* PEERSHMCTL_SIZE_H */
