/* SPDX-License-Identifier: GPL-2.0-only */
/* What the system says of memory. */
#ifndef DEMO_MEMORY_H
#define DEMO_MEMORY_H

#include <peershm.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of the range that are in the page tables of a process (/proc/PID/pagemap). */
uint64_t memory_present(pid_t pid, uint64_t address, uint64_t length);

/* Bytes of the system's that such a region takes from: they grow when a region shrinks. */
int64_t memory_free(const struct peershm_region_info *region);

#endif /* DEMO_MEMORY_H */
