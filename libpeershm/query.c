/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking the kernel about regions. */
#include <limits.h>
#include <string.h>

#include "internal.h"

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
	struct peershm_stat command = { .region = handle->command_region };

	return query(handle->fd, &command, info);
}

pid_t pshm_query_pid(int fd, uint64_t region, const char *client, uint64_t id)
{
	struct peershm_resolve command = { .size = sizeof(command), .region = region };

	strncpy(command.name, client, sizeof(command.name) - 1);
	if (pshm_device_command(fd, PEERSHM_IOC_RESOLVE, &command) || (id && command.client != id))
		return 0;
	return command.pid;
}

int pshm_query_regions(int fd, struct peershm_region_info *regions, size_t n)
{
	struct peershm_regions command = {
		.size = sizeof(command),
		.regions = (uintptr_t)regions,
		.record_size = sizeof(*regions),
		.nr_regions = !regions	  ? 0 :
			      n < INT_MAX ? (uint32_t)n :
					    INT_MAX,
	};
	int err = pshm_device_command(fd, PEERSHM_IOC_REGIONS, &command);

	return err ? err : (int)command.nr_regions;
}
