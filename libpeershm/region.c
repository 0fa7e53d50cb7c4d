/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A region: what it is, and its size. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "internal.h"

int pshm_handle_check(const struct peershm *handle)
{
	if (!handle)
		return pshm_fail(-EINVAL, "there is no handle");
	if (handle->epoch != pshm_process_epoch() && handle->lost)
		return pshm_fail(-ENOTCONN,
				 "this child of fork could not attach again to region %s: %s",
				 handle->region_name, pshm_sentence(-handle->lost));
	if (handle->epoch != pshm_process_epoch())
		return pshm_fail(-ENOTCONN,
				 "the handle was opened by the parent of this process: open the "
				 "region after fork() and daemon(), or with PEERSHM_REATTACH");
	return 0;
}

/* For what gives a pointer or a size: 0 or NULL, and errno. */
bool pshm_handle_usable(const struct peershm *handle)
{
	int err = pshm_handle_check(handle);

	if (err)
		errno = -err;
	return !err;
}

int pshm_handle_check_window(const struct peershm *handle)
{
	int err = pshm_handle_check(handle);

	if (!err && !handle->header)
		err = pshm_fail(-ENOTCONN, "the handle is for administration and has no window");
	return err;
}

static bool has_window(const struct peershm *handle)
{
	int err = pshm_handle_check_window(handle);

	if (err)
		errno = -err;
	return !err;
}

static int query(int fd, struct peershm_stat *command, struct peershm_region_info *info)
{
	int err;

	command->size = sizeof(*command);
	err = pshm_device_command(fd, PEERSHM_IOC_STAT, command);
	if (!err)
		*info = command->info;
	return err;
}

int pshm_query_name(int fd, const char *name, struct peershm_region_info *info)
{
	struct peershm_stat command = { 0 };

	strncpy(command.name, name, sizeof(command.name) - 1);
	return query(fd, &command, info);
}

int pshm_query_region(const struct peershm *handle, struct peershm_region_info *info)
{
	struct peershm_stat command = { .region = handle->region };

	return query(handle->fd, &command, info);
}

int pshm_query_regions(int fd, struct peershm_region_info *regions, size_t n)
{
	struct peershm_regions command = {
		.size = sizeof(command),
		.regions = (uintptr_t)regions,
		.nr_regions = !regions	  ? 0 :
			      n < INT_MAX ? (uint32_t)n :
					    INT_MAX,
	};
	int err = pshm_device_command(fd, PEERSHM_IOC_REGIONS, &command);

	return err ? err : (int)command.nr_regions;
}

PEERSHM_API int peershm_stat(struct peershm *handle, struct peershm_region_info *info)
{
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	if (!info)
		return pshm_fail(-EINVAL, "there is no place for what the region is");
	err = pshm_query_region(handle, info);
	return err ? pshm_reason_region(err, handle) : 0;
}

/* A handle without window has no header, so it asks the kernel. */
bool pshm_handle_stat(const struct peershm *handle, struct peershm_region_info *info)
{
	int err = peershm_stat((struct peershm *)(uintptr_t)handle, info);

	if (err)
		errno = -err;
	return !err;
}

PEERSHM_API void *peershm_base(const struct peershm *handle)
{
	return has_window(handle) ? (void *)(uintptr_t)handle->base : NULL;
}

PEERSHM_API uint64_t peershm_size(const struct peershm *handle)
{
	struct peershm_region_info info = { 0 };
	uint64_t size;

	if (!pshm_handle_usable(handle))
		return 0;
	if (!handle->header)
		return pshm_handle_stat(handle, &info) ? info.active : 0;
	size = pshm_header_size(handle->header);
	return size < handle->capacity ? size : handle->capacity;
}

PEERSHM_API uint64_t peershm_capacity(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->capacity : 0;
}

PEERSHM_API uint64_t peershm_page_size(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->page_size : 0;
}

PEERSHM_API uint64_t peershm_client_id(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->client : 0;
}

PEERSHM_API const char *peershm_client_name(const struct peershm *handle)
{
	return pshm_handle_usable(handle) && handle->client ? handle->client_name : NULL;
}

PEERSHM_API uint64_t peershm_generation(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->generation : 0;
}

PEERSHM_API const struct peershm_header *peershm_header(const struct peershm *handle)
{
	return has_window(handle) ? handle->header : NULL;
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
	command.region = handle->region;
	command.reserve = rounded;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_SET_RESERVE, &command);
	if (err == -EPERM)
		return pshm_reason_pool(err);
	return err ? pshm_reason_region(err, handle) : 0;
}

PEERSHM_API int peershm_regions(struct peershm_region_info *regions, size_t n)
{
	int fd = pshm_device_open(O_RDONLY);
	int found;

	if (fd < 0)
		return pshm_reason_device(fd, O_RDONLY);
	found = pshm_query_regions(fd, regions, n);
	pshm_device_close(fd);
	return found < 0 ? pshm_fail(found, NULL) : found;
}

PEERSHM_API int peershm_unlink(const char *name)
{
	struct peershm_unlink command = { .size = sizeof(command) };
	int err = pshm_name_copy(command.name, name, "region name");
	int fd;

	if (err)
		return err;
	fd = pshm_device_open(O_RDWR);
	if (fd < 0)
		return pshm_reason_device(fd, O_RDWR);
	err = pshm_device_command(fd, PEERSHM_IOC_UNLINK, &command);
	if (err)
		pshm_reason_unlink(err, fd, name);
	pshm_device_close(fd);
	return err;
}
