/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints of the kernel, as a thread passes them. */
#ifndef PEERSHM_TEST_TRACEPOINT_H
#define PEERSHM_TEST_TRACEPOINT_H

/* "SUBSYSTEM/NAME"; negative: this kernel has no such tracepoint. */
long tracepoint_id(const char *name);

/*
 * Let it have an event until this program ends. The kernel rewrites its own code when a
 * tracepoint gets its first event and when it loses its last, which takes long and is what an
 * emulated CPU can stumble over (tests/holder).
 */
void tracepoint_hold(const char *name);

/* A perf event that counts this thread's passes, once it is enabled; -1 with errno set. */
int tracepoint_open(long id);

#endif
