/* SPDX-License-Identifier: GPL-2.0-only */
#include "listing.h"

#include <errno.h>
#include <stdlib.h>

/* Returns *n records, which the caller frees; or NULL, with an error in *n. */
static void *get_all(const struct listing *listing, struct peershm *handle, int *n)
{
	void *records = NULL;
	int room = 0;

	/* The number can grow between two calls, so ask until all records fit. */
	for (;;) {
		*n = listing->get(handle, records, (size_t)room);
		if (*n >= 0 && *n <= room && records)
			return records;
		free(records);
		if (*n < 0)
			return NULL;
		room = *n + 16;
		records = calloc((size_t)room, listing->size);
		if (!records) {
			*n = -ENOMEM;
			return NULL;
		}
	}
}

static const void *record_at(const struct listing *listing, const void *records, int i)
{
	return (const char *)records + (size_t)i * listing->size;
}

static int print_table(const struct listing *listing, const struct command *command,
		       const void *records, int n)
{
	struct table *table = listing->table();

	for (int i = 0; i < n; i++)
		listing->row(table, record_at(listing, records, i));
	return table_print(table, stdout) ? command_failed(command, NULL, -ENOMEM) : EXIT_DONE;
}

static int print_json(const struct listing *listing, const void *records, int n)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < n; i++)
		json_object_array_add(list, listing->object(record_at(listing, records, i)));
	return output_json(list);
}

int listing_run(const struct listing *listing, const struct command *command, int argc, char **argv,
		bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	int arguments = command->arguments[0] ? 1 : 0;
	struct peershm *handle = NULL;
	const char *region = NULL;
	void *records;
	int code;
	int n;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, arguments, arguments);
	if (arguments) {
		region = argv[optind];
		code = command_open(command, region, PEERSHM_READ_ONLY, &handle);
		if (code)
			return code;
	}
	records = get_all(listing, handle, &n);
	if (!records)
		code = command_failed(command, region, n);
	else if (json)
		code = print_json(listing, records, n);
	else
		code = print_table(listing, command, records, n);
	free(records);
	if (handle)
		peershm_close(handle);
	return code;
}
