/* SPDX-License-Identifier: GPL-2.0-only */
/* The command roots: the pointers that a region keeps for its clients. */
#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "listing.h"
#include "table.h"

/* The one without a name first. */
static int get_roots(struct peershm *handle, void *records, size_t room)
{
	struct peershm_root_info *roots = records;
	struct peershm_root_info unnamed;
	int err = peershm_read_root(handle, NULL, &unnamed);
	int n;

	if (err)
		return err;
	if (!room) {
		n = peershm_roots(handle, NULL, 0);
	} else {
		roots[0] = unnamed;
		n = peershm_roots(handle, roots + 1, room - 1);
	}
	return n < 0 ? n : n + 1;
}

static struct table *roots_table(void)
{
	return table_new("llr", "ROOT", "ADDRESS", "GENERATION");
}

static void root_row(struct table *table, const void *record)
{
	const struct peershm_root_info *root = record;
	char address[ADDRESS_TEXT];
	char generation[24];

	output_hex(root->root, address);
	snprintf(generation, sizeof(generation), "%" PRIu64, (uint64_t)root->generation);
	table_row(table, root->name[0] ? root->name : "-", address, generation);
}

static struct json_object *root_object(const void *record)
{
	const struct peershm_root_info *root = record;
	struct json_object *object = json_object_new_object();

	output_text(object, "name", root->name);
	output_address(object, "root", root->root);
	output_number(object, "generation", root->generation);
	return object;
}

static int run_roots(const struct command *command, int argc, char **argv, bool json)
{
	static const struct listing roots = {
		.size = sizeof(struct peershm_root_info),
		.get = get_roots,
		.table = roots_table,
		.row = root_row,
		.object = root_object,
	};

	return listing_run(&roots, command, argc, argv, json);
}

const struct command command_roots = {
	.name = "roots",
	.arguments = "NAME",
	.summary = "List the pointers that a region keeps for its clients",
	.help = "  --json  an array of roots; the name of the root without one is \"\"\n"
		"\n"
		"The first one, -, is the root without a name. Each change of a root changes its\n"
		"generation to a value that it has never had.\n"
		"\n"
		"Example: peershmctl roots routes\n",
	.run = run_roots,
};
