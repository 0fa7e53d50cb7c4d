/* SPDX-License-Identifier: GPL-2.0-only */
/* Failures that the kernel is told to have: of the nth allocation or copy of a thread. */
#ifndef PEERSHM_TEST_FAULT_H
#define PEERSHM_TEST_FAULT_H

#include <stdbool.h>

/*
 * All sites count, also those that may sleep, and a failure is no news for the log. Skips the
 * test on a kernel without.
 */
void faults_on(void);

/* The same, but that pages do not count. */
void faults_of_slabs_on(void);

/*
 * The nth site that this thread passes from now on fails, once. Gives a descriptor for
 * fault_disarm(), or a negative errno value.
 */
int fault_arm(unsigned int nth);

/* None fails any more. Gives how many were left to pass: 0, one has failed. */
unsigned int fault_disarm(int armed);

#endif
