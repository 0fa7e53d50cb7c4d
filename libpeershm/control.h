/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files about read sections share: control.c, reader.c, grace.c. */
#ifndef PEERSHM_CONTROL_H
#define PEERSHM_CONTROL_H

#include <pthread.h>

#include "internal.h"

#define SHARED 2
#define FIRST (1 + SHARED) /* a control page's first slot for one thread alone */

/* The first cache line of a client's control page. */
struct mode {
	uint32_t mode;
	uint32_t reserved[15];
};

enum {
	MODE_NONE = 0, /* no section yet */
	MODE_BARRIER = 1,
	MODE_FENCE = 2,
};

_Static_assert(sizeof(struct mode) == sizeof(struct peershm_slot), "lines of a page");
_Static_assert(sizeof(struct peershm_reader) == 32, "the binary interface");
_Static_assert(sizeof(struct peershm_slot) == 64, "the binary interface");

/* What a handle's sections need; all but `shared` under the lock. */
struct pshm_sections {
	size_t page;		  /* bytes of a control page */
	struct peershm_slot *own; /* this client's, a page; NULL: not mapped */
	struct peershm_slot *all; /* every client's; NULL: not mapped */
	bool fence;
	struct peershm_reader *readers; /* all threads' */
	bool *taken;			/* by slot */

	struct {
		pthread_mutex_t lock;
		uint32_t current;
		uint32_t inside[SHARED]; /* threads */
	} shared;
};

static inline size_t pshm_control_slots(const struct pshm_sections *s)
{
	return s->page / sizeof(struct peershm_slot);
}

#endif /* PEERSHM_CONTROL_H */
