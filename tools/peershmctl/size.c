/* SPDX-License-Identifier: GPL-2.0-only */
#include "size.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DECIMALS 9 /* at most so many in a size that is read */

static const char units[] = "KMGTPE";

/* The power of 1024 that a unit stands for, with or without iB; "" is 0. -1: not a unit. */
static int parse_unit(const char *text)
{
	const char *unit;

	if (!*text)
		return 0;
	unit = strchr(units, toupper((unsigned char)*text));
	if (!unit || (text[1] && strcmp(text + 1, "iB") != 0))
		return -1;
	return (int)(unit - units) + 1;
}

bool size_parse(const char *text, uint64_t *bytes)
{
	unsigned __int128 number = 0;
	unsigned __int128 scale = 1;
	const char *at = text;
	int decimals = 0;
	int unit;

	if (!isdigit((unsigned char)*at))
		return false;
	for (; isdigit((unsigned char)*at); at++) {
		number = number * 10 + (unsigned int)(*at - '0');
		if (number > UINT64_MAX)
			return false;
	}
	if (*at == '.') {
		for (at++; isdigit((unsigned char)*at); at++) {
			if (++decimals > DECIMALS)
				return false;
			number = number * 10 + (unsigned int)(*at - '0');
			scale *= 10;
		}
		if (!decimals)
			return false;
	}
	unit = parse_unit(at);
	if (unit < 0 || (decimals && !unit))
		return false;
	/* The shift below must stay under 2^64 * 10^9. */
	if (number / scale > UINT64_MAX >> (10 * unit))
		return false;
	number = ((number << (10 * unit)) + scale - 1) / scale;
	if (number > UINT64_MAX)
		return false;
	*bytes = (uint64_t)number;
	return true;
}

void size_format(uint64_t bytes, char text[SIZE_TEXT])
{
	unsigned __int128 hundredths;
	unsigned int whole;
	unsigned int rest;
	int unit = 0;

	while (unit < (int)strlen(units) && bytes >> (10 * unit) >= 1024)
		unit++;
	if (!unit) {
		snprintf(text, SIZE_TEXT, "%u", (unsigned int)bytes);
		return;
	}
	hundredths = ((unsigned __int128)bytes * 100 + (1ULL << (10 * unit - 1))) >> (10 * unit);
	if (hundredths >= 102400 && unit < (int)strlen(units)) {
		hundredths = 100; /* 1023.999M is rounded to 1G */
		unit++;
	}
	whole = (unsigned int)(hundredths / 100);
	rest = (unsigned int)(hundredths % 100);
	if (!rest)
		snprintf(text, SIZE_TEXT, "%u%c", whole, units[unit - 1]);
	else if (rest % 10)
		snprintf(text, SIZE_TEXT, "%u.%02u%c", whole, rest, units[unit - 1]);
	else
		snprintf(text, SIZE_TEXT, "%u.%u%c", whole, rest / 10, units[unit - 1]);
}

void size_format_two(uint64_t one, uint64_t other, char one_text[SIZE_TEXT],
		     char other_text[SIZE_TEXT])
{
	size_format(one, one_text);
	size_format(other, other_text);
	if (one == other || strcmp(one_text, other_text) != 0)
		return;
	snprintf(one_text, SIZE_TEXT, "%" PRIu64, one);
	snprintf(other_text, SIZE_TEXT, "%" PRIu64, other);
}
