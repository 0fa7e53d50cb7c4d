/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The roots of a region: the one without a name and the named ones. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "internal.h"

PEERSHM_API void *peershm_root(const struct peershm *handle)
{
	struct peershm_region_info info = { 0 };
	uint64_t root;

	if (!pshm_handle_usable(handle))
		return NULL;
	if (handle->header)
		root = pshm_header_root(handle->header);
	else
		root = pshm_region_stat(handle, &info) ? info.root : 0;
	return (void *)(uintptr_t)root;
}

/*
 * A region exists at least as long as its clients. For a handle without a window, ENOENT
 * can also mean that the region is gone.
 */
static int no_such_root(struct peershm *handle, const char *name)
{
	struct peershm_region_info region;
	int err = handle->client_id ? 0 : peershm_stat(handle, &region);

	return err ? err : pshm_fail(-ENOENT, "there is no root named %s", name);
}

/* The caller has set the name in the command, or left it empty. */
static int set_root_command(struct peershm *handle, struct peershm_set_root *command)
{
	int err;

	command->size = sizeof(*command);
	command->region = handle->command_region;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_SET_ROOT, command);
	switch (err) {
	case -EEXIST:
		return pshm_fail(err, "the root is not the expected one: it has been changed");
	case -EINVAL:
		return pshm_fail(err, "the root must be NULL or lie in the region's active memory");
	case -ENOSPC:
		return pshm_fail(err, "the region has %d named roots already, the most it can have",
				 PEERSHM_MAX_ROOTS);
	case -ENOENT:
		if (command->name[0] && !command->root)
			return no_such_root(handle, command->name);
		/* fall through */
	default:
		return err ? pshm_reason_region(err, handle) : 0;
	}
}

PEERSHM_API int peershm_set_root(struct peershm *handle, const void *expected, const void *root)
{
	struct peershm_set_root command = {
		.expected = (uintptr_t)expected,
		.root = (uintptr_t)root,
	};
	int err = pshm_handle_check(handle);

	return err ? err : set_root_command(handle, &command);
}

PEERSHM_API int peershm_publish(struct peershm *handle, const char *name, const void *expected,
				const void *root)
{
	struct peershm_set_root command = {
		.expected = (uintptr_t)expected,
		.root = (uintptr_t)root,
	};
	int err = pshm_handle_check(handle);

	if (!err)
		err = pshm_name_copy(command.name, name, "name of the root");
	if (!err && !root)
		err = pshm_fail(-EINVAL,
				"a named root cannot be NULL; peershm_withdraw() removes it");
	return err ? err : set_root_command(handle, &command);
}

PEERSHM_API int peershm_withdraw(struct peershm *handle, const char *name, const void *expected)
{
	struct peershm_set_root command = { .expected = (uintptr_t)expected };
	int err = pshm_handle_check(handle);

	if (!err)
		err = pshm_name_copy(command.name, name, "name of the root");
	return err ? err : set_root_command(handle, &command);
}

/*
 * info->name says which root; empty: the root without a name. Returns -ENOENT without a
 * message.
 */
static int get_root_command(struct peershm *handle, struct peershm_root_info *info)
{
	struct peershm_get_root command = { .size = sizeof(command), .info = *info };
	int err;

	command.region = handle->command_region;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_GET_ROOT, &command);
	if (!err)
		*info = command.info;
	return err == -ENOENT || !err ? err : pshm_reason_region(err, handle);
}

PEERSHM_API void *peershm_lookup(struct peershm *handle, const char *name)
{
	struct peershm_root_info info = { 0 };
	int err = pshm_handle_check(handle);

	if (!err)
		err = pshm_name_copy(info.name, name, "name of the root");
	if (!err)
		err = get_root_command(handle, &info);
	if (err == -ENOENT)
		err = no_such_root(handle, name);
	if (err)
		errno = -err;
	return (void *)(uintptr_t)info.root;
}

PEERSHM_API int peershm_read_root(struct peershm *handle, const char *name,
				  struct peershm_root_info *info)
{
	struct peershm_root_info read = { 0 };
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	if (!info)
		return pshm_fail(-EINVAL, "the pointer for the root is NULL");
	if (name && *name)
		err = pshm_name_copy(read.name, name, "name of the root");
	if (err)
		return err;
	err = get_root_command(handle, &read);
	if (err == -ENOENT) {
		struct peershm_region_info region;

		/* Not a failure, unless it is the region that does not exist. */
		err = peershm_stat(handle, &region);
	}
	if (err)
		return err;
	*info = read;
	return 0;
}

PEERSHM_API int peershm_replace_root(struct peershm *handle, struct peershm_root_info *info,
				     const void *root)
{
	struct peershm_set_root command = {
		.flags = PEERSHM_ROOT_GENERATION,
		.root = (uintptr_t)root,
	};
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	if (!info)
		return pshm_fail(-EINVAL, "the pointer for the root is NULL");
	if (info->name[0])
		err = pshm_name_copy(command.name, info->name, "name of the root");
	if (err)
		return err;
	command.expected = info->root;
	command.expected_generation = info->generation;
	err = set_root_command(handle, &command);
	if (err)
		return err;
	info->root = command.root;
	info->generation = command.generation;
	return 0;
}

PEERSHM_API int peershm_roots(struct peershm *handle, struct peershm_root_info *roots, size_t n)
{
	struct peershm_roots command = {
		.size = sizeof(command),
		.roots = (uintptr_t)roots,
		.record_size = sizeof(*roots),
		.nr_roots = !roots	? 0 :
			    n < INT_MAX ? (uint32_t)n :
					  INT_MAX,
	};
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	command.region = handle->command_region;
	err = pshm_device_command(handle->fd, PEERSHM_IOC_ROOTS, &command);
	return err ? pshm_reason_region(err, handle) : (int)command.nr_roots;
}
