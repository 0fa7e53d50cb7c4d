/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon that reads the symbols into the region, and grows it as it goes. */
#ifndef DEMO_LOADER_H
#define DEMO_LOADER_H

#define LOADER_STEP (2ULL << 20) /* what it grows the region by */

int loader_main(const char *region, const char *client);

#endif /* DEMO_LOADER_H */
