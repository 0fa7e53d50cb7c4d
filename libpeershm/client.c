/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registry: the clients of a region, their names and PIDs. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "internal.h"

PEERSHM_API int peershm_clients(struct peershm *handle, struct peershm_client_info *clients,
				size_t n)
{
	struct peershm_clients command = {
		.size = sizeof(command),
		.clients = (uintptr_t)clients,
		.record_size = sizeof(*clients),
		.nr_clients = !clients	  ? 0 :
			      n < INT_MAX ? (uint32_t)n :
					    INT_MAX,
	};
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	command.region = handle->command_region;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_CLIENTS, &command);
	return err ? pshm_reason_region(err, handle) : (int)command.nr_clients;
}

PEERSHM_API int peershm_header_clients(const struct peershm *handle,
				       struct peershm_header_client *clients, size_t n)
{
	int err = pshm_handle_check_window(handle);
	int found;

	if (err)
		return err;
	found = pshm_header_list(handle->header, handle->header_length, clients, clients ? n : 0);
	if (found == -EAGAIN)
		return pshm_fail(
			found,
			"the header kept changing while it was read: call peershm_clients()");
	return found < 0 ? pshm_fail(found, NULL) : found;
}

PEERSHM_API int peershm_resolve_name(struct peershm *handle, const char *client, pid_t *pid)
{
	struct peershm_resolve command = { .size = sizeof(command) };
	int err = pshm_handle_check(handle);

	if (!err)
		err = pshm_name_copy(command.name, client, "client name");
	if (err)
		return err;
	if (!pid)
		return pshm_fail(-EINVAL, "the pointer for the PID is NULL");
	command.region = handle->command_region;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_RESOLVE, &command);
	if (err)
		return pshm_reason_client(err, handle, client, 0);
	*pid = command.pid;
	return 0;
}

PEERSHM_API int peershm_resolve_pid(struct peershm *handle, pid_t pid,
				    char client[PEERSHM_NAME_SIZE])
{
	struct peershm_resolve command = {
		.size = sizeof(command),
		.flags = PEERSHM_RESOLVE_BY_PID,
		.pid = pid,
	};
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	if (!client)
		return pshm_fail(-EINVAL, "the pointer for the client's name is NULL");
	command.region = handle->command_region;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_RESOLVE, &command);
	if (err)
		return pshm_reason_client(err, handle, "", pid);
	memcpy(client, command.name, PEERSHM_NAME_SIZE);
	client[PEERSHM_NAME_SIZE - 1] = '\0';
	return 0;
}
