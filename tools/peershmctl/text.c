/* SPDX-License-Identifier: GPL-2.0-only */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* The bytes of the first character that can be shown as it is; 0 if there is none. */
static size_t printable(const char *text, size_t length)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n = mbrtowc(&c, text, length, &state);

	return n <= length && iswprint((wint_t)c) && c != '\\' ? n : 0;
}

char *text_escape(const char *text)
{
	size_t left = strlen(text);
	char *escaped = malloc(4 * left + 1);
	char *to = escaped;
	size_t n;

	for (; escaped && left; left -= n, text += n) {
		n = printable(text, left);
		if (n) {
			memcpy(to, text, n);
			to += n;
		} else {
			n = 1;
			to += sprintf(to, "\\x%02x", (unsigned char)*text);
		}
	}
	if (escaped)
		*to = '\0';
	return escaped;
}
