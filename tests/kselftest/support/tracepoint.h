/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints of the kernel, as a thread passes them. */
#ifndef PEERSHM_TEST_TRACEPOINT_H
#define PEERSHM_TEST_TRACEPOINT_H

/* "SUBSYSTEM/NAME"; negative: this kernel has no such tracepoint. */
long tracepoint_id(const char *name);

/* A perf event that counts this thread's passes, once it is enabled; -1 with errno set. */
int tracepoint_open(long id);

#endif
