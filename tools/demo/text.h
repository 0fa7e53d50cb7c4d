/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers as people read them, and colours on a terminal. */
#ifndef DEMO_TEXT_H
#define DEMO_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct text {
	char s[32];
};

struct text text_bytes(uint64_t bytes);	  /* 2.0 MiB */
struct text text_time(uint64_t ns);	  /* 1.3 ms */
struct text text_number(uint64_t number); /* 87,455 */

void text_heading(const char *heading);
const char *text_bold(void);
const char *text_good(void);
const char *text_bad(void);
const char *text_plain(void);

#endif /* DEMO_TEXT_H */
