/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events from a device whose read() returns anything: whole events, parts of them, errors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at;
static size_t left;

static uint8_t next_byte(void)
{
	if (!left)
		return 0;
	left--;
	return *at++;
}

/* The next byte of input says what read() does: an error, a few bytes, or as many as were asked for. */
static ssize_t fake_read(int fd, void *buffer, size_t size)
{
	static const int errors[] = { EAGAIN, EINTR, ENOTCONN, EIO };
	uint8_t how = next_byte();
	size_t n;

	(void)fd;
	if (how >= 252 && left) {
		errno = errors[how - 252];
		return -1;
	}
	n = how < 8 ? how : size;
	if (n > left)
		n = left;
	memcpy(buffer, at, n);
	at += n;
	left -= n;
	return (ssize_t)n;
}

static int fake_poll(int fd, int timeout_ms)
{
	(void)fd;
	(void)timeout_ms;
	return 1;
}

static int fake_ioctl(int fd, unsigned long command, void *argument)
{
	(void)fd;
	(void)command;
	(void)argument;
	errno = EBUSY;
	return next_byte() & 1 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pshm_system system;
	static struct peershm handle;
	struct peershm_event event;

	if (!handle.epoch) {
		system = pshm_kernel;
		system.read = fake_read;
		system.poll = fake_poll;
		system.ioctl = fake_ioctl;
		pshm_system = &system;
		if (pshm_fork_enter(&handle.epoch))
			abort();
	}
	at = data;
	left = size;
	handle.client_id = next_byte() & 1;
	while (left) {
		if (peershm_next_event(&handle, &event, -1))
			continue;
		if (event.name[PEERSHM_NAME_SIZE - 1])
			abort();
		peershm_event_name(event.type);
	}
	return 0;
}
