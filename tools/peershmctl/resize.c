/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands grow, shrink and reserve: how much memory a region has. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "size.h"
#include "table.h"

#define MAX_TIMEOUT_MS 60000

struct change {
	const char *name; /* of the region */
	uint64_t before;
	uint64_t after;
	struct peershm_report report;
};

static uint64_t size_argument(const struct command *command, const char *text)
{
	uint64_t bytes;

	if (!size_parse(text, &bytes))
		command_misuse(command, "'%s' is not a size (examples: " SIZE_FORMS ")", text);
	return bytes;
}

/* The option --timeout: its argument. */
static uint32_t timeout_argument(const struct command *command)
{
	uint64_t ms;

	if (!size_parse(optarg, &ms) || !ms || ms > MAX_TIMEOUT_MS)
		command_misuse(command, "--timeout takes 1 to %d milliseconds", MAX_TIMEOUT_MS);
	return (uint32_t)ms;
}

static const char *result_name(uint32_t result)
{
	switch (result) {
	case PEERSHM_PEER_MAPPED:
		return "mapped";
	case PEERSHM_PEER_DEFERRED:
		return "deferred";
	case PEERSHM_PEER_GONE:
		return "gone";
	case PEERSHM_PEER_PARTIAL:
		return "partial";
	default:
		return "unknown";
	}
}

static struct json_object *change_json(const struct change *change)
{
	struct json_object *object = json_object_new_object();

	output_text(object, "name", change->name);
	output_number(object, "old_size", change->before);
	output_number(object, "new_size", change->after);
	return object;
}

static void print_change(const struct change *change)
{
	char before[SIZE_TEXT];
	char after[SIZE_TEXT];

	size_format(change->before, before);
	size_format(change->after, after);
	if (change->before == change->after)
		printf("%s: is already %s (%" PRIu64 " bytes)\n", change->name, after,
		       change->after);
	else
		printf("%s: %s -> %s (%" PRIu64 " -> %" PRIu64 " bytes)\n", change->name, before,
		       after, change->before, change->after);
}

static struct json_object *report_json(const struct change *change, uint32_t room)
{
	const struct peershm_report *report = &change->report;
	struct json_object *object = change_json(change);
	struct json_object *list = json_object_new_array();

	output_number(object, "mapped", report->mapped);
	output_number(object, "deferred", report->deferred);
	output_number(object, "gone", report->gone);
	output_number(object, "partial", report->partial);
	for (uint32_t i = 0; i < report->nr_peers && i < room; i++) {
		struct json_object *peer = json_object_new_object();

		output_text(peer, "name", report->peers[i].name);
		output_number(peer, "pid", (uint64_t)report->peers[i].pid);
		output_number(peer, "id", report->peers[i].client);
		output_text(peer, "result", result_name(report->peers[i].result));
		output_number(peer, "mapped", report->peers[i].mapped);
		json_object_array_add(list, peer);
	}
	json_object_object_add(object, "peers", list);
	return object;
}

static int print_report(const struct command *command, const struct change *change, uint32_t room)
{
	const struct peershm_report *report = &change->report;
	struct table *table;

	print_change(change);
	if (!report->nr_peers)
		return EXIT_DONE;
	table = table_new("lrlr", "CLIENT", "PID", "RESULT", "MAPPED");
	for (uint32_t i = 0; i < report->nr_peers && i < room; i++) {
		char pid[16];
		char mapped[SIZE_TEXT];

		snprintf(pid, sizeof(pid), "%d", report->peers[i].pid);
		size_format(report->peers[i].mapped, mapped);
		table_row(table, report->peers[i].name, pid, result_name(report->peers[i].result),
			  mapped);
	}
	return table_print(table, stdout) ? command_failed(command, NULL, -ENOMEM) : EXIT_DONE;
}

/*
 * Grows to a size, or by an amount. The library takes a size only. If somebody else grows the
 * region after its size was read, this call adds less than the amount: then the rest is added.
 */
