/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What control.c, reader.c and grace.c share. */
#ifndef PEERSHM_CONTROL_H
#define PEERSHM_CONTROL_H

#include <pthread.h>

#include "internal.h"

#define SHARED_SLOTS 2
#define FIRST_OWN_SLOT (1 + SHARED_SLOTS) /* first slot of a page that one thread has alone */

/* The first cache line of a client's control page, before the slots. */
struct pshm_page_start {
	uint32_t mode;
	uint32_t reserved[15];
};

enum {
	MODE_NONE = 0,	  /* no thread of the client has been in a section */
	MODE_BARRIER = 1, /* its readers need membarrier() from the waiter */
	MODE_FENCE = 2,	  /* its readers execute full fences themselves */
};

_Static_assert(sizeof(struct pshm_page_start) == sizeof(struct peershm_slot),
	       "both are a line of a page");
_Static_assert(sizeof(struct peershm_reader) == 32, "the binary interface");
_Static_assert(sizeof(struct peershm_slot) == 64, "the binary interface");

/* What a handle's read sections need. The control lock protects all but `shared`. */
struct pshm_sections {
	size_t page_length;		/* of one client's control page */
	struct peershm_slot *own_page;	/* NULL: not mapped yet */
	struct peershm_slot *all_pages; /* every client's; NULL: not mapped yet */
	bool uses_fences;		/* membarrier() cannot reach this process */
	struct peershm_reader *readers; /* of all threads */
	bool *slot_taken;		/* indexed by slot */

	struct {
		pthread_mutex_t lock;
		uint32_t current;	       /* the shared slot that new sections use */
		uint32_t inside[SHARED_SLOTS]; /* threads in a section, by shared slot */
	} shared;
};

static inline size_t pshm_control_slots(const struct pshm_sections *s)
{
	return s->page_length / sizeof(struct peershm_slot);
}

#endif /* PEERSHM_CONTROL_H */
