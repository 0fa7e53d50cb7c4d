/* SPDX-License-Identifier: GPL-2.0-only */
/* peershmctl - look at and administer the regions of /dev/peershm */
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "size.h"
#include "text.h"

static const struct command *const commands[] = {
	&command_ls,	&command_create, &command_show,	   &command_clients,
	&command_grow,	&command_shrink, &command_reserve, &command_resolve,
	&command_roots, &command_rm,	 &command_watch,
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	puts("Usage: peershmctl [--json] COMMAND [ARGUMENT...]\n"
	     "Look at and administer regions of shared memory (/dev/peershm).\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("  %-8s %-28s %s\n", commands[i]->name, commands[i]->arguments,
		       commands[i]->summary);
	puts("\n"
	     "  --json     print JSON: sizes in bytes, addresses as \"0x...\" or null\n"
	     "  -h, --help this help; peershmctl COMMAND --help for the command's\n"
	     "  --version  the version\n"
	     "\n"
	     "A SIZE is in bytes, or in units of 1024: " SIZE_FORMS ".\n"
	     "\n"
	     "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such region or client,\n"
	     "4 the peershm module is not loaded (modprobe peershm, or insmod peershm.ko).\n"
	     "\n"
	     "Example: peershmctl create routes --capacity 64G --backing thp");
}

static void print_command_help(const struct command *command)
{
	const char *arguments = command->arguments;

	printf("Usage: peershmctl %s [OPTION...]%s%s\n%s.\n\n%s", command->name,
	       *arguments ? " " : "", arguments, command->summary, command->help);
}

void command_misuse(const struct command *command, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "peershmctl: %s: ", command->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nTry: peershmctl %s --help\n", command->name);
	exit(EXIT_USAGE);
}

int command_option(const struct command *command, int argc, char **argv,
		   const struct option *options, bool *json)
{
	for (;;) {
		int option = getopt_long(argc, argv, "h", options, NULL);

		switch (option) {
		case 'j':
			*json = true;
			break;
		case 'h':
			print_command_help(command);
			exit(EXIT_DONE);
		case '?':
			/* getopt_long() has printed what is wrong. */
			fprintf(stderr, "Try: peershmctl %s --help\n", command->name);
			exit(EXIT_USAGE);
		default:
			return option;
		}
	}
}

void command_arguments(const struct command *command, int argc, int least, int most)
{
	int given = argc - optind;

	if (given < least || given > most)
		command_misuse(command, "expected arguments: %s",
			       *command->arguments ? command->arguments : "none");
}

static int exit_code_of(int err)
{
	switch (err) {
	case -ENOENT:
		return EXIT_NOT_THERE;
	case -ENODEV:
		/* A backing that the machine does not support is -ENODEV, too. */
		return access(PEERSHM_DEVICE, F_OK) ? EXIT_NO_MODULE : EXIT_FAILED;
	default:
		return EXIT_FAILED;
	}
}

int command_failed(const struct command *command, const char *subject, int err)
{
	/* It may name a client of somebody else's. */
	char *escaped = text_escape(peershm_strerror(err));
	const char *text = escaped ? escaped : "out of memory";

	if (subject)
		fprintf(stderr, "peershmctl: %s %s: %s\n", command->name, subject, text);
	else
		fprintf(stderr, "peershmctl: %s: %s\n", command->name, text);
	free(escaped);
	return exit_code_of(err);
}

int command_open(const struct command *command, const char *name, unsigned int flags,
		 struct peershm **handle)
{
	int err = peershm_open(handle, name, NULL, flags, NULL);

	return err ? command_failed(command, name, err) : EXIT_DONE;
}

/* NULL if there is no such command; then an error has been printed. */
static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(name, commands[i]->name))
			return commands[i];
	}
	fprintf(stderr, "peershmctl: there is no command %s\nTry: peershmctl --help\n", name);
	return NULL;
}

static int run(const char *name, int argc, char **argv, bool json)
{
	static char prefix[64]; /* what getopt_long() begins its messages with */
	const struct command *command = find(name);

	if (!command)
		return EXIT_USAGE;
	snprintf(prefix, sizeof(prefix), "peershmctl: %s", name);
	argv[0] = prefix;
	optind = 0; /* start over, in the command's own arguments */
	return command->run(command, argc, argv, json);
}

/* Of all, or of the command that is named. */
static int help(const char *name)
{
	const struct command *command = name ? find(name) : NULL;

	if (name && !command)
		return EXIT_USAGE;
	if (command)
		print_command_help(command);
	else
		print_help();
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int option;
	int code;

	setlocale(LC_CTYPE, "C.UTF-8");
	argv[0] = "peershmctl"; /* in messages of getopt_long() */
	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'h':
			print_help();
			return EXIT_DONE;
		case 'v':
			puts("peershmctl " PEERSHM_VERSION_STRING);
			return EXIT_DONE;
		default:
			fputs("Try: peershmctl --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fputs("peershmctl: a command is missing\nTry: peershmctl --help\n", stderr);
		return EXIT_USAGE;
	}
	argc -= optind;
	argv += optind;
	if (!strcmp(argv[0], "help"))
		code = help(argv[1]);
	else
		code = run(argv[0], argc, argv, json);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "peershmctl: the output cannot be written: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return code;
}
