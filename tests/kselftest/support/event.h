/* SPDX-License-Identifier: GPL-2.0-only */
/* Events: a file to read them from, what is in them, and making some. */
#ifndef PEERSHM_TEST_EVENT_H
#define PEERSHM_TEST_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "device.h"

/* A file that watches the region, and does not block; closed after the test. */
int event_watcher(const struct region *r);
void event_nonblock(int fd, bool on);

/* A negative errno value, or how many events. */
int event_read(int fd, struct peershm_event *events, size_t n);

struct peershm_event event_next(int fd); /* waits for it */
void event_none(int fd);		 /* there is none */

/* Changes of the root of a region of at least 1 MiB, by a client or through r->fd. */
void event_make(const struct region *r, int fd, unsigned int n);

void assert_event_is(const struct peershm_event *e, enum peershm_event_type type, pid_t pid,
		     const char *name, uint64_t old_value, uint64_t new_value);

#define assert_next_event(fd, ...)                        \
	do {                                              \
		struct peershm_event e_ = event_next(fd); \
		assert_event_is(&e_, __VA_ARGS__);        \
	} while (0)

#endif
