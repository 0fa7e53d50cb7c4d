/* SPDX-License-Identifier: GPL-2.0-only */
/* Rows of text in columns that line up. */
#ifndef PEERSHMCTL_TABLE_H
#define PEERSHMCTL_TABLE_H

#include <stdio.h>

struct table;

/*
 * `align` has an 'l' or an 'r' for each column; the headings follow. NULL if memory ran out: the
 * functions below accept that.
 */
struct table *table_new(const char *align, ...);

/* Adds a row: one string for each column, which is copied. */
void table_row(struct table *table, ...);

/* Prints the table and frees it; -1 if memory ran out while it was filled. */
int table_print(struct table *table, FILE *out);

#endif /* PEERSHMCTL_TABLE_H */
