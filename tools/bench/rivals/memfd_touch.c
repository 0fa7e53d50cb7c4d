// SPDX-License-Identifier: GPL-2.0-only
/* A memfd whose peers take a page fault for each new page that they touch. */
#include "memfd.h"

const struct subject subject = {
	.name = "memfd-touch",
	.zero_peers = true,
	MEMFD_SUBJECT,
};
