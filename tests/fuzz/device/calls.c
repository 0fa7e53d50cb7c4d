/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of the process and of the thread, which all files of the fuzzer use. */
#include "calls.h"

struct self self;
__thread struct own own;
