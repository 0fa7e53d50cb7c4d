// SPDX-License-Identifier: GPL-2.0-only
/* A memfd whose peers are told of new memory, and populate their page tables for all of it. */
#include <stdio.h>
#include <sys/mman.h>

#include "memfd.h"

static bool populate(char *memory, uint64_t length)
{
	if (!madvise(memory, length, MADV_POPULATE_WRITE))
		return true;
	perror("bench: MADV_POPULATE_WRITE");
	return false;
}

const struct subject subject = {
	.name = "memfd-populate",
	.receive = populate,
	MEMFD_SUBJECT,
};
