/* SPDX-License-Identifier: GPL-2.0-only */
/* The command watch: prints what happens to a region, as it happens. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "size.h"
#include "text.h"

#define VALUES_TEXT 80
#define PID_WIDTH 13 /* "  PID " and seven digits */

/* Converts the time of an event, which counts from boot, to that of the wall clock. */
static void time_text(uint64_t boottime, char text[32])
{
	struct timespec wall;
	struct timespec boot;
	struct tm local;
	int64_t ns;
	time_t seconds;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	ns = (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec;
	ns -= (int64_t)boot.tv_sec * 1000000000 + boot.tv_nsec;
	ns += (int64_t)boottime;
	seconds = (time_t)(ns / 1000000000);
	localtime_r(&seconds, &local);
	n = strftime(text, 32, "%H:%M:%S", &local);
	snprintf(text + n, 32 - n, ".%03d", (int)(ns / 1000000 % 1000));
}

/* Describes the two values of an event; an empty text for an event without values. */
static void values_text(const struct peershm_event *event, char text[VALUES_TEXT])
{
	char old_size[SIZE_TEXT];
	char new_size[SIZE_TEXT];

	text[0] = '\0';
	size_format_two(event->old_value, event->new_value, old_size, new_size);
	switch (event->type) {
	case PEERSHM_EVENT_GREW:
	case PEERSHM_EVENT_SHRUNK:
		snprintf(text, VALUES_TEXT, "%s -> %s", old_size, new_size);
		break;
	case PEERSHM_EVENT_SHRINKING:
		if (event->old_value == event->new_value)
			snprintf(text, VALUES_TEXT, "withdrawn at %s", old_size);
		else
			snprintf(text, VALUES_TEXT, "%s -> %s announced", old_size, new_size);
		break;
	case PEERSHM_EVENT_ROOT:
		snprintf(text, VALUES_TEXT, "0x%" PRIx64 " -> 0x%" PRIx64,
			 (uint64_t)event->old_value, (uint64_t)event->new_value);
		break;
	case PEERSHM_EVENT_CAUGHT_UP:
		snprintf(text, VALUES_TEXT, "%s mapped, was %s", new_size, old_size);
		break;
	case PEERSHM_EVENT_OVERFLOW:
		snprintf(text, VALUES_TEXT, "%" PRIu64 " events lost", (uint64_t)event->new_value);
		break;
	default:
		break;
	}
}

static const char *type_text(const struct peershm_event *event)
{
	const char *name = peershm_event_name(event->type);

	return name ? name : "unknown";
}

static void print_event(const struct peershm_event *event)
{
	char *name = text_escape(event->name);
	char values[VALUES_TEXT];
	char time[32];
	char pid[24];

	time_text(event->time, time);
	values_text(event, values);
	snprintf(pid, sizeof(pid), "  PID %d", event->pid);
	if (event->type == PEERSHM_EVENT_OVERFLOW)
		pid[0] = '\0';
	/* The last column is not padded. */
	if (!event->name[0] && !values[0])
		printf("%s  %-9s%s\n", time, type_text(event), pid);
	else
		printf("%s  %-9s%-*s%s%s%s%s\n", time, type_text(event), pid[0] ? PID_WIDTH : 0,
		       pid, event->name[0] ? "  " : "", name ? name : "", values[0] ? "  " : "",
		       values);
	free(name);
}

/* One line for each event, for programs that read them as they come. */
static void print_json(const struct peershm_event *event)
{
	struct json_object *object = json_object_new_object();
	int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	output_text(object, "event", type_text(event));
	output_number(object, "sequence", event->sequence);
	output_number(object, "time_ns", event->time);
	output_text(object, "name", event->name);
	output_number(object, "client", event->client);
	output_number(object, "pid", (uint64_t)event->pid);
	if (event->type == PEERSHM_EVENT_ROOT) {
		output_address(object, "old_root", event->old_value);
		output_address(object, "new_root", event->new_value);
	} else {
		output_number(object, "old", event->old_value);
		output_number(object, "new", event->new_value);
	}
	text = json_object_to_json_string_ext(object, flags);
	if (text)
		puts(text);
	json_object_put(object);
}

static int run_watch(const struct command *command, int argc, char **argv, bool json)
{
	static const struct option options[] = { COMMON_OPTIONS };
	struct peershm_event event;
	struct peershm *handle;
	int code;
	int err;

	command_option(command, argc, argv, options, &json);
	command_arguments(command, argc, 1, 1);
	code = command_open(command, argv[optind], PEERSHM_READ_ONLY, &handle);
	if (code)
		return code;
	err = peershm_event_fd(handle);
	if (err < 0) {
		code = command_failed(command, argv[optind], err);
		goto close;
	}
	while (!(err = peershm_next_event(handle, &event, -1))) {
		if (json)
			print_json(&event);
		else
			print_event(&event);
		/* Whoever read the output is gone. */
		if (fflush(stdout))
			break;
	}
	if (err && err != -ENOENT)
		code = command_failed(command, argv[optind], err);
close:
	peershm_close(handle);
	return code;
}

const struct command command_watch = {
	.name = "watch",
	.arguments = "NAME",
	.summary = "Print what happens to a region, as it happens",
	.help = "  --json  one object a line; time_ns counts from boot, old and new are numbers; for\n"
		"          a root they are old_root and new_root, which are addresses or null\n"
		"\n"
		"Events: a client attaches, leaves or dies; the size or a root changes; a shrink is\n"
		"announced; a client that a grow could not reach in time has caught up.\n"
		"Ends when the region is unlinked.\n"
		"\n"
		"Example: peershmctl watch routes\n",
	.run = run_watch,
};
