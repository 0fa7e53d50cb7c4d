/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_PINS_H
#define PEERSHM_PINS_H

#include <linux/types.h>

struct file;

u64 peershm_pinned(struct file *file, u64 start, u64 end);

#endif /* PEERSHM_PINS_H */
