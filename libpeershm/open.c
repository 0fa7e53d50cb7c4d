/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing a region. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * How often to start again because another process has created or unlinked the
 * region between two steps.
 */
#define ATTEMPTS 16

#define KNOWN_FLAGS \
	(PEERSHM_CREATE | PEERSHM_EXCLUSIVE | PEERSHM_READ_ONLY | PEERSHM_DUMP | PEERSHM_REATTACH)
#define ATTACH_FLAGS (PEERSHM_ATTACH_READ_ONLY | PEERSHM_ATTACH_DUMP)

/* One call of peershm_open(). */
struct request {
	const char *name;
	const char *client;
	unsigned int flags;
	const struct peershm_options *options;
	int create_fd;	     /* file for CREATE and GROW; -1: not open */
	uint64_t created_id; /* id of the region that this call created, or 0 */
};

/* The file of a read-only handle may not be writable, so CREATE needs another one. */
static int open_create_fd(const struct peershm *handle, struct request *request)
{
	if (request->create_fd < 0 && !handle->read_only)
		request->create_fd = handle->fd;
	if (request->create_fd < 0)
		request->create_fd = pshm_device_open(O_RDWR);
	return request->create_fd < 0 ? pshm_device_open_failed(request->create_fd, O_RDWR) : 0;
}

static void close_create_fd(const struct peershm *handle, struct request *request)
{
	if (request->create_fd != handle->fd)
		pshm_device_close(request->create_fd);
}

/* Returns -EEXIST without a message unless the caller wants an exclusive region. */
static int create(const struct peershm *handle, struct request *request)
{
	struct peershm_create command;
	int err;

	err = pshm_options_fill(&command, request->name, request->options);
	if (!err)
		err = open_create_fd(handle, request);
	if (err)
		return err;
	err = pshm_create(request->create_fd, &command);
	if (!err)
		request->created_id = command.region;
	else if (err == -EEXIST && request->flags & PEERSHM_EXCLUSIVE)
		pshm_fail(err, "there is a region of this name already");
	return err;
}

/*
 * An exclusive region that this call created, and then failed to open, must not make the
 * next attempt fail with EEXIST.
 */
static void unlink_created(struct request *request)
{
	struct peershm_unlink command = { .size = sizeof(command), .region = request->created_id };

	if (request->created_id && request->flags & PEERSHM_EXCLUSIVE)
		pshm_device_command(request->create_fd, PEERSHM_IOC_UNLINK, &command);
}

static int look_up(struct peershm *handle, const struct request *request)
{
	struct peershm_region_info info;
	int err = pshm_query_name(handle->fd, request->name, &info);

	if (err == -ENOENT)
		return pshm_fail(err, "there is no region of this name");
	if (err)
		return pshm_fail(err, NULL);
	handle->region_id = info.id;
	handle->command_region = info.id;
	handle->base = info.base;
	handle->capacity = info.capacity;
	handle->page_size = info.page_size;
	handle->backing = info.backing;
	return 0;
}

/* Attach to the region; if it does not exist, create it and attach to it. */
static int attach_or_create(struct peershm *handle, struct request *request)
{
	bool exclusive = request->flags & PEERSHM_EXCLUSIVE;
	int err;

	for (int i = 0; i < ATTEMPTS; i++) {
		if (!exclusive || request->created_id) {
			err = request->client ? pshm_attach(handle, handle->opened_as) :
						look_up(handle, request);
			if (err != -ENOENT || !(request->flags & PEERSHM_CREATE) || exclusive)
				return err;
		}
		err = create(handle, request);
		if (err && (err != -EEXIST || exclusive))
			return err;
	}
	return pshm_fail(-ENOENT, "other processes keep creating and unlinking this region");
}

/*
 * Grow to options->size, even if another process created the region: that process may
 * have died before it grew the region. A region that is larger is left as it is.
 */
static int ensure_size(struct peershm *handle, struct request *request)
{
	struct peershm_grow command = {
		.size = sizeof(command),
		.flags = PEERSHM_GROW_TO,
		.region = handle->command_region,
	};
	uint64_t wanted = 0;
	int fd = handle->fd;
	int err;

	if (!(request->flags & PEERSHM_CREATE) || !request->options || !request->options->size)
		return 0;
	if (handle->read_only) {
		if (!request->created_id)
			return 0;
		fd = request->create_fd;
		command.region = request->created_id;
	}
	err = pshm_round_up(request->options->size, handle->page_size, &wanted);
	if (err)
		return pshm_fail(err, NULL);
	if (handle->header && pshm_header_size(handle->header) >= wanted)
		return 0;
	command.length = wanted;
	err = pshm_device_command(fd, PEERSHM_IOC_GROW, &command);
	return err ? pshm_grow_failed(err, handle, wanted) : 0;
}

