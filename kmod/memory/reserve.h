/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_RESERVE_H
#define PEERSHM_RESERVE_H

#include <linux/types.h>

struct peershm_file;
struct peershm_region;

int peershm_reserve_init(void);
void peershm_reserve_exit(void);

void peershm_reserve_prepare(struct peershm_region *region);
void peershm_reserve_release(struct peershm_region *region);
int peershm_reserve_set(struct peershm_region *region, u64 want);
void peershm_reserve_used(struct peershm_region *region, u64 have);
void peershm_reserve_refill(struct peershm_region *region);

/* Command. `arg` is the command's struct in kernel memory. */
long peershm_reserve_command(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_RESERVE_H */
