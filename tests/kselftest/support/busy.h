/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread that holds its process's mmap lock for writing nearly all the time. */
#ifndef PEERSHM_TEST_BUSY_H
#define PEERSHM_TEST_BUSY_H

/* For a peer to run, without an argument. */
long busy_start(void *arg);
long busy_stop(void *arg);

#endif
