// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "promise.h"
#include "text.h"

#define SHOWN 16

static unsigned int made;
static unsigned int broken;
static char broken_ones[SHOWN][160];

bool promise(bool kept, const char *format, ...)
{
	va_list arguments;

	made++;
	if (kept)
		return true;
	if (broken < SHOWN) {
		va_start(arguments, format);
		vsnprintf(broken_ones[broken], sizeof(broken_ones[0]), format, arguments);
		va_end(arguments);
	}
	broken++;
	return false;
}

bool promise_verdict(bool told)
{
	if (!broken && !told)
		return false;
	if (!broken) {
		printf("\n%sAll %u promises were kept.%s\n", text_good(), made, text_plain());
		return true;
	}
	printf("\n%s%u of %u promises were NOT kept:%s\n", text_bad(), broken, made, text_plain());
	for (unsigned int i = 0; i < broken && i < SHOWN; i++)
		printf("  not true: %s\n", broken_ones[i]);
	return false;
}
