/* SPDX-License-Identifier: GPL-2.0-only */
/* A daemon that answers look-ups through the pointers in the region. */
#ifndef DEMO_LOOKUP_H
#define DEMO_LOOKUP_H

int lookup_main(const char *region, const char *client);

#endif /* DEMO_LOOKUP_H */
