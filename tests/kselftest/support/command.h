/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one table of what a process can ask of the device, and all that tests need to know of
 * each: its arguments and how to spoil them, who may, how to take it back.
 */
#ifndef PEERSHM_TEST_COMMAND_H
#define PEERSHM_TEST_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer.h"

/* The argument of any command; `size` and `flags` are the first words of each. */
union argument {
	struct {
		uint32_t size, flags;
	};
	struct peershm_create create;
	struct peershm_attach attach;
	struct peershm_detach detach;
	struct peershm_grow grow;
	struct peershm_peer_map peer_map;
	struct peershm_shrink shrink;
	struct peershm_set_root set_root;
	struct peershm_get_root get_root;
	struct peershm_roots roots;
	struct peershm_clients clients;
	struct peershm_resolve resolve;
	struct peershm_regions regions;
	struct peershm_stat stat;
	struct peershm_unlink unlink;
	struct peershm_set_reserve set_reserve;
	struct peershm_watch watch;
	char bytes[1024];
};

/* What commands are done to: a region of `step` bytes with a client "witness". */
struct target {
	char region[PEERSHM_NAME_SIZE];
	char created[PEERSHM_NAME_SIZE], unlinked[PEERSHM_NAME_SIZE]; /* by CREATE and UNLINK */
	uint64_t id;
	bool by_id; /* commands name the region by its id: the file need not be attached to it */
	uint64_t base, step, capacity;
	uint64_t length; /* of a grow */
	enum peershm_backing backing;
};

/* The name of the client that "attach" makes. */
#define COMMAND_CLIENT "client"

/* Where a command runs in the tests that try all of them, and what becomes of it. */
enum command_where {
	NOT_EVERYWHERE, /* only where tests ask for it: another row is much the same */
	OUTSIDE,	/* in a process that is no client */
	UNDONE,		/* the same; the module undoes it if it cannot copy its answer */
	INSIDE,		/* in a client */
};

/* Who may: whoever the region's mode lets read, write, or both; or its owner. */
#define MAY_READ 4u
#define MAY_WRITE 2u
#define MAY_OWN 1u

struct command {
	const char *name;
	/* Of ioctls. Rows of one stand together, the first for all where one is enough. */
	unsigned long ioctl;
	size_t size;
	/* Fields by their offset in the argument; 0: there is none. */
	size_t region, names[2];
	size_t padding; /* must be zero */
	uint32_t flags; /* that there are */
	void (*fill)(const struct target *t, union argument *a);
	/*
	 * In a process whose file is self.fd: what run needs, which may be there already; the
	 * command, if it is more than an ioctl; and taking it back. NULL: nothing.
	 */
	long (*prepare)(const struct target *t);
	long (*run)(const struct target *t);
	long (*undo)(const struct target *t);
	enum command_where where;
	unsigned int needs; /* MAY_*; 0: no tests of permissions */
	int unprepared;	    /* what it answers where prepare, or a client "witness", is missing */
	bool waits;	    /* it may take long, or wait for somebody */
	bool clears;	    /* a page each time, and is the same with all sizes of pages */
	bool joins;	    /* whoever ran it may be a client afterwards or not */
};

extern const struct command commands[];
extern const unsigned int nr_commands;

/* All; those that every test of all commands runs; one for each ioctl. */
#define for_each_row(c) for (const struct command *c = commands; c < commands + nr_commands; c++)
#define for_each_command(c)                                              \
	for (const struct command *c = command_next(commands, false); c; \
	     c = command_next(c + 1, false))
#define for_each_ioctl(c)                                               \
	for (const struct command *c = command_next(commands, true); c; \
	     c = command_next(c + 1, true))
const struct command *command_next(const struct command *from, bool ioctls);
const struct command *command_find(const char *name);

/* The argument that succeeds; 0 or a negative errno value. */
void command_fill(const struct command *c, const struct target *t, union argument *a);
long command_prepare(const struct command *c, const struct target *t);
long command_run(const struct command *c, const struct target *t);
long command_undo(const struct command *c, const struct target *t);

/* The same in a peer, with its file. */
long peer_command(struct peer *p, const struct command *c, const struct target *t);

/* Undo what processes that are gone did to the region; `file` is another client's. */
void command_clean(int file, const struct target *t);

/* Is it worth trying again with pages of this size, which take long to clear? */
bool command_is_worth(const struct command *c, const struct backing *b);

/* What was in the memory is gone when it has been undone. */
bool command_shrinks(const struct command *c);

struct target target_of(const struct region *r, uint64_t step);

/* A peer for such commands, with a file that is no client's or with a client's. */
struct peer *command_peer(const struct region *r, bool client);

/* Few pages, as each is many points at which a command can fail. */
static inline uint64_t few_pages(const struct backing *b)
{
	return b->id == PEERSHM_SMALL ? 16 * b->page : b->page;
}

#endif
