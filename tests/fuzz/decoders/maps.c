/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/maps with any contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input begins with the range to look for and the size of the buffer for the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1;
	static char path[64];
	uint16_t where[3];
	uint64_t start;
	size_t room;
	char *text;

	if (size < sizeof(where))
		return 0;
	if (file < 0) {
		file = memfd_create("maps", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	memcpy(where, data, sizeof(where));
	data += sizeof(where);
	size -= sizeof(where);
	start = (uint64_t)where[0] << 12;
	room = where[2] % 512;
	text = malloc(room ? room : 1);
	if (!text || ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
	pshm_maps_overlap(path, start, start + ((uint64_t)where[1] << 12), text, room);
	if (room && strnlen(text, room) == room)
		abort();
	free(text);
	return 0;
}
