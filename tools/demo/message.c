// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "message.h"

uint64_t message_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int message_send(int socket, const struct message *message)
{
	/* The other end reads all messages: if the socket is full, it hangs. */
	if (send(socket, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

int message_receive(int socket, struct message *message, int timeout_ms)
{
	struct pollfd fd = { .fd = socket, .events = POLLIN };
	ssize_t n;
	int ready = poll(&fd, 1, timeout_ms);

	if (ready <= 0)
		return ready ? -errno : -ETIMEDOUT;
	n = recv(socket, message, sizeof(*message), MSG_DONTWAIT);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return n == sizeof(*message) ? 0 : -EPIPE;
}

void message_say(const struct message *message)
{
	if (message_send(MESSAGE_SOCKET, message))
		exit(1);
}

void message_order(struct message *message)
{
	int err;

	do {
		err = message_receive(MESSAGE_SOCKET, message, -1);
	} while (err == -EINTR);
	if (err)
		exit(err != -EPIPE);
}

bool message_order_pending(void)
{
	struct pollfd fd = { .fd = MESSAGE_SOCKET, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

_Noreturn void message_fail(const char *format, ...)
{
	struct message message = { .kind = MESSAGE_FAILED };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message.text, sizeof(message.text), format, arguments);
	va_end(arguments);
	message_send(MESSAGE_SOCKET, &message);
	exit(1);
}
