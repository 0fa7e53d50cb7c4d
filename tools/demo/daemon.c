// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "demo.h"

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool message_send(int socket, const struct message *message)
{
	/* The other end reads all messages: if the socket is full, it hangs. */
	return send(socket, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

struct peershm *daemon_open(const char *region, const char *client)
{
	struct peershm *shm = NULL;
	int err;

	if (mlockall(MCL_CURRENT) < 0)
		daemon_fail("locking code and stack in memory: %s", strerror(errno));
	err = *region ? peershm_open(&shm, region, client, 0, NULL) : 0;
	if (err)
		daemon_fail("%s", peershm_strerror(err));
	return shm;
}

void daemon_ready(const void *base, const void *root)
{
	daemon_say(&(struct message){
		.kind = MESSAGE_READY,
		.ready = { (uintptr_t)base, (uintptr_t)root },
	});
}

void daemon_say(const struct message *message)
{
	if (!message_send(DAEMON_SOCKET, message))
		exit(EXIT_FAILURE);
}

void daemon_order(struct message *message)
{
	if (recv(DAEMON_SOCKET, message, sizeof(*message), 0) != sizeof(*message))
		exit(EXIT_FAILURE);
}

bool daemon_order_pending(void)
{
	struct pollfd fd = { .fd = DAEMON_SOCKET, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

_Noreturn void daemon_fail(const char *format, ...)
{
	struct message message = { .kind = MESSAGE_FAILED };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	message_send(DAEMON_SOCKET, &message);
	exit(EXIT_FAILURE);
}

uint64_t daemon_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}
