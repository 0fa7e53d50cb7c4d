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

/* The argument of any command; these are the first fields of each. */
union argument {
	struct {
		uint32_t size, flags;
		struct peershm_failure failure;
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
	struct peershm_info info;
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

/* Where a command runs in the tests that try all commands. */
enum command_where {
	NOT_EVERYWHERE, /* not in those tests: another row goes the same way in the module */
	OUTSIDE,	/* in a process that is no client */
	UNDONE,		/* the same, and the module undoes it if the answer cannot be copied */
	INSIDE,		/* in a client */
};

/* What a command needs: that the region's mode lets the caller read or write, or to own it. */
#define MAY_READ 4u
#define MAY_WRITE 2u
#define MAY_OWN 1u

struct command {
	const char *name;
	/* 0: it is no ioctl. Rows with the same ioctl follow each other: see for_each_ioctl(). */
	unsigned long ioctl;
	size_t size;
	/* Offsets of fields in the argument; 0: it has no such field. */
	size_t region, names[2];
	size_t padding; /* must be zero */
	uint32_t flags; /* all that the ioctl knows */
	void (*fill)(const struct target *t, union argument *a);
	/*
	 * These use self.fd. prepare() makes what the command needs, unless it is there; run() is
	 * the command, NULL if the ioctl is all of it; undo() takes it back.
	 */
	long (*prepare)(const struct target *t);
	long (*run)(const struct target *t);
	long (*undo)(const struct target *t);
	enum command_where where;
	unsigned int needs; /* MAY_*; 0: no tests of permissions */
	int unprepared;	    /* its answer without prepare() and without a client "witness" */
	bool waits;	    /* it may take long, or wait for somebody */
	bool clears;	    /* it clears a page, and does not depend on the size of pages */
	bool joins; /* after it, or after its undo(), the caller may or may not be a client */
};

extern const struct command commands[];
extern const unsigned int nr_commands;

/* All rows; those that are not NOT_EVERYWHERE; the first of each ioctl. */
#define for_each_row(c) for (const struct command *c = commands; c < commands + nr_commands; c++)
#define for_each_command(c)                                              \
	for (const struct command *c = command_next(commands, false); c; \
	     c = command_next(c + 1, false))
#define for_each_ioctl(c)                                               \
	for (const struct command *c = command_next(commands, true); c; \
	     c = command_next(c + 1, true))
const struct command *command_next(const struct command *from, bool ioctls);
const struct command *command_find(const char *name);

/* Make an argument with which the ioctl succeeds. */
void command_fill(const struct command *c, const struct target *t, union argument *a);
long command_prepare(const struct command *c, const struct target *t);
long command_run(const struct command *c, const struct target *t);
long command_undo(const struct command *c, const struct target *t);

/* command_run() in a peer. */
long peer_command(struct peer *p, const struct command *c, const struct target *t);

/* Undo all that commands may have left in the region, through the file of another client. */
void command_clean(int file, const struct target *t);

/* False if the command only takes long with pages of this size, and shows nothing new. */
bool command_is_worth(const struct command *c, const struct backing *b);

/* Does undo() give other memory than the command took away? */
bool command_shrinks(const struct command *c);

struct target target_of(const struct region *r, uint64_t step);

/* A peer whose self.fd is a client's file, or a new one (then `r` may be NULL). */
struct peer *command_peer(const struct region *r, bool client);

/* Little memory for commands to work on: they can fail or be interrupted at every page. */
static inline uint64_t few_pages(const struct backing *b)
{
	return b->id == PEERSHM_SMALL ? 16 * b->page : b->page;
}

#endif
