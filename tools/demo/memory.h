/* SPDX-License-Identifier: GPL-2.0-only */
/* The system's figures of memory. */
#ifndef DEMO_MEMORY_H
#define DEMO_MEMORY_H

#include <peershm.h>
#include <stdint.h>
#include <sys/types.h>

/* Returns how many bytes of the range are in the process's page tables (/proc/PID/pagemap). */
uint64_t memory_present(pid_t pid, uint64_t address, uint64_t length);

/*
 * Returns a figure in bytes that rises by what a shrink of the region frees: the free pages of its
 * pool, or minus the shared memory in use.
 */
int64_t memory_free(const struct peershm_region_info *region);

#endif /* DEMO_MEMORY_H */
