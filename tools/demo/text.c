// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "demo.h"

static unsigned int made;
static unsigned int broken;

static struct text scaled(double value, double factor, const char *const *units)
{
	struct text text;
	const char *const *unit = units;

	while (unit[1] && value >= factor) {
		value /= factor;
		unit++;
	}
	snprintf(text.s, sizeof(text.s), "%.*f %s", unit > units && value < 100, value, *unit);
	return text;
}

struct text text_bytes(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", NULL };

	return scaled((double)bytes, 1024, units);
}

struct text text_time(uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s", NULL };

	return scaled((double)ns, 1000, units);
}

struct text text_number(uint64_t number)
{
	struct text text;
	int n = 0;

	if (number >= 1000)
		n = snprintf(text.s, sizeof(text.s), "%s,", text_number(number / 1000).s);
	snprintf(text.s + n, sizeof(text.s) - (size_t)n, n ? "%03u" : "%u",
		 (unsigned int)(number % 1000));
	return text;
}

const char *text_colour(const char *code)
{
	/* A console without input is a terminal, too, but nobody sits at it. */
	bool tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	return tty ? code : "";
}

void text_heading(const char *heading)
{
	printf("\n%s%s%s\n", text_colour(TEXT_BOLD), heading, text_colour(TEXT_PLAIN));
}

bool promise(bool kept, const char *format, ...)
{
	va_list arguments;

	made++;
	if (kept)
		return true;
	broken++;
	printf("  %snot true: ", text_colour(TEXT_BAD));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	puts(text_colour(TEXT_PLAIN));
	return false;
}

bool promise_verdict(bool told)
{
	if (broken)
		printf("\n%s%u of %u promises were NOT kept.%s\n", text_colour(TEXT_BAD), broken,
		       made, text_colour(TEXT_PLAIN));
	else if (told)
		printf("\n%sAll %u promises were kept.%s\n", text_colour(TEXT_GOOD), made,
		       text_colour(TEXT_PLAIN));
	return told && !broken;
}
