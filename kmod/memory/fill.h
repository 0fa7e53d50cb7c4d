/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_FILL_H
#define PEERSHM_FILL_H

#include <linux/types.h>

struct file;

void peershm_fill(struct file *file, u64 start, u64 end);
bool peershm_fill_ahead(struct file *file, u64 start, u64 end, u64 piece);

#endif /* PEERSHM_FILL_H */
