/* SPDX-License-Identifier: GPL-2.0-only */
/* The commands clients and resolve: who uses a region. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "listing.h"
#include "size.h"
#include "table.h"

static int get_clients(struct peershm *handle, void *records, size_t room)
{
	return peershm_clients(handle, records, room);
}

static struct table *clients_table(void)
{
	return table_new("lrrlrl", "CLIENT", "PID", "ID", "BASE", "MAPPED", "ACCESS");
}

static void client_row(struct table *table, const void *record)
{
	const struct peershm_client_info *client = record;
	char pid[16];
	char id[24];
	char base[ADDRESS_TEXT];
	char mapped[SIZE_TEXT];
	bool read_only = client->flags & PEERSHM_CLIENT_READ_ONLY;

	snprintf(pid, sizeof(pid), "%d", client->pid);
	snprintf(id, sizeof(id), "%" PRIu64, (uint64_t)client->id);
	output_hex(client->base, base);
	size_format(client->mapped, mapped);
	table_row(table, client->name, pid, id, base, mapped, read_only ? "read" : "read, write");
}

static struct json_object *client_object(const void *record)
{
	const struct peershm_client_info *client = record;
	struct json_object *object = json_object_new_object();
	bool read_only = client->flags & PEERSHM_CLIENT_READ_ONLY;

	output_text(object, "name", client->name);
	output_number(object, "pid", (uint64_t)client->pid);
	output_number(object, "id", client->id);
	output_number(object, "start_time_ns", client->start_time);
	output_address(object, "base", client->base);
	output_number(object, "mapped", client->mapped);
	json_object_object_add(object, "read_only", json_object_new_boolean(read_only));
	return object;
}

static int run_clients(const struct command *command, int argc, char **argv, bool json)
{
	static const struct listing clients = {
		.size = sizeof(struct peershm_client_info),
		.get = get_clients,
		.table = clients_table,
		.row = client_row,
		.object = client_object,
	};

	return listing_run(&clients, command, argc, argv, json);
}

const struct command command_clients = {
	.name = "clients",
	.arguments = "NAME",
	.summary = "List the processes attached to a region",
	.help = "  --json  an array of clients\n"
		"\n"
		"A PID of 0 means a process outside the PID namespace of peershmctl. An\n"
		"ID is never used twice in a region.\n"
		"\n"
		"Example: peershmctl clients routes\n",
	.run = run_clients,
};

/* The PID that the text stands for, or 0 if it is no PID. */
static pid_t pid_of(const char *text)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	number = strtoul(text, &end, 10);
	return errno || *end || number > INT_MAX ? 0 : (pid_t)number;
}

static int print_answer(const char *client, pid_t pid, bool by_pid, bool json)
{
	if (json) {
		struct json_object *object = json_object_new_object();

		output_text(object, "name", client);
		output_number(object, "pid", (uint64_t)pid);
		return output_json(object);
	}
	if (by_pid)
		puts(client);
	else
		printf("%d\n", pid);
	return EXIT_DONE;
}

static int run_resolve(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = {
		{ "name", no_argument, NULL, 'n' },
		COMMON_OPTIONS,
	};
	char client[PEERSHM_NAME_SIZE] = "";
	bool by_name = false;
	struct peershm *handle;
	bool by_pid;
	pid_t pid;
	int code;
	int err;

	while (command_option(command, argc, argv, options, &json) != -1)
		by_name = true;
	command_arguments(command, argc, 2, 2);
	code = command_open(command, argv[optind], PEERSHM_READ_ONLY, &handle);
	if (code)
		return code;
	pid = by_name ? 0 : pid_of(argv[optind + 1]);
	by_pid = pid != 0;
	err = by_pid ? peershm_resolve_pid(handle, pid, client) : -ENOENT;
	if (err == -ENOENT) {
		/* A client's name may be a number, too. */
		by_pid = false;
		err = peershm_resolve_name(handle, argv[optind + 1], &pid);
		if (!err)
			snprintf(client, sizeof(client), "%s", argv[optind + 1]);
	}
	code = err ? command_failed(command, argv[optind + 1], err) :
		     print_answer(client, pid, by_pid, json);
	peershm_close(handle);
	return code;
}

const struct command command_resolve = {
	.name = "resolve",
	.arguments = "NAME PID|CLIENT",
	.summary = "Print the client name of a PID, or the PID of a client name",
	.help = "  --name  look for a client name, even if the argument could be a PID\n"
		"  --json  an object with both\n"
		"\n"
		"Prints the client name if a PID was given, and the PID if a name was.\n"
		"\n"
		"Example: kill -HUP $(peershmctl resolve routes bgpd)\n",
	.run = run_resolve,
};
