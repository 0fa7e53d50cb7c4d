/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that run in a child process. */
#ifndef TESTS_UNIT_CHILD_H
#define TESTS_UNIT_CHILD_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <peershm.h>

#define DEADLINE 20 /* seconds until a child that hangs is killed */

/* In a function that returns 0 if all its checks hold. */
#define expect(condition)                                                                         \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(stderr, "line %d: %s (errno %d, \"%s\")\n", __LINE__, #condition, \
				errno, peershm_strerror(errno));                                  \
			return 1;                                                                 \
		}                                                                                 \
	} while (0)

typedef int child_body(struct peershm *handle);

/* The child, whose pid is 0, ends here. The parent gets to know whether the body returned 0. */
static inline bool in_child(pid_t pid, child_body *body, struct peershm *handle)
{
	int status;

	if (!pid) {
		alarm(DEADLINE);
		exit(body(handle)); /* not _exit(): coverage is written at the end */
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

#endif /* TESTS_UNIT_CHILD_H */
