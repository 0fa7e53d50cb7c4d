// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static struct text scaled(double value, double factor, const char *const *units, int n)
{
	struct text text;
	int unit = 0;

	while (unit + 1 < n && value >= factor) {
		value /= factor;
		unit++;
	}
	snprintf(text.s, sizeof(text.s), unit && value < 100 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return text;
}

struct text text_bytes(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };

	return scaled((double)bytes, 1024, units, 5);
}

struct text text_time(uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };

	return scaled((double)ns, 1000, units, 4);
}

struct text text_number(uint64_t number)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	struct text text;
	int out = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			text.s[out++] = ',';
		text.s[out++] = digits[i];
	}
	text.s[out] = '\0';
	return text;
}

static const char *colour(const char *code)
{
	static int tty = -1;

	/* A console without input is a terminal, too, but nobody sits at it. */
	if (tty < 0)
		tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	return tty ? code : "";
}

const char *text_bold(void)
{
	return colour("\033[1m");
}

const char *text_good(void)
{
	return colour("\033[32m");
}

const char *text_bad(void)
{
	return colour("\033[31m");
}

const char *text_plain(void)
{
	return colour("\033[0m");
}

void text_heading(const char *heading)
{
	printf("\n%s%s%s\n", text_bold(), heading, text_plain());
}
