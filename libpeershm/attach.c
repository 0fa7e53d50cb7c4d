/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Becoming a client of a region, also again in a child of fork, and leaving it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* How often a command is called when signals or a lack of memory are in its way. */
#define ATTEMPTS 64

/* Children whose PID namespaces differ may have one PID and so want one name. */
#define NAME_ATTEMPTS 99

static void fill(const struct peershm *handle, const char *client, struct peershm_attach *command)
{
	memset(command, 0, sizeof(*command));
	command->size = sizeof(*command);
	memcpy(command->region_name, handle->region_name, sizeof(command->region_name));
	snprintf(command->client_name, sizeof(command->client_name), "%s", client);
	if (handle->read_only)
		command->flags |= PEERSHM_ATTACH_READ_ONLY;
	if (handle->dump)
		command->flags |= PEERSHM_ATTACH_DUMP;
}

static void attached(struct peershm *handle, const struct peershm_attach *command)
{
	memcpy(handle->client_name, command->client_name, sizeof(handle->client_name));
	handle->id = command->region;
	handle->client = command->client;
	handle->generation = command->generation;
	handle->base = command->base;
	handle->capacity = command->capacity;
	handle->header_length = command->header_length;
	handle->control_length = command->control_length;
}

/*
 * A client that may only read the region writes its own control page, to say
 * where it reads, and needs a file that may write for that. Without one it is a
 * client that has no read sections.
 */
int pshm_attach_open(bool read_only)
{
	int fd = pshm_device_open(O_RDWR);

	if (read_only && (fd == -EACCES || fd == -EPERM || fd == -EROFS))
		fd = pshm_device_open(O_RDONLY);
	return fd;
}

int pshm_attach(struct peershm *handle, const char *client)
{
	struct peershm_attach command;
	int err;

	fill(handle, client, &command);
	err = pshm_device_command(handle->fd, PEERSHM_IOC_ATTACH, &command);
	if (err)
		return pshm_reason_attach(err, handle->fd, &command);
	attached(handle, &command);
	return 0;
}

int pshm_attach_map(struct peershm *handle)
{
	struct peershm_header header;
	int err;

	err = pshm_device_map_header(handle->fd, handle->header_length, &handle->header);
	if (err)
		return pshm_fail(err, NULL);
	err = pshm_header_read(handle->header, handle->header_length, &header);
	if (err)
		return pshm_fail(err, NULL);
	if (header.region != handle->id || header.base != handle->base ||
	    header.capacity != handle->capacity)
		return pshm_fail(-EIO, NULL);
	handle->page_size = header.page_size;
	handle->backing = header.backing;
	return 0;
}

void pshm_attach_unmap(struct peershm *handle)
{
	pshm_device_unmap_header(handle->header, handle->header_length);
	handle->header = NULL;
}

/*
 * The module unmaps the window with DETACH. If that says ENOTCONN, nothing of
 * it was mapped any more, so that unmapping here would hit a stranger.
 */
void pshm_detach(const struct peershm *handle)
{
	struct peershm_detach command = { .size = sizeof(command) };
	int attempts = ATTEMPTS;
	int err;

	do {
		err = pshm_device_command(handle->fd, PEERSHM_IOC_DETACH, &command);
	} while ((err == -EINTR || err == -ENOMEM) && --attempts);
}

/* Under the name the parent opened it with, and the child's PID. */
static int attach_child(struct peershm *child)
{
	struct peershm_attach command;
	char name[PEERSHM_NAME_SIZE];
	int signals = 0;
	int taken = 0;
	int err;

	do {
		if (taken)
			snprintf(name, sizeof(name), "%.*s.%d.%d", PSHM_REATTACH_NAME,
				 child->opened_as, (int)getpid(), taken + 1);
		else
			snprintf(name, sizeof(name), "%.*s.%d", PSHM_REATTACH_NAME,
				 child->opened_as, (int)getpid());
		fill(child, name, &command);
		err = pshm_device_command(child->fd, PEERSHM_IOC_ATTACH, &command);
		taken += err == -EEXIST;
		signals += err == -EINTR;
	} while ((err == -EEXIST && taken < NAME_ATTEMPTS) ||
		 (err == -EINTR && signals < ATTEMPTS));
	if (!err)
		attached(child, &command);
	return err;
}

/*
 * In a child of fork: make the handle the child's own, a client of its own at
 * the same base. If that fails it stays the parent's, without the file, and
 * remembers why.
 */
int pshm_attach_again(struct peershm *handle, uint64_t epoch)
{
	struct peershm child;
	int err = 0;

	pshm_section_close(handle); /* the parent's: frees what it says here */
	child = *handle;
	pshm_device_close(handle->fd);
	handle->fd = -1;
	child.epoch = epoch;
	child.header = NULL;
	child.client = 0;
	child.fd = pshm_attach_open(child.read_only);
	if (child.fd < 0)
		err = child.fd;
	if (!err)
		err = attach_child(&child);
	/* The name may be another region's by now. */
	if (!err && child.id != handle->id)
		err = -ENOENT;
	if (!err)
		err = pshm_attach_map(&child);
	if (!err) {
		*handle = child;
		return 0;
	}
	pshm_attach_unmap(&child);
	if (child.client)
		pshm_detach(&child);
	pshm_device_close(child.fd);
	handle->lost = err;
	return err;
}
