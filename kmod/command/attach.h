/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_ATTACH_H
#define PEERSHM_ATTACH_H

struct peershm_file;

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_attach_command(struct peershm_file *pf, void *arg);
void peershm_attach_undo(struct peershm_file *pf, void *arg);
long peershm_detach_command(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_ATTACH_H */
