/* SPDX-License-Identifier: GPL-2.0-only */
/* What the demo shows, told in order, and whether all that it promises was true. */
#ifndef DEMO_STORY_H
#define DEMO_STORY_H

#include <peershm.h>
#include <stdbool.h>

bool story_run(enum peershm_backing backing);

#endif /* DEMO_STORY_H */