static int grow(struct peershm *handle, struct change *change, bool by, uint64_t amount)
{
	struct peershm_report *report = &change->report;
	struct peershm_region_info region;
	int err = peershm_stat(handle, &region);

	if (err)
		return err;
	change->before = region.active;
	change->after = region.active;
	while (amount || !by) {
		uint64_t size = by ? change->after + amount : amount;
		uint64_t added;

		err = peershm_grow(handle, size < amount ? UINT64_MAX : size, report);
		if (err)
			return err;
		change->after = report->new_size;
		added = report->new_size - report->old_size;
		if (!by || added >= amount)
			return 0;
		amount -= added;
	}
	return 0;
}

static int grow_and_print(const struct command *command, struct peershm *handle,
			  struct change *change, bool by, uint64_t amount, bool json)
{
	struct peershm_region_info region;
	uint32_t room;
	int code;
	int err;

	err = peershm_stat(handle, &region);
	if (err)
		return command_failed(command, change->name, err);
	room = region.max_clients;
	change->report.peers = calloc(room ? room : 1, sizeof(struct peershm_peer));
	if (!change->report.peers)
		return command_failed(command, change->name, -ENOMEM);
	change->report.max_peers = room;
	err = grow(handle, change, by, amount);
	if (err)
		code = command_failed(command, change->name, err);
	else if (json)
		code = output_json(report_json(change, room));
	else
		code = print_report(command, change, room);
	free(change->report.peers);
	return code;
}

static int run_grow(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = {
		{ "timeout", required_argument, NULL, 't' },
		COMMON_OPTIONS,
	};
	struct change change = { 0 };
	struct peershm *handle;
	const char *size;
	uint64_t amount;
	bool by;
	int code;

	while (command_option(command, argc, argv, options, &json) != -1)
		change.report.timeout_ms = timeout_argument(command);
	command_arguments(command, argc, 2, 2);
	change.name = argv[optind];
	size = argv[optind + 1];
	by = *size == '+';
	amount = size_argument(command, size + by);
	code = command_open(command, change.name, 0, &handle);
	if (code)
		return code;
	code = grow_and_print(command, handle, &change, by, amount, json);
	peershm_close(handle);
	return code;
}

const struct command command_grow = {
	.name = "grow",
	.arguments = "NAME SIZE|+SIZE",
	.summary = "Make a region larger: to SIZE, or by +SIZE",
	.help = "  --timeout MS  how long to wait for clients that cannot be reached (100)\n"
		"  --json        an object with sizes and the clients' results\n"
		"\n"
		"Prints a result for each client:\n"
		"  mapped    the new memory is in its page tables\n"
		"  deferred  it could not be reached in time: it takes page faults on the new memory\n"
		"  gone      it has exited\n"
		"  partial   it has unmapped or replaced parts of its window; the rest is mapped\n"
		"\n"
		"Example: peershmctl grow routes +1G\n",
	.run = run_grow,
};

/*
 * getopt_long() would take "-512M" for an option: removes it from argv. Returns it without the
 * sign, or NULL if there is none.
 */
static const char *take_relative(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		const char *text = argv[i];

		if (text[0] != '-' || !isdigit((unsigned char)text[1]))
			continue;
		for (; i < *argc; i++)
			argv[i] = argv[i + 1]; /* including the NULL at the end */
		--*argc;
		return text + 1;
	}
	return NULL;
}

/* How to shrink, and to what. */
struct shrinking {
	uint64_t amount;
	bool by; /* shrink by the amount, not to it */
	bool force;
	uint32_t timeout_ms;
};

/* Only a client can announce a shrink, so peershmctl becomes one for that time. */
static int shrink_as_client(const char *name, uint64_t size, uint32_t timeout_ms)
{
	char client[PEERSHM_NAME_SIZE];
	struct peershm *handle;
	int err;

	snprintf(client, sizeof(client), "peershmctl-%d", getpid());
	err = peershm_open(&handle, name, client, 0, NULL);
	if (err)
		return err;
	err = peershm_shrink(handle, size, timeout_ms);
	peershm_close(handle); /* keeps the message */
	return err;
}

