/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON, and output that several commands share. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "text.h"

int output_json(struct json_object *object)
{
	int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text = json_object_to_json_string_ext(object, flags);
	bool done = text && puts(text) >= 0;

	json_object_put(object);
	return done ? EXIT_DONE : EXIT_FAILED;
}

struct json_object *output_string(const char *value)
{
	char *escaped = text_escape(value);
	struct json_object *string = escaped ? json_object_new_string(escaped) : NULL;

	free(escaped);
	return string;
}

void output_text(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, output_string(value));
}

void output_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void output_hex(uint64_t address, char text[ADDRESS_TEXT])
{
	snprintf(text, ADDRESS_TEXT, "0x%" PRIx64, address);
}

void output_address(struct json_object *object, const char *key, uint64_t value)
{
	char text[ADDRESS_TEXT];

	if (!value) {
		json_object_object_add(object, key, NULL);
		return;
	}
	output_hex(value, text);
	output_text(object, key, text);
}

struct json_object *output_region(const struct peershm_region_info *region)
{
	struct json_object *object = json_object_new_object();
	const char *backing = peershm_backing_name(region->backing);
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", region->mode & 07777);
	output_text(object, "name", region->name);
	output_number(object, "id", region->id);
	output_text(object, "backing", backing ? backing : "unknown");
	output_number(object, "size", region->active);
	output_number(object, "capacity", region->capacity);
	output_number(object, "reserve", region->reserve);
	output_number(object, "reserved", region->reserved);
	output_number(object, "page_size", region->page_size);
	output_address(object, "base", region->base);
	output_address(object, "root", region->root);
	output_number(object, "root_generation", region->root_generation);
	output_number(object, "named_roots", region->nr_roots);
	output_number(object, "generation", region->generation);
	output_number(object, "clients", region->nr_clients);
	output_number(object, "max_clients", region->max_clients);
	output_text(object, "mode", mode);
	output_number(object, "uid", region->uid);
	output_number(object, "gid", region->gid);
	json_object_object_add(object, "unlinked",
			       json_object_new_boolean((region->flags & PEERSHM_HEADER_UNLINKED) !=
						       0));
	return object;
}
