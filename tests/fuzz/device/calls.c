/* SPDX-License-Identifier: GPL-2.0-only */
/* The one process's state that the fuzzer's files share. */
#include "calls.h"

struct self self;
__thread struct own own;