static int open_region(struct peershm *handle, struct request *request)
{
	int flags = handle->read_only ? O_RDONLY : O_RDWR;
	int err;

	handle->fd = request->client ? pshm_attach_open(handle->read_only) :
				       pshm_device_open(flags);
	if (handle->fd < 0)
		return pshm_device_open_failed(handle->fd, flags);
	err = attach_or_create(handle, request);
	if (!err && handle->client_id)
		err = pshm_attach_map(handle);
	if (!err)
		err = ensure_size(handle, request);
	if (!err && handle->client_id)
		err = pshm_find_add(handle);
	return err;
}

/* Undo as much as open_region() has done. This leaves the message of its failure alone. */
static void release_region(struct peershm *handle, struct request *request)
{
	pshm_attach_unmap(handle);
	if (handle->client_id)
		pshm_detach(handle);
	unlink_created(request);
	close_create_fd(handle, request);
	pshm_device_close(handle->fd);
	free(handle);
}

static int check_request(const struct request *request)
{
	char name[PEERSHM_NAME_SIZE];
	int err;

	if (request->flags & ATTACH_FLAGS)
		return pshm_fail(-EINVAL,
				 "PEERSHM_ATTACH_* are flags of the kernel's command: "
				 "peershm_open() takes PEERSHM_READ_ONLY and PEERSHM_DUMP");
	if (request->flags & ~KNOWN_FLAGS)
		return pshm_fail(-EINVAL, "unknown flags 0x%x", request->flags & ~KNOWN_FLAGS);
	if ((request->flags & PEERSHM_EXCLUSIVE) && !(request->flags & PEERSHM_CREATE))
		return pshm_fail(-EINVAL, "PEERSHM_EXCLUSIVE needs PEERSHM_CREATE");
	if ((request->flags & PEERSHM_REATTACH) && !request->client)
		return pshm_fail(-EINVAL, "PEERSHM_REATTACH needs a client name");
	err = pshm_name_copy(name, request->name, "region name");
	if (!err && request->client)
		err = pshm_name_copy(name, request->client, "client name");
	if (!err && (request->flags & PEERSHM_REATTACH) && strlen(name) > PSHM_REATTACH_NAME)
		err = pshm_fail(-EINVAL, "with PEERSHM_REATTACH a client name has at most %d bytes",
				PSHM_REATTACH_NAME);
	return err;
}

PEERSHM_API int peershm_open(struct peershm **handle, const char *name, const char *client,
			     unsigned int flags, const struct peershm_options *options)
{
	struct request request = {
		.name = name,
		.client = client,
		.flags = flags,
		.options = options,
		.create_fd = -1,
	};
	PSHM_UNCANCELLED;
	struct peershm *opened;
	int err;

	if (!handle)
		return pshm_fail(-EINVAL, "the pointer for the handle is NULL");
	*handle = NULL;
	err = check_request(&request);
	if (err)
		return err;
	opened = pshm_alloc(sizeof(*opened));
	if (!opened)
		return pshm_fail(-ENOMEM, NULL);
	opened->fd = -1;
	opened->read_only = flags & PEERSHM_READ_ONLY;
	opened->reattach = flags & PEERSHM_REATTACH;
	opened->dump = flags & PEERSHM_DUMP;
	snprintf(opened->region_name, sizeof(opened->region_name), "%s", name);
	if (client)
		snprintf(opened->opened_as, sizeof(opened->opened_as), "%s", client);
	err = pshm_fork_enter(&opened->epoch);
	if (!err)
		err = open_region(opened, &request);
	if (err) {
		release_region(opened, &request);
		return err;
	}
	close_create_fd(opened, &request);
	pshm_forget(); /* that there was no region before it was created */
	*handle = opened;
	return 0;
}

PEERSHM_API void peershm_close(struct peershm *handle)
{
	PSHM_UNCANCELLED;
	int err = errno;

	if (!handle)
		return;
	if (handle->client_id) {
		pshm_find_remove(handle);
		pshm_reader_close(handle);
	}
	/*
	 * Not in a child of fork: the client is the parent's. The child has neither
	 * window nor header, and may have mapped something else at their addresses.
	 */
	if (handle->client_id && handle->epoch == pshm_process_epoch()) {
		pshm_attach_unmap(handle);
		pshm_detach(handle);
	}
	pshm_device_close(handle->fd);
	free(handle);
	errno = err;
}
