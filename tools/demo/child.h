/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemons, as the story holds them: this program again, with a role. All calls that can
 * fail say on stderr what did.
 */
#ifndef DEMO_CHILD_H
#define DEMO_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "message.h"

struct child {
	const char *name; /* and client name; a constant */
	pid_t pid;
	int socket;
};

/* Before the first: end all daemons when this process is told to end, or runs out of time. */
void child_watch(unsigned int seconds);

/* Start one, with a file for it or -1, and wait until it is ready. */
bool child_start(struct child *child, const char *role, const char *region, const char *name,
		 int file, struct message *ready);

bool child_tell(struct child *child, const struct message *order);

/* Wait for an answer of that kind, or any, but no longer than the deadline. */
bool child_hear(struct child *child, enum message_kind kind, struct message *answer);

/* Both, with an order that has no argument. */
bool child_ask(struct child *child, enum message_kind order, enum message_kind kind,
	       struct message *answer);

/* SIGSTOP, SIGKILL, SIGCONT: return once it has stopped, is dead, was told. */
bool child_stop(struct child *child);
bool child_continue(struct child *child);
bool child_kill(struct child *child);

/* End the daemons that there are still, on whichever way out. */
void child_end_all(void);

#endif /* DEMO_CHILD_H */
