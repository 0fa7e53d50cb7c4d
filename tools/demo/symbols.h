/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading /proc/kallsyms, or a file like it: lines of "ADDRESS TYPE NAME [MODULE]". */
#ifndef DEMO_SYMBOLS_H
#define DEMO_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SYMBOLS_FILE "/proc/kallsyms"

struct symbols {
	FILE *file;
	char *line;
	size_t room;
	uint64_t address; /* of the last symbol that was read */
	const char *name; /* its name, until the next one is read */
};

/* 0 or -errno. */
int symbols_open(struct symbols *symbols, const char *path);

/* Reads the next symbol; other lines are skipped. False: there are no more. */
bool symbols_next(struct symbols *symbols);

void symbols_close(struct symbols *symbols);

#endif /* DEMO_SYMBOLS_H */