static int shrink(const struct command *command, struct peershm *handle, const char *name,
		  const struct shrinking *how, bool json)
{
	struct change change = { .name = name };
	struct peershm_region_info region;
	uint64_t amount = how->amount;
	uint64_t size = amount;
	int err;

	err = peershm_stat(handle, &region);
	if (!err && how->by) {
		if (amount > region.active) {
			fprintf(stderr,
				"peershmctl: %s %s: the region is smaller than that amount\n",
				command->name, name);
			return EXIT_FAILED;
		}
		size = region.active - amount;
	}
	if (!err)
		err = how->force ? peershm_shrink_force(handle, size) :
				   shrink_as_client(name, size, how->timeout_ms);
	if (err)
		return command_failed(command, name, err);
	change.before = region.active;
	change.after = peershm_size(handle);
	if (json)
		return output_json(change_json(&change));
	print_change(&change);
	return EXIT_DONE;
}

static int run_shrink(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "timeout", required_argument, NULL, 't' },
		COMMON_OPTIONS,
	};
	const char *relative = take_relative(&argc, argv);
	struct shrinking how = { .by = relative };
	struct peershm *handle;
	int option;
	int code;

	while ((option = command_option(command, argc, argv, options, &json)) != -1) {
		if (option == 'f')
			how.force = true;
		else
			how.timeout_ms = timeout_argument(command);
	}
	command_arguments(command, argc, relative ? 1 : 2, relative ? 1 : 2);
	how.amount = size_argument(command, relative ? relative : argv[optind + 1]);
	code = command_open(command, argv[optind], 0, &handle);
	if (code)
		return code;
	code = shrink(command, handle, argv[optind], &how, json);
	peershm_close(handle);
	return code;
}

const struct command command_shrink = {
	.name = "shrink",
	.arguments = "NAME SIZE|-SIZE",
	.summary = "Make a region smaller: to SIZE, or by -SIZE",
	.help = "  --timeout MS  how long to wait for clients to leave their read sections (1000)\n"
		"  --force       do not announce the shrink, and do not wait\n"
		"  --json        an object with the sizes\n"
		"\n"
		"The memory beyond the new size goes back to the system; a client that touches it\n"
		"afterwards gets SIGBUS. The size is rounded up to the region's page size.\n"
		"Without --force, peershmctl is a client (peershmctl-PID) of the region meanwhile, and\n"
		"changes nothing if another client does not leave its read section in time.\n"
		"\n"
		"Example: peershmctl shrink routes -512M\n",
	.run = run_shrink,
};

static int run_reserve(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	struct peershm_region_info region;
	char text[SIZE_TEXT];
	struct peershm *handle;
	uint64_t bytes;
	int code;
	int err;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 2, 2);
	bytes = size_argument(command, argv[optind + 1]);
	code = command_open(command, argv[optind], 0, &handle);
	if (code)
		return code;
	err = peershm_set_reserve(handle, bytes);
	if (!err)
		err = peershm_stat(handle, &region);
	peershm_close(handle);
	if (err)
		return command_failed(command, argv[optind], err);
	if (json)
		return output_json(output_region(&region));
	size_format(region.reserve, text);
	printf("%s: reserve %s\n", argv[optind], text);
	return EXIT_DONE;
}

const struct command command_reserve = {
	.name = "reserve",
	.arguments = "NAME SIZE",
	.summary = "Set how much memory is kept ready for growing",
	.help = "  --json  the region as one object\n"
		"\n"
		"The module allocates and zeroes this memory in the background, so that growing is\n"
		"fast; `show` prints how much of it is ready. 0 frees it. It is charged to the memory\n"
		"cgroup of this command, and is freed when the system runs short of memory.\n"
		"\n"
		"Example: peershmctl reserve routes 256M\n",
	.run = run_reserve,
};
