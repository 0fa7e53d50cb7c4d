/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_DEVICE_H
#define PEERSHM_DEVICE_H

#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "registry/event.h"

struct file;
struct peershm_client;

/*
 * One open file of the device. Lives as long as the file.
 */
struct peershm_file {
	struct file *file;		/* constant; no reference */
	spinlock_t lock;
	struct peershm_client *client;	/* lock; a reference */
	struct task_struct *attacher;	/* lock; in ATTACH, else NULL */
	struct peershm_event_reader reader;
};

int peershm_device_init(void);
void peershm_device_exit(void);

bool peershm_file_writable(const struct peershm_file *pf);
int peershm_copy_array(u64 to, const void *from, u32 n, size_t size);

#endif /* PEERSHM_DEVICE_H */
