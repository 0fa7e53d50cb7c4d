/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding the mappings of the process in an address range, in /proc/PID/maps. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define NAMED 3 /* how many mappings a message names; it counts the others */

struct mapping {
	uint64_t start;
	uint64_t end;
	char name[256];
};

/* A buffer to which text is appended. What does not fit is cut off. */
struct text {
	char *at;
	size_t left;
};

static void text_add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->at, text->left, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= text->left)
		length = text->left ? (int)text->left - 1 : 0;
	text->at += length;
	text->left -= (size_t)length;
}

/* "START-END PERMS OFFSET DEVICE INODE   NAME", the name absent or with spaces. */
static bool parse(const char *line, struct mapping *mapping)
{
	const char *name;
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %n", &mapping->start,
		   &mapping->end, &at) < 2 ||
	    !at)
		return false;
	name = line + at;
	snprintf(mapping->name, sizeof(mapping->name), "%.*s", (int)strcspn(name, "\n"), name);
	if (!mapping->name[0])
		snprintf(mapping->name, sizeof(mapping->name), "an anonymous mapping");
	return true;
}

static void describe(struct text *text, const struct mapping *mapping, size_t before)
{
	if (before >= NAMED)
		return;
	text_add(text, "%s%s (0x%" PRIx64 "-0x%" PRIx64 ")", before ? ", " : "", mapping->name,
		 mapping->start, mapping->end);
}

static size_t scan(FILE *file, uint64_t start, uint64_t end, struct text *text)
{
	struct mapping whole = { 0 }; /* adjacent mappings of one file, as one */
	struct mapping piece;
	size_t found = 0;
	size_t room = 0;
	char *line = NULL;

	while (getline(&line, &room, file) > 0) {
		if (!parse(line, &piece) || piece.end <= start || piece.start >= end)
			continue;
		if (found && piece.start == whole.end && !strcmp(piece.name, whole.name)) {
			whole.end = piece.end;
			continue;
		}
		if (found)
			describe(text, &whole, found - 1);
		whole = piece;
		found++;
	}
	free(line);
	if (found)
		describe(text, &whole, found - 1);
	if (found > NAMED)
		text_add(text, " and %zu more", found - NAMED);
	return found;
}

size_t pshm_maps_overlap(const char *path, uint64_t start, uint64_t end, char *text, size_t size)
{
	struct text out = { .at = text, .left = size };
	int fd = pshm_file_open(path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	size_t found;

	if (size)
		text[0] = '\0';
	if (!file) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	found = scan(file, start, end, &out);
	fclose(file);
	return found;
}
