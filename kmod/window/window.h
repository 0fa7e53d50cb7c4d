/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_WINDOW_H
#define PEERSHM_WINDOW_H

#include <linux/types.h>

struct file;
struct peershm_client;
struct vm_area_struct;

struct file *peershm_window_open(struct peershm_client *client);
int peershm_window_mmap(struct peershm_client *client,
			struct vm_area_struct *vma);
bool peershm_window_owns(const struct peershm_client *client,
			 const struct vm_area_struct *vma, unsigned long addr);
int peershm_window_unmap(const struct peershm_client *client);

#endif /* PEERSHM_WINDOW_H */
