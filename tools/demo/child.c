// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "demo.h"

#define STORY_SECONDS 90
#define ANSWER_SECONDS 20
#define CHILDREN 16

static struct child children[CHILDREN]; /* those with a PID run */
static volatile sig_atomic_t told_to_end;
static sigset_t before; /* the signals that were blocked before the watch began */

bool complain(const char *who, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "peershm-demo: %s: ", who);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return false;
}

static void on_signal(int signal)
{
	told_to_end = signal;
}

/* The signals are blocked, and arrive while child_hear() waits. */
void child_watch(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigaction(signals[i], &action, NULL);
		sigaddset(&blocked, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, &before);
	alarm(STORY_SECONDS);
}

/* Runs in the child, which dies with the story. */
static _Noreturn void become(const char *role, const char *region, const char *name, int socket,
			     int file, pid_t parent)
{
	char *arguments[] = { (char *)role, (char *)region, (char *)name, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	dup2(socket, DAEMON_SOCKET);
	if (file >= 0)
		dup2(file, DAEMON_FILE);
	if (getppid() == parent)
		execv("/proc/self/exe", arguments);
	_exit(127);
}

struct child *child_start(const char *role, const char *region, const char *name, int file,
			  struct message *ready)
{
	struct child *child = children;
	pid_t parent = getpid();
	int sockets[2];
	pid_t pid;

	while (child < children + CHILDREN && child->pid)
		child++;
	if (child == children + CHILDREN ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
		complain(name, "no socket for it");
		return NULL;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		become(role, region, name, sockets[1], file, parent);
	close(sockets[1]);
	*child = (struct child){ .name = name, .pid = pid > 0 ? pid : 0, .socket = sockets[0] };
	return child_hear(child, ready) && ready->kind == MESSAGE_READY ? child : NULL;
}

bool child_tell(struct child *child, const struct message *order)
{
	return message_send(child->socket, order) ||
	       complain(child->name, "cannot be told anything: %s", strerror(errno));
}

bool child_hear(struct child *child, struct message *answer)
{
	struct timespec patience = { .tv_sec = ANSWER_SECONDS };
	struct pollfd fd = { .fd = child->socket, .events = POLLIN };
	int ready = ppoll(&fd, 1, &patience, &before);

	if (told_to_end == SIGALRM)
		return complain(child->name, "all of it takes too long");
	if (told_to_end)
		return complain(child->name, "told to end: %s", strsignal(told_to_end));
	if (ready <= 0)
		return complain(child->name, "no answer");
	if (recv(child->socket, answer, sizeof(*answer), 0) != sizeof(*answer))
		return complain(child->name, "it died");
	return answer->kind != MESSAGE_FAILED || complain(child->name, "%s", answer->text);
}

bool child_ask(struct child *child, struct message *message, enum message_kind kind)
{
	return child_tell(child, message) && child_hear(child, message) &&
	       (message->kind == kind || complain(child->name, "an answer to something else"));
}

bool child_stop(struct child *child)
{
	int status = 0;

	return (!kill(child->pid, SIGSTOP) && waitpid(child->pid, &status, WUNTRACED) > 0 &&
		WIFSTOPPED(status)) ||
	       complain(child->name, "did not stop");
}

bool child_kill(struct child *child)
{
	int status = 0;

	kill(child->pid, SIGKILL);
	waitpid(child->pid, &status, 0);
	close(child->socket);
	child->pid = 0;
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
	       complain(child->name, "was not killed");
}

void child_kill_all(void)
{
	for (int i = 0; i < CHILDREN; i++) {
		if (children[i].pid)
			child_kill(&children[i]);
	}
}
