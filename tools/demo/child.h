/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The story's side of its daemons, which are this program again, with a role. A function that
 * fails has printed why on stderr.
 */
#ifndef DEMO_CHILD_H
#define DEMO_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "message.h"

struct child {
	const char *name; /* its client name, too; a constant */
	pid_t pid;
	int socket;
};

/* Called first: waits end when this process gets a signal to end, or after these seconds. */
void child_watch(unsigned int seconds);

/* Starts a daemon, with a file for it or -1, and waits until it is ready. */
bool child_start(struct child *child, const char *role, const char *region, const char *name,
		 int file, struct message *ready);

bool child_tell(struct child *child, const struct message *order);

/* Waits for an answer of that kind, or MESSAGE_ANY, until the deadline. */
bool child_hear(struct child *child, enum message_kind kind, struct message *answer);

/* child_tell() and child_hear(), for an order without arguments. */
bool child_ask(struct child *child, enum message_kind order, enum message_kind kind,
	       struct message *answer);

/* These send SIGSTOP and wait until it has stopped; SIGCONT; SIGKILL and wait until it is dead. */
bool child_stop(struct child *child);
bool child_continue(struct child *child);
bool child_kill(struct child *child);

/* Kills the daemons that still run. */
void child_end_all(void);

#endif /* DEMO_CHILD_H */
