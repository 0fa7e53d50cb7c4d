/* SPDX-License-Identifier: GPL-2.0-only */
/* A command in a peer, with a signal on its way to it. */
#ifndef PEERSHM_TEST_INTERRUPTION_H
#define PEERSHM_TEST_INTERRUPTION_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "snapshot.h"

/* A handler without SA_RESTART, or with it; a stop; the end. */
enum how {
	CAUGHT,
	RESTARTED,
	STOPPED,
	KILLED
};

/* What a run is told, and what it tells. */
struct run {
	struct target target;
	const struct command *command;
	enum how how;
	long tracepoint; /* its id, 0: a timer */
	uint64_t at;	 /* the delay in ns, or how often it is passed */
	/* out */
	long err;
	bool arrived;
	uint64_t took;
};

extern const int signal_of[];

/* The handler has run since this was 0. */
extern volatile sig_atomic_t caught;

/* In a peer, with a struct run: the command, what it needs, and taking it back. */
long run_prepare(void *arg);
long run_command(void *arg);
long run_undo(void *arg);

/* What came of the runs of one command. */
struct outcomes {
	unsigned int points, interrupted, completed;
};

/* A region, another client of it, and the peer that the signals come to. */
struct trial {
	const struct region *region;
	const struct client *witness;
	struct snapshot *before;
	struct peer *peer;
	bool client; /* the peer is one */
	struct run run;
};

/* One run; false if the command ended before the signal came. */
bool interrupt(struct trial *t, struct outcomes *o);

/* A mark in each page of the memory that all runs begin with. */
void stamp(const struct region *r, uint64_t length);

/*
 * A signal comes at every point of every command: after a delay that grows until the command
 * ends before it comes, and at the first, the second, and so on, time that the command passes
 * a tracepoint of the kernel. Fails unless what each command then answers, and the region as
 * the other client sees it, are as they have to be.
 */
void interrupt_every_command(const struct backing *b, enum how how);

/*
 * To be called in main(): the kernel rewrites its code when a tracepoint gets its first event and
 * when it loses its last. That takes long, and an emulated CPU can stumble over it (holder.c). So
 * a program whose cases use tracepoints keeps an event of each until it ends.
 */
void hold_tracepoints(void);

/* For a call that is not in the table of commands: SIGUSR1 once, after so many ns. */
long interrupt_after(uint64_t ns);
void interrupt_never(void);

#endif
