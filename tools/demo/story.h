/* SPDX-License-Identifier: GPL-2.0-only */
/* The story that the demo tells. True: it was told to its end, and every promise was kept. */
#ifndef DEMO_STORY_H
#define DEMO_STORY_H

#include <peershm.h>
#include <stdbool.h>

bool story_run(enum peershm_backing backing);

#endif /* DEMO_STORY_H */
