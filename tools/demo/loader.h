/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon that reads the symbols into the region, which it grows step by step. */
#ifndef DEMO_LOADER_H
#define DEMO_LOADER_H

#define LOADER_STEP (2ULL << 20) /* bytes by which it grows the region */

int loader_main(const char *region, const char *client);

#endif /* DEMO_LOADER_H */
