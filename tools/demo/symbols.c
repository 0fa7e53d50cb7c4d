// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

int symbols_open(struct symbols *symbols, const char *path)
{
	*symbols = (struct symbols){ .file = fopen(path, "re") };
	return symbols->file ? 0 : -errno;
}

/* Reads address and name from the line. */
static bool parse(struct symbols *symbols)
{
	char *end;

	symbols->address = strtoull(symbols->line, &end, 16);
	if (end == symbols->line || end[0] != ' ' || !end[1] || end[2] != ' ')
		return false;
	end += 3;
	symbols->name = end;
	end += strcspn(end, " \t\n");
	*end = '\0';
	return end > symbols->name;
}

bool symbols_next(struct symbols *symbols)
{
	while (getline(&symbols->line, &symbols->room, symbols->file) > 0) {
		if (parse(symbols))
			return true;
	}
	return false;
}

void symbols_close(struct symbols *symbols)
{
	if (symbols->file)
		fclose(symbols->file);
	free(symbols->line);
	*symbols = (struct symbols){ 0 };
}
