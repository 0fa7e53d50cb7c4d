// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

#define MAX_CHILDREN 16
#define AGAIN_US 200000 /* repeats the alarm, as one just before a wait would not end it */

static pid_t children[MAX_CHILDREN];
static volatile sig_atomic_t told_to_end;

static bool complain(const struct child *child, const char *what, const char *why)
{
	fprintf(stderr, "peershm-demo: %s: %s%s%s\n", child->name, what, why ? ": " : "",
		why ? why : "");
	return false;
}

static void on_signal(int signal)
{
	told_to_end = signal;
}

void child_watch(unsigned int seconds)
{
	/* No SA_RESTART: system calls that wait return EINTR. */
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval deadline = {
		.it_value.tv_sec = seconds,
		.it_interval.tv_usec = AGAIN_US,
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &deadline, NULL);
}

static bool remember(pid_t pid)
{
	for (int i = 0; i < MAX_CHILDREN; i++) {
		if (!children[i]) {
			children[i] = pid;
			return true;
		}
	}
	return false;
}

static void forget(pid_t pid)
{
	for (int i = 0; i < MAX_CHILDREN; i++) {
		if (children[i] == pid)
			children[i] = 0;
	}
}

/* Runs in the child: it keeps only the descriptors it is given, and dies with the story. */
static _Noreturn void become(const char *role, const char *region, const char *name, int socket,
			     int file, pid_t parent)
{
	char *arguments[] = { "peershm-demo", "--role",	  (char *)role, "--region",
			      (char *)region, "--client", (char *)name, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* Moved up first, as one may have the number that the other one gets. */
	socket = fcntl(socket, F_DUPFD_CLOEXEC, MESSAGE_FILE + 1);
	if (file >= 0)
		file = fcntl(file, F_DUPFD_CLOEXEC, MESSAGE_FILE + 1);
	dup2(socket, MESSAGE_SOCKET);
	if (file >= 0)
		dup2(file, MESSAGE_FILE);
	execv("/proc/self/exe", arguments);
	_exit(127);
}

bool child_start(struct child *child, const char *role, const char *region, const char *name,
		 int file, struct message *ready)
{
	pid_t parent = getpid();
	int sockets[2];

	*child = (struct child){ .name = name, .socket = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return complain(child, "socketpair", strerror(errno));
	fflush(stdout);
	child->pid = fork();
	if (!child->pid)
		become(role, region, name, sockets[1], file, parent);
	close(sockets[1]);
	if (child->pid < 0 || !remember(child->pid)) {
		close(sockets[0]);
		return complain(child, "cannot be started", strerror(errno));
	}
	child->socket = sockets[0];
	return child_hear(child, MESSAGE_READY, ready);
}

bool child_tell(struct child *child, const struct message *order)
{
	int err = message_send(child->socket, order);

	return !err || complain(child, "cannot be told anything", strerror(-err));
}

bool child_hear(struct child *child, enum message_kind kind, struct message *answer)
{
	uint64_t deadline = message_now() / 1000000 + MESSAGE_DEADLINE_MS;
	int err;

	do {
		uint64_t now = message_now() / 1000000;

		if (told_to_end == SIGALRM)
			return complain(child, "all of it takes too long", NULL);
		if (told_to_end)
			return complain(child, "told to end", strsignal(told_to_end));
		err = message_receive(child->socket, answer,
				      now < deadline ? (int)(deadline - now) : 0);
	} while (err == -EINTR);
	if (err == -EPIPE)
		return complain(child, "it died", NULL);
	if (err)
		return complain(child, "no answer", strerror(-err));
	if (answer->kind == MESSAGE_FAILED) {
		answer->text[sizeof(answer->text) - 1] = '\0';
		return complain(child, answer->text, NULL);
	}
	return kind == MESSAGE_ANY || answer->kind == kind ||
	       complain(child, "an answer to something else", NULL);
}

bool child_ask(struct child *child, enum message_kind order, enum message_kind kind,
	       struct message *answer)
{
	struct message message = { .kind = order };

	return child_tell(child, &message) && child_hear(child, kind, answer);
}

static bool await(struct child *child, int options, int *status)
{
	while (waitpid(child->pid, status, options) < 0) {
		if (errno != EINTR || told_to_end)
			return complain(child, "waiting for it", strerror(errno));
	}
	return true;
}

bool child_stop(struct child *child)
{
	int status = 0;

	kill(child->pid, SIGSTOP);
	return await(child, WUNTRACED, &status) &&
	       (WIFSTOPPED(status) || complain(child, "did not stop", NULL));
}

bool child_continue(struct child *child)
{
	return !kill(child->pid, SIGCONT) || complain(child, "SIGCONT", strerror(errno));
}

bool child_kill(struct child *child)
{
	int status = 0;

	kill(child->pid, SIGKILL);
	if (!await(child, 0, &status))
		return false;
	forget(child->pid);
	close(child->socket);
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
	       complain(child, "was not killed", NULL);
}

void child_end_all(void)
{
	for (int i = 0; i < MAX_CHILDREN; i++) {
		if (!children[i])
			continue;
		kill(children[i], SIGKILL);
		while (waitpid(children[i], NULL, 0) < 0 && errno == EINTR)
			;
		children[i] = 0;
	}
}
