/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for the events of a region. The file of a client has them from the start. The
 * file of a handle without a window starts to watch the region on first use.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "internal.h"

PEERSHM_API const char *peershm_event_name(uint32_t type)
{
	static const char *const names[] = {
		[PEERSHM_EVENT_JOINED] = "joined",	 [PEERSHM_EVENT_LEFT] = "left",
		[PEERSHM_EVENT_DIED] = "died",		 [PEERSHM_EVENT_GREW] = "grew",
		[PEERSHM_EVENT_SHRINKING] = "shrinking", [PEERSHM_EVENT_SHRUNK] = "shrunk",
		[PEERSHM_EVENT_ROOT] = "root",		 [PEERSHM_EVENT_UNLINKED] = "unlinked",
		[PEERSHM_EVENT_CAUGHT_UP] = "caught up", [PEERSHM_EVENT_OVERFLOW] = "overflow",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

/* EBUSY means that the file watches already: another thread may have started it. */
static int watch_region(const struct peershm *handle)
{
	struct peershm_watch command = { .size = sizeof(command), .region = handle->region_id };
	int err = pshm_device_command(handle->fd, PEERSHM_IOC_WATCH, &command);

	if (!err || err == -EBUSY)
		return 0;
	return pshm_reason_region(err, handle);
}

PEERSHM_API int peershm_event_fd(struct peershm *handle)
{
	int err = pshm_handle_check(handle);

	if (!err && !handle->client_id)
		err = watch_region(handle);
	return err ? err : handle->fd;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns 0 if there may be an event, -ETIMEDOUT after the deadline. */
static int wait_until(int fd, int timeout_ms, int64_t deadline)
{
	int64_t left = -1;

	if (timeout_ms >= 0) {
		left = deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
	}
	return pshm_device_poll(fd, (int)left);
}

static int read_event(const struct peershm *handle, struct peershm_event *event)
{
	PSHM_UNCANCELLED; /* or the event may be lost for other threads */
	ssize_t n = pshm_device_read(handle->fd, event, sizeof(*event));

	/* The first call on a handle without a window: it does not watch yet. */
	if (n == -ENOTCONN && !handle->client_id) {
		int err = watch_region(handle);

		if (err)
			return err;
		n = pshm_device_read(handle->fd, event, sizeof(*event));
	}
	return n < 0 && n != -EAGAIN ? pshm_fail((int)n, NULL) : (int)n;
}

PEERSHM_API int peershm_next_event(struct peershm *handle, struct peershm_event *event,
				   int timeout_ms)
{
	int64_t deadline;
	int err = pshm_handle_check(handle);
	int n;

	if (err)
		return err;
	if (!event)
		return pshm_fail(-EINVAL, "the pointer for the event is NULL");
	deadline = now_ms() + timeout_ms;
	/* Another thread may read the event that poll() saw, so this can be EAGAIN again. */
	while ((n = read_event(handle, event)) == -EAGAIN) {
		err = wait_until(handle->fd, timeout_ms, deadline);
		if (err == -ETIMEDOUT)
			return pshm_fail(err, "there was no event in time");
		if (err)
			return pshm_fail(err, NULL);
	}
	if (n < 0)
		return n;
	if (n == 0)
		return pshm_fail(-ENOENT, "the region is unlinked, and there are no more events");
	if ((size_t)n != sizeof(*event))
		return pshm_fail(-EIO, NULL);
	event->name[PEERSHM_NAME_SIZE - 1] = '\0';
	return 0;
}
