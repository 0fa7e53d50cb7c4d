/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands ls, create, show and rm: regions as wholes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "listing.h"
#include "size.h"
#include "table.h"
#include "text.h"

static const char *backing_of(const struct peershm_region_info *region)
{
	const char *name = peershm_backing_name(region->backing);

	return name ? name : "unknown";
}

static int get_regions(struct peershm *handle, void *records, size_t room)
{
	(void)handle;
	return peershm_regions(records, room);
}

static struct table *regions_table(void)
{
	return table_new("llrrlrll", "NAME", "BACKING", "SIZE", "CAPACITY", "BASE", "CLIENTS",
			 "MODE", "OWNER");
}

static void region_row(struct table *table, const void *record)
{
	const struct peershm_region_info *region = record;
	char size[SIZE_TEXT];
	char capacity[SIZE_TEXT];
	char base[ADDRESS_TEXT];
	char clients[32];
	char mode[8];
	char owner[32];

	size_format(region->active, size);
	size_format(region->capacity, capacity);
	output_hex(region->base, base);
	snprintf(clients, sizeof(clients), "%u", region->nr_clients);
	snprintf(mode, sizeof(mode), "%04o", region->mode & 07777);
	snprintf(owner, sizeof(owner), "%u:%u", region->uid, region->gid);
	table_row(table, region->name, backing_of(region), size, capacity, base, clients, mode,
		  owner);
}

static struct json_object *region_object(const void *record)
{
	return output_region(record);
}

static int run_ls(const struct command *command, int argc, char **argv, bool json)
{
	static const struct listing regions = {
		.size = sizeof(struct peershm_region_info),
		.get = get_regions,
		.table = regions_table,
		.row = region_row,
		.object = region_object,
	};

	return listing_run(&regions, command, argc, argv, json);
}

const struct command command_ls = {
	.name = "ls",
	.arguments = "",
	.summary = "List the regions that you may read",
	.help = "  --json  an array of regions\n"
		"\n"
		"Example: peershmctl ls\n",
	.run = run_ls,
};

static void show_size(const char *label, uint64_t bytes)
{
	char text[SIZE_TEXT];

	size_format(bytes, text);
	printf("%-11s %s (%" PRIu64 " bytes)\n", label, text, bytes);
}

static void print_region(const struct peershm_region_info *region)
{
	char *name = text_escape(region->name);

	printf("%-11s %s\n", "name", name ? name : "");
	free(name);
	printf("%-11s %" PRIu64 "\n", "id", (uint64_t)region->id);
	printf("%-11s %s\n", "backing", backing_of(region));
	show_size("size", region->active);
	show_size("capacity", region->capacity);
	if (region->reserve) {
		show_size("reserve", region->reserve);
		show_size("  ready", region->reserved);
	}
	show_size("page size", region->page_size);
	printf("%-11s 0x%" PRIx64 "\n", "base", (uint64_t)region->base);
	if (region->root)
		printf("%-11s 0x%" PRIx64 ", generation %" PRIu64 "\n", "root",
		       (uint64_t)region->root, (uint64_t)region->root_generation);
	else
		printf("%-11s %s\n", "root", "not set");
	printf("%-11s %u\n", "named roots", region->nr_roots);
	printf("%-11s %" PRIu64 "\n", "generation", (uint64_t)region->generation);
	printf("%-11s %u of at most %u\n", "clients", region->nr_clients, region->max_clients);
	printf("%-11s %04o, owner %u, group %u\n", "mode", region->mode & 07777, region->uid,
	       region->gid);
}

static int show(const struct command *command, const char *name, struct peershm *handle, bool json)
{
	struct peershm_region_info region;
	int err = peershm_stat(handle, &region);

	if (err)
		return command_failed(command, name, err);
	if (json)
		return output_json(output_region(&region));
	print_region(&region);
	return EXIT_DONE;
}

static int run_show(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	struct peershm *handle;
	int code;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 1, 1);
	code = command_open(command, argv[optind], PEERSHM_READ_ONLY, &handle);
	if (code)
		return code;
	code = show(command, argv[optind], handle, json);
	peershm_close(handle);
	return code;
}

const struct command command_show = {
	.name = "show",
	.arguments = "NAME",
	.summary = "Show everything about a region",
	.help = "  --json  the region as one object\n"
		"\n"
		"Example: peershmctl show routes\n",
	.run = run_show,
};

static uint64_t size_argument(const struct command *command, const char *what, const char *text)
{
	uint64_t bytes;

	if (!size_parse(text, &bytes))
		command_misuse(command, "%s: '%s' is not a size (examples: " SIZE_FORMS ")", what,
			       text);
	return bytes;
}

/* `takes` describes the valid values, for the error message. */
static uint64_t number_argument(const struct command *command, const char *what, const char *text,
				int base, uint64_t most, const char *takes)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, base);
	if (errno || end == text || *end || strchr(text, '-') || number > most)
		command_misuse(command, "%s takes %s, not '%s'", what, takes, text);
	return number;
}

static uint32_t backing_argument(const struct command *command, const char *text)
{
	uint32_t backing;

	if (!peershm_backing_find(text, &backing))
		return backing;
	command_misuse(command, "--backing takes small, thp, hugetlb-2m or hugetlb-1g, not '%s'",
		       text);
}

