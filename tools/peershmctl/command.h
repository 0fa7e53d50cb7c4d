/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of peershmctl share. */
#ifndef PEERSHMCTL_COMMAND_H
#define PEERSHMCTL_COMMAND_H

#include <getopt.h>
#include <stdbool.h>

#include <json-c/json.h>

#include <peershm.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_THERE = 3,
	EXIT_NO_MODULE = 4,
};

struct command {
	const char *name;
	const char *arguments; /* as the usage line shows them */
	const char *summary;
	const char *help; /* options and an example */
	int (*run)(const struct command *command, int argc, char **argv, bool json);
};

extern const struct command command_ls;
extern const struct command command_create;
extern const struct command command_show;
extern const struct command command_clients;
extern const struct command command_grow;
extern const struct command command_shrink;
extern const struct command command_reserve;
extern const struct command command_resolve;
extern const struct command command_rm;
extern const struct command command_watch;
extern const struct command command_roots;

/* main.c */

#define COMMON_OPTIONS                                                          \
	{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, \
	{                                                                       \
		NULL, 0, NULL, 0                                                \
	}

/*
 * getopt_long() for a command: returns the next of the command's own options, or -1 at the
 * end. --json sets *json; --help and wrong options end the program.
 */
int command_option(const struct command *command, int argc, char **argv,
		   const struct option *options, bool *json);

/* Ends the program unless `least` to `most` arguments are left after the options. */
void command_arguments(const struct command *command, int argc, int least, int most);

/* Says what is wrong with the command line, and ends the program with EXIT_USAGE. */
void command_misuse(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* Says that the library returned `err` for `subject` (or NULL); returns the exit code. */
int command_failed(const struct command *command, const char *subject, int err);

/* Opens a region without becoming its client; returns an exit code. */
int command_open(const struct command *command, const char *name, unsigned int flags,
		 struct peershm **handle);

/* output.c */

/* Prints the object as JSON, and frees it; returns an exit code. */
int output_json(struct json_object *object);

/* A value for the JSON; its bytes that are no printable character are escaped, as in tables. */
struct json_object *output_string(const char *value);

/* These add a member; the object owns the value. An address of 0 becomes null. */
void output_text(struct json_object *object, const char *key, const char *value);
void output_number(struct json_object *object, const char *key, uint64_t value);
void output_address(struct json_object *object, const char *key, uint64_t value);

struct json_object *output_region(const struct peershm_region_info *region);

/* "0x500000000000" */
#define ADDRESS_TEXT 20
void output_hex(uint64_t address, char text[ADDRESS_TEXT]);

#endif /* PEERSHMCTL_COMMAND_H */
