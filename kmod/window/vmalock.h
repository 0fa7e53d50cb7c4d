/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_VMALOCK_H
#define PEERSHM_VMALOCK_H

struct vm_area_struct;

void peershm_vmalock_replace_ops(struct vm_area_struct *vma);

#endif /* PEERSHM_VMALOCK_H */
