// SPDX-License-Identifier: GPL-2.0-only
/* A memfd whose peers take a page fault for each new page that they touch. */
#include <stddef.h>

#include "memfd.h"
#include "../subjects/subject.h"

const struct subject subject = {
	.name = "memfd-touch",
	.backings = memfd_backings,
	.zero_peers = true,
	.open = memfd_open,
	.grow = memfd_grow,
	.shrink = memfd_shrink,
	.close = memfd_close,
	.join = memfd_join,
	.at = memfd_at,
	.leave = memfd_leave,
};
