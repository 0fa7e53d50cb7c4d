/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files about read sections share: control.c, reader.c, grace.c. */
#ifndef PEERSHM_CONTROL_H
#define PEERSHM_CONTROL_H

#include <pthread.h>

#include "internal.h"

#define SHARED_SLOTS 2
#define FIRST_OWN_SLOT (1 + SHARED_SLOTS) /* a control page's first slot for one thread alone */

/* The first cache line of a client's control page. */
struct pshm_page_start {
	uint32_t mode;
	uint32_t reserved[15];
};

enum {
	MODE_NONE = 0, /* no section yet */
	MODE_BARRIER = 1,
	MODE_FENCE = 2,
};

_Static_assert(sizeof(struct pshm_page_start) == sizeof(struct peershm_slot), "lines of a page");
_Static_assert(sizeof(struct peershm_reader) == 32, "the binary interface");
_Static_assert(sizeof(struct peershm_slot) == 64, "the binary interface");

/* What a handle's sections need; all but `shared` under the lock. */
struct pshm_sections {
	size_t page_length;		/* bytes of a control page */
	struct peershm_slot *own_page;	/* this client's, a page; NULL: not mapped */
	struct peershm_slot *all_pages; /* every client's; NULL: not mapped */
	bool uses_fences;
	struct peershm_reader *readers; /* all threads' */
	bool *slot_taken;		/* by slot */

	struct {
		pthread_mutex_t lock;
		uint32_t current;
		uint32_t inside[SHARED_SLOTS]; /* threads */
	} shared;
};

static inline size_t pshm_control_slots(const struct pshm_sections *s)
{
	return s->page_length / sizeof(struct peershm_slot);
}

#endif /* PEERSHM_CONTROL_H */
