/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_SIZE_H
#define PEERSHM_SIZE_H

struct peershm_file;
struct peershm_region;

void peershm_size_cut(struct peershm_region *region);

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_size_grow(struct peershm_file *pf, void *arg);
long peershm_size_shrink(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_SIZE_H */
