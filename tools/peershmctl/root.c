/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* roots: the pointers that a region keeps for its clients. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "table.h"

#define MAX_ROOTS (PEERSHM_MAX_ROOTS + 1)

/* The one without a name first; gives how many, or what the library gave. */
static int list_roots(struct peershm *handle, struct peershm_root_info roots[MAX_ROOTS])
{
	int err = peershm_read_root(handle, NULL, &roots[0]);
	int n;

	if (err)
		return err;
	n = peershm_roots(handle, &roots[1], PEERSHM_MAX_ROOTS);
	if (n > PEERSHM_MAX_ROOTS)
		n = PEERSHM_MAX_ROOTS;
	return n < 0 ? n : n + 1;
}

static int print_roots(const struct command *command, const struct peershm_root_info *roots, int n)
{
	struct table *table = table_new("llr", "ROOT", "ADDRESS", "GENERATION");

	for (int i = 0; i < n; i++) {
		char address[ADDRESS_TEXT];
		char generation[24];

		output_hex(roots[i].root, address);
		snprintf(generation, sizeof(generation), "%" PRIu64, (uint64_t)roots[i].generation);
		table_row(table, roots[i].name[0] ? roots[i].name : "-", address, generation);
	}
	return table_print(table, stdout) ? command_failed(command, NULL, -ENOMEM) : EXIT_DONE;
}

static struct json_object *roots_json(const struct peershm_root_info *roots, int n)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < n; i++) {
		struct json_object *object = json_object_new_object();

		output_text(object, "name", roots[i].name);
		output_address(object, "root", roots[i].root);
		output_number(object, "generation", roots[i].generation);
		json_object_array_add(list, object);
	}
	return list;
}

static int run_roots(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	struct peershm_root_info roots[MAX_ROOTS];
	struct peershm *handle;
	int code;
	int n;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 1, 1);
	code = command_open(command, argv[optind], PEERSHM_READ_ONLY, &handle);
	if (code)
		return code;
	n = list_roots(handle, roots);
	if (n < 0)
		code = command_failed(command, argv[optind], n);
	else if (json)
		code = output_json(roots_json(roots, n));
	else
		code = print_roots(command, roots, n);
	peershm_close(handle);
	return code;
}

const struct command command_roots = {
	.name = "roots",
	.arguments = "NAME",
	.summary = "List the pointers that a region keeps for its clients",
	.help = "  --json  an array of roots; the name of the one without a name is empty\n"
		"\n"
		"The first, -, is the one without a name. A generation is never the same\n"
		"after a change.\n"
		"\n"
		"Example: peershmctl roots routes\n",
	.run = run_roots,
};
