/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_CONTROL_H
#define PEERSHM_CONTROL_H

#include <linux/types.h>

struct peershm_client;
struct peershm_file;
struct peershm_region;
struct vm_area_struct;

size_t peershm_control_length(u32 max_clients);
int peershm_control_renew(const struct peershm_client *client);
int peershm_control_mmap(const struct peershm_region *region, u64 start,
			 struct peershm_client *client,
			 struct vm_area_struct *vma);

#endif /* PEERSHM_CONTROL_H */
