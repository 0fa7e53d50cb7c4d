/* SPDX-License-Identifier: GPL-2.0-only */
/* Fault injection: the nth allocation, or copy from or to user space, of a thread fails. */
#ifndef PEERSHM_TEST_FAULT_H
#define PEERSHM_TEST_FAULT_H

#include <stdbool.h>

/*
 * Let all sites fail, also those that may sleep, without a message in the kernel log. Skips the
 * test on a kernel without fault injection.
 */
void faults_on(void);

/* The same without allocations of pages. */
void faults_of_slabs_on(void);

/*
 * The nth site that this thread passes from now on fails, once. Gives a descriptor for
 * fault_disarm(), or a negative errno value.
 */
int fault_arm(unsigned int nth);

/* Stop. Gives how many sites were still to be passed before one failed; 0: one has failed. */
unsigned int fault_disarm(int armed);

#endif