/* Every capacity is a multiple of this. */
static uint64_t capacity_unit(const struct peershm_region_info *region)
{
	return region->backing == PEERSHM_HUGETLB_2M ? 1ULL << 30 : region->page_size;
}

static void warn(const char *name, const char *what)
{
	fprintf(stderr, "peershmctl: create %s: the region exists with a different %s\n", name,
		what);
}

/* A region that exists keeps its properties, whichever the options ask for. */
static void warn_of_differences(struct peershm *handle, const char *name,
				const struct peershm_options *wanted, bool backing_given)
{
	struct peershm_region_info region;

	if (peershm_stat(handle, &region))
		return;
	/* Capacity and reserve were rounded up when the region was created. */
	if (wanted->capacity && (region.capacity < wanted->capacity ||
				 region.capacity - wanted->capacity >= capacity_unit(&region)))
		warn(name, "capacity");
	if (backing_given && region.backing != wanted->backing)
		warn(name, "backing");
	if (wanted->mode && region.mode != wanted->mode)
		warn(name, "mode");
	if (wanted->base && region.base != wanted->base)
		warn(name, "base");
	if (wanted->max_clients && region.max_clients != wanted->max_clients)
		warn(name, "number of clients");
	if (wanted->reserve && (region.reserve < wanted->reserve ||
				region.reserve - wanted->reserve >= region.page_size))
		warn(name, "reserve");
}

static int run_create(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = {
		{ "capacity", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "backing", required_argument, NULL, 'b' },
		{ "reserve", required_argument, NULL, 'r' },
		{ "mode", required_argument, NULL, 'm' },
		{ "base", required_argument, NULL, 'a' },
		{ "max-clients", required_argument, NULL, 'n' },
		{ "exist-ok", no_argument, NULL, 'e' },
		COMMON_OPTIONS,
	};
	unsigned int flags = PEERSHM_CREATE | PEERSHM_EXCLUSIVE;
	struct peershm_options wanted = { 0 };
	bool backing_given = false;
	struct peershm *handle;
	int option;
	int code;
	int err;

	while ((option = command_option(command, argc, argv, options, &json)) != -1) {
		switch (option) {
		case 'c':
			wanted.capacity = size_argument(command, "--capacity", optarg);
			break;
		case 's':
			wanted.size = size_argument(command, "--size", optarg);
			break;
		case 'r':
			wanted.reserve = size_argument(command, "--reserve", optarg);
			break;
		case 'b':
			backing_given = true;
			wanted.backing = backing_argument(command, optarg);
			break;
		case 'm':
			wanted.mode = (uint32_t)number_argument(command, "--mode", optarg, 8, 0777,
								"1 to 777, octal");
			break;
		case 'a':
			wanted.base = number_argument(command, "--base", optarg, 16, UINT64_MAX,
						      "an address in hexadecimal");
			break;
		case 'n':
			wanted.max_clients = (uint32_t)number_argument(
				command, "--max-clients", optarg, 10, UINT32_MAX, "a number");
			break;
		case 'e':
			flags &= ~PEERSHM_EXCLUSIVE;
			break;
		}
	}
	command_arguments(command, argc, 1, 1);
	err = peershm_open(&handle, argv[optind], NULL, flags, &wanted);
	if (err)
		return command_failed(command, argv[optind], err);
	if (!(flags & PEERSHM_EXCLUSIVE))
		warn_of_differences(handle, argv[optind], &wanted, backing_given);
	code = show(command, argv[optind], handle, json);
	peershm_close(handle);
	return code;
}

const struct command command_create = {
	.name = "create",
	.arguments = "NAME",
	.summary = "Create a region",
	.help = "  --capacity SIZE     largest size that the region can ever have (64G)\n"
		"  --size SIZE         memory to begin with (0)\n"
		"  --reserve SIZE      memory to keep ready beyond the size (0)\n"
		"  --backing BACKING   small, thp, hugetlb-2m or hugetlb-1g (small)\n"
		"  --mode MODE         permissions, octal (600)\n"
		"  --base ADDRESS      its address in all clients, hexadecimal (the module's choice)\n"
		"  --max-clients N     how many may attach at once (the module's limit)\n"
		"  --exist-ok          use a region that exists, and grow it to at least --size; other\n"
		"                      properties that differ from the options are reported\n"
		"  --json              the region as one object\n"
		"\n"
		"Example: peershmctl create routes --capacity 64G --backing thp --mode 660\n",
	.run = run_create,
};

static int run_rm(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	struct json_object *removed = NULL;
	int code = EXIT_DONE;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 1, argc);
	if (json)
		removed = json_object_new_array();
	for (int i = optind; i < argc; i++) {
		int err = peershm_unlink(argv[i]);

		if (!err && json)
			json_object_array_add(removed, output_string(argv[i]));
		if (err) {
			int failed = command_failed(command, argv[i], err);

			code = code ? code : failed;
		}
	}
	if (json) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "removed", removed);
		output_json(object);
	}
	return code;
}

const struct command command_rm = {
	.name = "rm",
	.arguments = "NAME...",
	.summary = "Remove regions; the memory is freed when the last client leaves",
	.help = "  --json  an object with the names that were removed\n"
		"\n"
		"All names are tried; the exit status is that of the first failure.\n"
		"\n"
		"Example: peershmctl rm routes neighbours\n",
	.run = run_rm,
};
