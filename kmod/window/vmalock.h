/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_VMALOCK_H
#define PEERSHM_VMALOCK_H

struct vm_area_struct;

#ifdef PEERSHM_MOVE_DEADLOCKS
void peershm_vmalock_mend(struct vm_area_struct *vma);
#else
static inline void peershm_vmalock_mend(struct vm_area_struct *vma)
{
}
#endif

#endif /* PEERSHM_VMALOCK_H */
