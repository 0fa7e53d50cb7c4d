/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header page with any contents, read and listed. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define ENTRIES 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* exactly as large as the mapping is said to be, so that reading beyond it is an error */
	char *map = malloc(size ? size : 1);
	struct peershm_header_client clients[ENTRIES];
	struct peershm_header *header = (struct peershm_header *)map;
	struct peershm_header copy;
	int n;

	if (!map)
		return 0;
	memcpy(map, data, size);
	/* The reader waits a second for an odd sequence counter to become even: spare it that. */
	if (size >= sizeof(*header)) {
		header->seq &= ~1U;
		if (data[size - 1] & 1) {
			header->magic = PEERSHM_HEADER_MAGIC;
			header->major = PEERSHM_HEADER_MAJOR;
		}
	}
	if (!pshm_header_read(map, size, &copy)) {
		check(copy.size <= copy.capacity);
		check(copy.page_size && !(copy.page_size & (copy.page_size - 1)));
		check(copy.client_offset <= size);
	}
	n = pshm_header_list(map, size, clients, size % (ENTRIES + 1));
	check(n <= 0 || (size_t)n <= size / sizeof(clients[0]));
	for (size_t i = 0; n > 0 && i < (size_t)n && i < size % (ENTRIES + 1); i++)
		check(strnlen(clients[i].name, PEERSHM_NAME_SIZE) < PEERSHM_NAME_SIZE);
	free(map);
	return 0;
}
