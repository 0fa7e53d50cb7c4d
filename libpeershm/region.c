/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A region as a whole: what it is, its size, its reserve, its name; and the list of regions. */
#include <errno.h>
#include <fcntl.h>

#include "internal.h"

PEERSHM_API int peershm_stat(struct peershm *handle, struct peershm_region_info *info)
{
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	if (!info)
		return pshm_fail(-EINVAL, "the pointer for the answer is NULL");
	err = pshm_query_region(handle, info);
	return err ? pshm_reason_region(err, handle) : 0;
}

/* For handles without a window, which have no header. Sets errno if it returns false. */
bool pshm_region_stat(const struct peershm *handle, struct peershm_region_info *info)
{
	int err = peershm_stat((struct peershm *)(uintptr_t)handle, info);

	if (err)
		errno = -err;
	return !err;
}

PEERSHM_API uint64_t peershm_size(const struct peershm *handle)
{
	struct peershm_region_info info = { 0 };
	uint64_t size;

	if (!pshm_handle_usable(handle))
		return 0;
	if (!handle->header)
		return pshm_region_stat(handle, &info) ? info.active : 0;
	size = pshm_header_size(handle->header);
	return size < handle->capacity ? size : handle->capacity;
}

PEERSHM_API int peershm_set_reserve(struct peershm *handle, uint64_t bytes)
{
	struct peershm_set_reserve command = { .size = sizeof(command) };
	uint64_t rounded;
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	if (pshm_round_up(bytes, handle->page_size, &rounded) || rounded > handle->capacity)
		return pshm_fail(-ENOSPC, "a reserve of %llu bytes is beyond the capacity",
				 (unsigned long long)bytes);
	command.region = handle->command_region;
	command.reserve = rounded;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_SET_RESERVE, &command);
	if (err == -EPERM)
		return pshm_reason_pool(err);
	return err ? pshm_reason_region(err, handle) : 0;
}

PEERSHM_API int peershm_regions(struct peershm_region_info *regions, size_t n)
{
	PSHM_UNCANCELLED;
	int fd = pshm_device_open(O_RDONLY);
	int found;

	if (fd < 0)
		return pshm_device_open_failed(fd, O_RDONLY);
	found = pshm_query_regions(fd, regions, n);
	pshm_device_close(fd);
	pshm_forget();
	return found < 0 ? pshm_fail(found, NULL) : found;
}

static int unlink_failed(int err, int fd, const char *name)
{
	struct peershm_region_info region;

	if (err == -ENOENT)
		return pshm_fail(err, "there is no region of this name");
	if (err == -EACCES && !pshm_query_name(fd, name, &region))
		return pshm_fail(err, "denied: only the owner, user %u, may remove the region",
				 region.uid);
	if (err == -EACCES)
		return pshm_fail(err, "denied: only the owner may remove the region");
	return pshm_fail(err, NULL);
}

PEERSHM_API int peershm_unlink(const char *name)
{
	PSHM_UNCANCELLED;
	struct peershm_unlink command = { .size = sizeof(command) };
	int err = pshm_name_copy(command.name, name, "region name");
	int fd;

	if (err)
		return err;
	fd = pshm_device_open(O_RDWR);
	if (fd < 0)
		return pshm_device_open_failed(fd, O_RDWR);
	err = pshm_device_command(fd, PEERSHM_IOC_UNLINK, &command);
	pshm_forget();
	if (err)
		unlink_failed(err, fd, name);
	pshm_device_close(fd);
	return err;
}
