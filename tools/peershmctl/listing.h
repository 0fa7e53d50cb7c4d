/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands that list records: as a table, or as an array of JSON objects. */
#ifndef PEERSHMCTL_LISTING_H
#define PEERSHMCTL_LISTING_H

#include <stddef.h>

#include "command.h"
#include "table.h"

struct listing {
	size_t size; /* of a record */
	/* How many there are, at most `room` of them put into `records`; or -errno. */
	int (*get)(struct peershm *handle, void *records, size_t room);
	struct table *(*table)(void);
	void (*row)(struct table *table, const void *record);
	struct json_object *(*object)(const void *record);
};

/* Run such a command. If it takes an argument, that is the region to list them of. */
int listing_run(const struct listing *listing, const struct command *command, int argc, char **argv,
		bool json);

#endif /* PEERSHMCTL_LISTING_H */
