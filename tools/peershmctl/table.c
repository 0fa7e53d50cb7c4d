/* SPDX-License-Identifier: GPL-2.0-only */
#include "table.h"
#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct table {
	const char *align;
	size_t columns;
	size_t cells; /* headings first, then row by row */
	size_t room;
	char **cell;
	bool broken; /* a cell is missing */
};

/* The columns that a text takes: the number of bytes that begin a UTF-8 character. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void add_cell(struct table *table, const char *text)
{
	if (table->cells == table->room) {
		size_t room = table->room ? 2 * table->room : 32;
		char **cell = realloc(table->cell, room * sizeof(*cell));

		if (!cell) {
			table->broken = true;
			return;
		}
		table->cell = cell;
		table->room = room;
	}
	table->cell[table->cells] = text_escape(text);
	if (table->cell[table->cells])
		table->cells++;
	else
		table->broken = true;
}

static void add_cells(struct table *table, va_list texts)
{
	for (size_t i = 0; i < table->columns; i++)
		add_cell(table, va_arg(texts, const char *));
}

struct table *table_new(const char *align, ...)
{
	struct table *table = calloc(1, sizeof(*table));
	va_list headings;

	if (!table)
		return NULL;
	table->align = align;
	table->columns = strlen(align);
	va_start(headings, align);
	add_cells(table, headings);
	va_end(headings);
	return table;
}

void table_row(struct table *table, ...)
{
	va_list texts;

	if (!table)
		return;
	va_start(texts, table);
	add_cells(table, texts);
	va_end(texts);
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t most = 0;

	for (size_t i = column; i < table->cells; i += table->columns) {
		size_t n = width(table->cell[i]);

		if (n > most)
			most = n;
	}
	return most;
}

static void print_cell(const struct table *table, size_t i, FILE *out)
{
	size_t column = i % table->columns;
	int padding = (int)(column_width(table, column) - width(table->cell[i]));
	bool last = column == table->columns - 1;

	if (table->align[column] == 'r')
		fprintf(out, "%*s%s", padding, "", table->cell[i]);
	else
		fprintf(out, "%s%*s", table->cell[i], last ? 0 : padding, "");
	fputs(last ? "\n" : "  ", out);
}

int table_print(struct table *table, FILE *out)
{
	bool broken = !table || table->broken;

	for (size_t i = 0; !broken && i < table->cells; i++)
		print_cell(table, i, out);
	for (size_t i = 0; table && i < table->cells; i++)
		free(table->cell[i]);
	if (table)
		free(table->cell);
	free(table);
	return broken ? -1 : 0;
}
