/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands that list records: as a table, or as an array of JSON objects. */
#ifndef PEERSHMCTL_LISTING_H
#define PEERSHMCTL_LISTING_H

#include <stddef.h>

#include "command.h"
#include "table.h"

struct listing {
	size_t size; /* of a record */
	/* Puts at most `room` records into `records`; returns how many there are, or -errno. */
	int (*get)(struct peershm *handle, void *records, size_t room);
	struct table *(*table)(void);
	void (*row)(struct table *table, const void *record);
	struct json_object *(*object)(const void *record);
};

/* Runs such a command. Its argument, if it takes one, is the region whose records are listed. */
int listing_run(const struct listing *listing, const struct command *command, int argc, char **argv,
		bool json);

#endif /* PEERSHMCTL_LISTING_H */
