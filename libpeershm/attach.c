/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Becoming a client of a region, in a child of fork too, and leaving it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "internal.h"

/* How often to repeat a command that fails because of a signal or a lack of memory. */
#define ATTEMPTS 64

/*
 * How many names to try for a child of fork. Children in different PID namespaces can
 * have the same PID, and so the same name.
 */
#define NAME_ATTEMPTS 99

static void fill_command(const struct peershm *handle, const char *client,
			 struct peershm_attach *command)
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

static void keep_answer(struct peershm *handle, const struct peershm_attach *command)
{
	memcpy(handle->client_name, command->client_name, sizeof(handle->client_name));
	handle->region_id = command->region;
	handle->client_id = command->client;
	handle->base = command->base;
	handle->capacity = command->capacity;
	handle->header_length = command->header_length;
	handle->control_length = command->control_length;
}

/*
 * Open the device for a client. Even a read-only client writes to its own control
 * page when it is in a read section, and for that needs a file that is open for
 * writing. If it may not have one, it can still be a client, but has no read
 * sections.
 */
int pshm_attach_open(bool read_only)
{
	int fd = pshm_device_open(O_RDWR);

	if (read_only && (fd == -EACCES || fd == -EPERM || fd == -EROFS))
		fd = pshm_device_open(O_RDONLY);
	return fd;
}

static int range_taken(int err, const struct peershm_region_info *region)
{
	uint64_t end = region->base + region->capacity;
	char takers[512];

	if (!pshm_maps_overlap("/proc/self/maps", region->base, end, takers, sizeof(takers)))
		return pshm_fail(err, "range 0x%" PRIx64 "-0x%" PRIx64 " is taken by a mapping",
				 (uint64_t)region->base, end);
	return pshm_fail(err, "range 0x%" PRIx64 "-0x%" PRIx64 " is taken by %s",
			 (uint64_t)region->base, end, takers);
}

static int client_name_taken(int err, int fd, const struct peershm_attach *attach,
			     const struct peershm_region_info *region)
{
	pid_t pid = pshm_query_pid(fd, region->id, attach->client_name, 0);

	if (pid)
		return pshm_fail(err, "client name %s is taken by a live process, PID %d",
				 attach->client_name, pid);
	return pshm_fail(err, "client name %s is taken by a live process", attach->client_name);
}

static int no_room_to_attach(int err, const struct peershm_region_info *region)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < region->capacity)
		return pshm_fail(err,
				 "the window takes %" PRIu64 " bytes of address space, and "
				 "RLIMIT_AS (ulimit -v) allows this process %" PRIu64,
				 (uint64_t)region->capacity, (uint64_t)limit.rlim_cur);
	return pshm_fail(err, NULL);
}

static int attach_failed(int err, int fd, const struct peershm_attach *attach)
{
	struct peershm_region_info region;

	if (err == -ENOENT)
		return pshm_fail(err, "there is no region of this name");
	if (pshm_query_name(fd, attach->region_name, &region))
		return pshm_fail(err, NULL); /* not readable, so no more is known */
	switch (err) {
	case -EACCES:
		if (!(attach->flags & PEERSHM_ATTACH_READ_ONLY))
			return pshm_reason_denied(err, &region);
		return pshm_fail(err, "denied: the region has mode %04o, owner %u and group %u",
				 region.mode, region.uid, region.gid);
	case -EADDRINUSE:
		return range_taken(err, &region);
	case -EAGAIN:
		return pshm_fail(err,
				 "this process locks its memory (mlockall) and the window, %" PRIu64
				 " bytes, exceeds its RLIMIT_MEMLOCK: raise RLIMIT_MEMLOCK, give "
				 "it CAP_IPC_LOCK, or open the region before "
				 "mlockall(MCL_FUTURE)",
				 (uint64_t)region.capacity);
	case -EEXIST:
		return client_name_taken(err, fd, attach, &region);
	case -ENOMEM:
		return no_room_to_attach(err, &region);
	case -ENOSPC:
		return pshm_fail(
			err,
			"the region has its %u clients, the most it can have (" PSHM_PARAMETERS
			"max_clients is the limit for new regions), or this user has as "
			"many as max_user_clients allows",
			region.max_clients);
	default:
		return pshm_fail(err, NULL);
	}
}

int pshm_attach(struct peershm *handle, const char *client)
{
	struct peershm_attach command;
	int err;

	fill_command(handle, client, &command);
	err = pshm_device_command(handle->fd, PEERSHM_IOC_ATTACH, &command);
	if (err)
		return attach_failed(err, handle->fd, &command);
	keep_answer(handle, &command);
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
	if (header.region != handle->region_id || header.base != handle->base ||
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
 * DETACH unmaps the window. This function does not: if DETACH fails with ENOTCONN, no
 * part of the window was mapped any more, and munmap() could hit another mapping.
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

/* Attach under the name that the parent gave to peershm_open(), with the child's PID. */
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
		fill_command(child, name, &command);
		err = pshm_device_command(child->fd, PEERSHM_IOC_ATTACH, &command);
		taken += err == -EEXIST;
		signals += err == -EINTR;
	} while ((err == -EEXIST && taken < NAME_ATTEMPTS) ||
		 (err == -EINTR && signals < ATTEMPTS));
	if (!err)
		keep_answer(child, &command);
	return err;
}

/*
 * In a child of fork: attach as another client, at the same base, and make the handle
 * the child's own. If that fails, the handle stays the parent's, but its file is
 * closed, and reattach_error says why.
 */
int pshm_attach_again(struct peershm *handle, uint64_t epoch)
{
	struct peershm child;
	int err = 0;

	pshm_reader_close(handle); /* frees the child's copy of the parent's */
	child = *handle;
	pshm_device_close(handle->fd);
	handle->fd = -1;
	child.epoch = epoch;
	child.header = NULL;
	child.client_id = 0;
	child.fd = pshm_attach_open(child.read_only);
	if (child.fd < 0)
		err = child.fd;
	if (!err)
		err = attach_child(&child);
	/* Another region may have got the name meanwhile. */
	if (!err && child.region_id != handle->region_id)
		err = -ENOENT;
	if (!err)
		err = pshm_attach_map(&child);
	if (!err) {
		*handle = child;
		return 0;
	}
	pshm_attach_unmap(&child);
	if (child.client_id)
		pshm_detach(&child);
	pshm_device_close(child.fd);
	handle->reattach_error = err;
	return err;
}
