/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shrinking a region: announced and after all read sections, or by force. */
#include <errno.h>
#include <time.h>

#include "internal.h"

/* How often to repeat a CANCEL that a signal interrupts. */
#define CANCEL_ATTEMPTS 64

#define DEFAULT_TIMEOUT_MS 1000

static int shrink_command(const struct peershm *handle, struct peershm_shrink *shrink,
			  uint32_t flags)
{
	shrink->size = sizeof(*shrink);
	shrink->flags = flags;
	shrink->region = handle->command_region;
	return pshm_device_command(handle->fd, PEERSHM_IOC_SHRINK, shrink);
}

static int check_size(const struct peershm *handle, uint64_t size, uint64_t *rounded)
{
	int err = pshm_handle_check(handle);

	if (!err && pshm_round_up(size, handle->page_size, rounded))
		err = pshm_fail(-EINVAL, "the region is smaller than that");
	return err;
}

static int shrink_failed(int err, const struct peershm *handle,
			 const struct peershm_failure *failure)
{
	switch (err) {
	case 0:
		return 0;
	case -EINVAL:
		return pshm_fail(err, "the region is smaller than that");
	case -EBUSY:
		if (failure->reason == PEERSHM_REASON_PINNED)
			return pshm_fail(
				err,
				"%llu bytes of what would go are pinned for devices (RDMA, "
				"io_uring, direct I/O under way)",
				(unsigned long long)failure->detail);
		return pshm_fail(err, "another client has announced a shrink of the region");
	case -ECANCELED:
		return pshm_fail(err, "the region grew or was shrunk meanwhile, or another thread "
				      "announced a shrink");
	default:
		return pshm_reason_region(err, handle);
	}
}

/*
 * Otherwise the announcement would be in force for as long as this client lives. If another
 * thread has announced since, it is no more, and that of the other thread stays.
 */
static void cancel_announcement(const struct peershm *handle, uint64_t cookie)
{
	struct peershm_shrink cancel = { .cookie = cookie };
	int attempts = CANCEL_ATTEMPTS;

	while (shrink_command(handle, &cancel, PEERSHM_SHRINK_CANCEL) == -EINTR && --attempts)
		;
}

/* What is left of the time since then; at most INT32_MAX. */
static int32_t left_ms(const struct timespec *began, uint32_t timeout_ms)
{
	struct timespec now;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = timeout_ms - (now.tv_sec - began->tv_sec) * 1000 -
	       (now.tv_nsec - began->tv_nsec) / 1000000;
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int32_t)left;
}

PEERSHM_API int peershm_shrink(struct peershm *handle, uint64_t size, uint32_t timeout_ms)
{
	struct peershm_shrink shrink = { 0 };
	struct timespec began;
	uint64_t rounded = 0;
	int err = check_size(handle, size, &rounded);

	if (err)
		return err;
	if (!handle->header)
		return pshm_fail(-ENOTCONN,
				 "the handle was opened without a client name and cannot "
				 "announce a shrink: use peershm_shrink_force()");
	if (!handle->read_only && rounded == pshm_header_size(handle->header))
		return 0;
	if (!timeout_ms)
		timeout_ms = DEFAULT_TIMEOUT_MS;
	clock_gettime(CLOCK_MONOTONIC, &began);
	shrink.new_size = rounded;
	err = shrink_command(handle, &shrink, PEERSHM_SHRINK_ANNOUNCE);
	if (err)
		return shrink_failed(err, handle, &shrink.failure);
	err = pshm_grace_wait(handle, timeout_ms);
	if (!err) {
		shrink.timeout_ms = left_ms(&began, timeout_ms);
		err = shrink_command(handle, &shrink, PEERSHM_SHRINK_ANNOUNCED);
		shrink_failed(err, handle, &shrink.failure);
	}
	if (err && err != -ECANCELED)
		cancel_announcement(handle, shrink.cookie);
	return err;
}

PEERSHM_API int peershm_shrink_force(struct peershm *handle, uint64_t size)
{
	struct peershm_shrink shrink = { 0 };
	uint64_t rounded = 0;
	int err = check_size(handle, size, &rounded);

	if (err)
		return err;
	shrink.new_size = rounded;
	err = shrink_command(handle, &shrink, PEERSHM_SHRINK_FORCE);
	return shrink_failed(err, handle, &shrink.failure);
}
