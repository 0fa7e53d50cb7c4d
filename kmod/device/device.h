/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_DEVICE_H
#define PEERSHM_DEVICE_H

#include <linux/types.h>

struct peershm_file;

int peershm_device_init(void);
void peershm_device_exit(void);

int peershm_copy_array(u64 to, const void *from, u32 n, size_t size);

#endif /* PEERSHM_DEVICE_H */
