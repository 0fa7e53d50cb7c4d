/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Region names and options that a program takes from its users, unchecked. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_name(const char name[PEERSHM_NAME_SIZE])
{
	size_t length = strnlen(name, PEERSHM_NAME_SIZE);

	check(length && length < PEERSHM_NAME_SIZE);
	for (size_t i = 0; i < length; i++)
		check(name[i] != '/' && (unsigned char)name[i] >= ' ' && name[i] != 0x7f);
	for (size_t i = length; i < PEERSHM_NAME_SIZE; i++)
		check(!name[i]);
}

/* The input is struct peershm_options, and then the name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peershm_options options;
	struct peershm_create create;
	char *name;

	if (size < sizeof(options))
		return 0;
	memcpy(&options, data, sizeof(options));
	options.backing %= 8; /* every second input has a backing that exists */
	name = strndup((const char *)data + sizeof(options), size - sizeof(options));
	if (!name)
		return 0;
	if (!pshm_options_fill(&create, name, &options)) {
		check_name(create.name);
		check(create.capacity && create.capacity >= options.capacity);
		check(options.size <= create.capacity);
		check(create.size == sizeof(create));
	}
	free(name);
	return 0;
}
