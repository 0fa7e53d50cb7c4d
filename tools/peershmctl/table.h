/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows of text in columns that line up. */
#ifndef PEERSHMCTL_TABLE_H
#define PEERSHMCTL_TABLE_H

#include <stdio.h>

struct table;

/*
 * One character a column in `align`, 'l' or 'r', and its heading. NULL: no
 * memory; the calls below then do nothing.
 */
struct table *table_new(const char *align, ...);

/* Add a row: one string a column, copied. */
void table_row(struct table *table, ...);

/* Print the table and free it; -1 if memory ran out while it was filled. */
int table_print(struct table *table, FILE *out);

#endif /* PEERSHMCTL_TABLE_H */
