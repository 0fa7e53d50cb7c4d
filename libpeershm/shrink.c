/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shrinking a region: announced and after all read sections, or by force. */
#include <errno.h>

#include "internal.h"

/* How often to repeat a CANCEL that a signal interrupts. */
#define CANCEL_ATTEMPTS 64

/* The cookie is what ANNOUNCE gives, and what ANNOUNCED and CANCEL name. */
static int shrink_command(const struct peershm *handle, uint32_t flags, uint64_t size,
			  uint64_t *cookie)
{
	struct peershm_shrink shrink = {
		.size = sizeof(shrink),
		.flags = flags,
		.region = handle->command_region,
		.new_size = size,
		.cookie = *cookie,
	};
	int err = pshm_device_command(handle->fd, PEERSHM_IOC_SHRINK, &shrink);

	if (!err)
		*cookie = shrink.cookie;
	return err;
}

static int check_size(const struct peershm *handle, uint64_t size, uint64_t *rounded)
{
	int err = pshm_handle_check(handle);

	if (!err && pshm_round_up(size, handle->page_size, rounded))
		err = pshm_fail(-EINVAL, "the region is smaller than that");
	return err;
}

static int shrink_failed(int err, const struct peershm *handle)
{
	switch (err) {
	case 0:
		return 0;
	case -EINVAL:
		return pshm_fail(err, "the region is smaller than that");
	case -EBUSY:
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
	int attempts = CANCEL_ATTEMPTS;

	while (shrink_command(handle, PEERSHM_SHRINK_CANCEL, 0, &cookie) == -EINTR && --attempts)
		;
}

PEERSHM_API int peershm_shrink(struct peershm *handle, uint64_t size, uint32_t timeout_ms)
{
	uint64_t rounded = 0, cookie = 0;
	int err = check_size(handle, size, &rounded);

	if (err)
		return err;
	if (!handle->header)
		return pshm_fail(-ENOTCONN,
				 "the handle was opened without a client name and cannot "
				 "announce a shrink: use peershm_shrink_force()");
	if (!handle->read_only && rounded == pshm_header_size(handle->header))
		return 0;
	err = shrink_command(handle, PEERSHM_SHRINK_ANNOUNCE, rounded, &cookie);
	if (err)
		return shrink_failed(err, handle);
	err = pshm_grace_wait(handle, timeout_ms);
	if (!err)
		err = shrink_failed(
			shrink_command(handle, PEERSHM_SHRINK_ANNOUNCED, rounded, &cookie), handle);
	if (err && err != -ECANCELED)
		cancel_announcement(handle, cookie);
	return err;
}

PEERSHM_API int peershm_shrink_force(struct peershm *handle, uint64_t size)
{
	uint64_t rounded = 0, cookie = 0;
	int err = check_size(handle, size, &rounded);

	return err ? err : shrink_failed(shrink_command(handle, 0, rounded, &cookie), handle);
}
