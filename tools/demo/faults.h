/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting page faults, and surviving the SIGBUS beyond a region's end. */
#ifndef DEMO_FAULTS_H
#define DEMO_FAULTS_H

#include <stdint.h>

#include "message.h"

#define FAULTS_PAGE 4096 /* the smallest page size: this step touches every page */

/*
 * Locks all that the process has mapped so far, such as code and stack: page faults that are
 * counted afterwards are those on later mappings. Returns 0 or -errno.
 */
int faults_settle(void);

/* Returns the page faults of this process so far, minor and major. */
uint64_t faults_count(void);

/* Reads one byte; the answer has the signal that this raised, and its address. */
void faults_touch(struct message *message);

/* Writes one byte to each page; the answer has the page faults and the time that took. */
void faults_write(struct message *message);

#endif /* DEMO_FAULTS_H */
