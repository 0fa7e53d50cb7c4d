/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clients, resolve: who uses a region. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "size.h"
#include "table.h"

/* The clients, in the caller's hands, and how many in *n; NULL: *n is an error. */
static struct peershm_client_info *list_clients(struct peershm *handle, int *n)
{
	struct peershm_client_info *clients = NULL;
	int room = 0;

	/* Clients come meanwhile, so ask until the answer fits. */
	for (;;) {
		*n = peershm_clients(handle, clients, (size_t)room);
		if (*n >= 0 && *n <= room && clients)
			return clients;
		free(clients);
		if (*n < 0)
			return NULL;
		room = *n + 16;
		clients = calloc((size_t)room, sizeof(*clients));
		if (!clients) {
			*n = -ENOMEM;
			return NULL;
		}
	}
}

static int print_clients(const struct command *command, const struct peershm_client_info *clients,
			 int n)
{
	struct table *table = table_new("lrrrlrl", "CLIENT", "PID", "ID", "GENERATION", "BASE",
					"MAPPED", "ACCESS");

	for (int i = 0; i < n; i++) {
		char pid[16];
		char id[24];
		char generation[24];
		char base[ADDRESS_TEXT];
		char mapped[SIZE_TEXT];
		bool read_only = clients[i].flags & PEERSHM_CLIENT_READ_ONLY;

		snprintf(pid, sizeof(pid), "%d", clients[i].pid);
		snprintf(id, sizeof(id), "%" PRIu64, (uint64_t)clients[i].id);
		snprintf(generation, sizeof(generation), "%" PRIu64,
			 (uint64_t)clients[i].generation);
		output_hex(clients[i].base, base);
		size_format(clients[i].mapped, mapped);
		table_row(table, clients[i].name, pid, id, generation, base, mapped,
			  read_only ? "read" : "read, write");
	}
	return table_print(table, stdout) ? command_failed(command, NULL, -ENOMEM) : EXIT_DONE;
}

static struct json_object *clients_json(const struct peershm_client_info *clients, int n)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < n; i++) {
		struct json_object *object = json_object_new_object();
		bool read_only = clients[i].flags & PEERSHM_CLIENT_READ_ONLY;

		output_text(object, "name", clients[i].name);
		output_number(object, "pid", (uint64_t)clients[i].pid);
		output_number(object, "id", clients[i].id);
		output_number(object, "generation", clients[i].generation);
		output_number(object, "start_time_ns", clients[i].start_time);
		output_address(object, "base", clients[i].base);
		output_number(object, "mapped", clients[i].mapped);
		json_object_object_add(object, "read_only", json_object_new_boolean(read_only));
		json_object_array_add(list, object);
	}
	return list;
}

static int run_clients(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	struct peershm_client_info *clients;
	struct peershm *handle;
	int code;
	int n;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 1, 1);
	code = command_open(command, argv[optind], PEERSHM_READ_ONLY, &handle);
	if (code)
		return code;
	clients = list_clients(handle, &n);
	if (!clients)
		code = command_failed(command, argv[optind], n);
	else if (json)
		code = output_json(clients_json(clients, n));
	else
		code = print_clients(command, clients, n);
	free(clients);
	peershm_close(handle);
	return code;
}

const struct command command_clients = {
	.name = "clients",
	.arguments = "NAME",
	.summary = "List the processes attached to a region",
	.help = "  --json  an array of clients\n"
		"\n"
		"A PID of 0 is a process outside the PID namespace of peershmctl. The\n"
		"generation of a client is how many have had its name.\n"
		"\n"
		"Example: peershmctl clients routes\n",
	.run = run_clients,
};

/* A PID if the text is a number that can be one, else 0. */
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
	static const struct option options[] = { COMMON_OPTIONS };
	char client[PEERSHM_NAME_SIZE] = "";
	struct peershm *handle;
	bool by_pid;
	pid_t pid;
	int code;
	int err;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 2, 2);
	code = command_open(command, argv[optind], PEERSHM_READ_ONLY, &handle);
	if (code)
		return code;
	pid = pid_of(argv[optind + 1]);
	by_pid = pid != 0;
	err = by_pid ? peershm_resolve_pid(handle, pid, client) : -ENOENT;
	if (err == -ENOENT) {
		/* A client may be named like a number. */
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
	.summary = "Client name of a PID, or PID of a client name",
	.help = "  --json  an object with both\n"
		"\n"
		"Prints the client name if a PID was given, and the PID if a name was.\n"
		"\n"
		"Example: kill -HUP $(peershmctl resolve routes bgpd)\n",
	.run = run_resolve,
};
