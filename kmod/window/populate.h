/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_POPULATE_H
#define PEERSHM_POPULATE_H

#include <linux/types.h>

struct peershm_client;
struct task_struct;

unsigned long peershm_populate(const struct peershm_client *client,
			       struct task_struct *caller, unsigned long addr,
			       unsigned long end, bool *whole);

#endif /* PEERSHM_POPULATE_H */
