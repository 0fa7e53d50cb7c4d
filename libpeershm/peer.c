/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Growing and peer mapping: the calls that map memory into other clients. */
#include <errno.h>
#include <inttypes.h>

#include "internal.h"

#define MAX_TIMEOUT_MS 60000

static int report_check(const struct peershm_report *report)
{
	if (!report || report->timeout_ms <= MAX_TIMEOUT_MS)
		return 0;
	return pshm_fail(-EINVAL,
			 "the report's timeout_ms is %u, and at most %d is allowed (was the report "
			 "zeroed?)",
			 report->timeout_ms, MAX_TIMEOUT_MS);
}

static int report_is_no_address(int err, const struct peershm_report *report)
{
	return pshm_fail(
		err,
		"the report's max_peers is %u, but its peers does not point to an array of "
		"so many records (was the report zeroed?)",
		report->max_peers);
}

static void report_to_kernel(struct peershm_map_report *to, const struct peershm_report *from)
{
	to->timeout_ms = PEERSHM_TIMEOUT_DEFAULT;
	if (!from)
		return;
	to->peers = (uintptr_t)from->peers;
	to->nr_peers = from->peers ? from->max_peers : 0;
	to->record_size = sizeof(*from->peers);
	if (from->timeout_ms)
		to->timeout_ms = (int32_t)from->timeout_ms;
}

static void report_to_caller(struct peershm_report *to, const struct peershm_map_report *from)
{
	if (!to)
		return;
	to->nr_peers = from->nr_peers;
	to->mapped = from->mapped;
	to->deferred = from->deferred;
	to->gone = from->gone;
	to->partial = from->partial;
}

static int grow_command(const struct peershm *handle, struct peershm_grow *command)
{
	struct pshm_policy own;
	int err;

	command->region = handle->command_region;
	pshm_policy_adopt(handle, &own);
	err = pshm_device_command(handle->fd, PEERSHM_IOC_GROW, command);
	pshm_policy_restore(&own);
	return err;
}

int pshm_grow_failed(int err, const struct peershm *handle, uint64_t size)
{
	switch (err) {
	case -ENOMEM:
		return pshm_fail(err, "%s", pshm_reason_memory(handle->backing));
	case -ENOSPC:
		if (size > handle->capacity)
			return pshm_fail(err, "beyond the region's capacity of %" PRIu64 " bytes",
					 handle->capacity);
		return pshm_fail(err, "the module's limit on the memory of all regions, or of the "
				      "regions of one owner, is reached (" PSHM_PARAMETERS
				      "max_bytes, max_user_bytes)");
	default:
		return pshm_reason_region(err, handle);
	}
}

PEERSHM_API int peershm_grow(struct peershm *handle, uint64_t size, struct peershm_report *report)
{
	struct peershm_grow command = { .size = sizeof(command), .flags = PEERSHM_GROW_TO };
	uint64_t rounded;
	int err = pshm_handle_check(handle);

	if (!err)
		err = report_check(report);
	if (err)
		return err;
	if (!size)
		return pshm_fail(-EINVAL,
				 "the size to grow to is 0 bytes; peershm_shrink() makes a region "
				 "smaller");
	if (pshm_round_up(size, handle->page_size, &rounded))
		return pshm_fail(-EINVAL, "the size is too large to be rounded up to a page");
	command.length = rounded;
	report_to_kernel(&command.report, report);
	err = grow_command(handle, &command);
	if (err == -EFAULT && report)
		return report_is_no_address(err, report);
	if (err)
		return pshm_grow_failed(err, handle, rounded);
	report_to_caller(report, &command.report);
	if (report) {
		report->old_size = command.old_size;
		report->new_size = command.new_size;
	}
	return 0;
}

PEERSHM_API void *peershm_extend(struct peershm *handle, uint64_t length)
{
	struct peershm_grow command = { .size = sizeof(command) };
	uint64_t rounded;
	int err = pshm_handle_check(handle);

	if (!err && !handle->header)
		err = pshm_fail(-ENOTCONN,
				"the handle was opened without a client name and has no window, so "
				"the new part would have no address: use peershm_grow()");
	if (!err && !length)
		err = pshm_fail(-EINVAL, "the length is 0 bytes");
	if (!err && pshm_round_up(length, handle->page_size, &rounded))
		err = pshm_fail(-EINVAL, "the length is too large to be rounded up to a page");
	if (err) {
		errno = -err;
		return NULL;
	}
	command.length = rounded;
	err = grow_command(handle, &command);
	if (err) {
		uint64_t size = peershm_size(handle);

		size = rounded > UINT64_MAX - size ? UINT64_MAX : size + rounded;
		errno = -pshm_grow_failed(err, handle, size);
		return NULL;
	}
	return (void *)(uintptr_t)(handle->base + command.old_size);
}

static int map_peers(struct peershm *handle, struct peershm_peer_map *command,
		     struct peershm_report *report)
{
	int err = report_check(report);

	if (err)
		return err;
	command->region = handle->command_region;
	report_to_kernel(&command->report, report);
	err = pshm_device_command(handle->fd, PEERSHM_IOC_PEER_MAP, command);
	if (err == -EINVAL)
		return pshm_fail(err, "the range is not made of whole pages in the active memory");
	if (err == -EFAULT && report)
		return report_is_no_address(err, report);
	if (err && command->flags)
		return pshm_reason_client(err, handle, command->name, command->pid);
	if (err)
		return pshm_reason_region(err, handle);
	report_to_caller(report, &command->report);
	return 0;
}

PEERSHM_API int peershm_map_all(struct peershm *handle, uint64_t offset, uint64_t length,
				struct peershm_report *report)
{
	struct peershm_peer_map command = {
		.size = sizeof(command),
		.offset = offset,
		.length = length,
	};
	int err = pshm_handle_check(handle);

	return err ? err : map_peers(handle, &command, report);
}

PEERSHM_API int peershm_map_pid(struct peershm *handle, pid_t pid, uint64_t offset, uint64_t length,
				struct peershm_report *report)
{
	struct peershm_peer_map command = {
		.size = sizeof(command),
		.flags = PEERSHM_MAP_BY_PID,
		.offset = offset,
		.length = length,
		.pid = pid,
	};
	int err = pshm_handle_check(handle);

	return err ? err : map_peers(handle, &command, report);
}

PEERSHM_API int peershm_map_name(struct peershm *handle, const char *client, uint64_t offset,
				 uint64_t length, struct peershm_report *report)
{
	struct peershm_peer_map command = {
		.size = sizeof(command),
		.flags = PEERSHM_MAP_BY_NAME,
		.offset = offset,
		.length = length,
	};
	int err = pshm_handle_check(handle);

	if (!err)
		err = pshm_name_copy(command.name, client, "client name");
	return err ? err : map_peers(handle, &command, report);
}
