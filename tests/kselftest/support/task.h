/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process or thread is at. */
#ifndef PEERSHM_TEST_TASK_H
#define PEERSHM_TEST_TASK_H

#include <stdbool.h>
#include <sys/types.h>

/* In interruptible sleep (S). False if it is gone. */
bool task_sleeps(pid_t tid);

/* The system call that the task is in, and its third argument; -1 if it is in none, or runs. */
long task_call(pid_t tid, unsigned long *third);

#endif
