/* SPDX-License-Identifier: GPL-2.0-only */
/* Page faults: counting them, and surviving the one beyond a region's end. */
#ifndef DEMO_FAULTS_H
#define DEMO_FAULTS_H

#include <stdint.h>

#include "message.h"

#define FAULTS_PAGE 4096 /* the smallest there is: what is touched at this step is whole */

/*
 * Lock what the process has by now, its code and stack, so that what it faults on from now
 * on is what it maps later. 0 or -errno.
 */
int faults_settle(void);

/* Page faults of this process so far, minor and major. */
uint64_t faults_count(void);

/* Read one byte; in the answer, which signal that raised, at which address. */
void faults_touch(struct message *message);

/* Write one byte into each page; in the answer, how many faults and ns that took. */
void faults_write(struct message *message);

#endif /* DEMO_FAULTS_H */
