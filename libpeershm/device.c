/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device: no other file opens it, calls its commands, maps it or reads from it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

#define NOT_LOADED "the peershm module is not loaded (modprobe peershm, or insmod peershm.ko)"

static int kernel_ioctl(int fd, unsigned long command, void *argument)
{
	return ioctl(fd, command, argument);
}

static void *kernel_mmap(int fd, size_t length, int protection, off_t offset)
{
	return mmap(NULL, length, protection, MAP_SHARED, fd, offset);
}

static int kernel_membarrier(int command)
{
	return (int)syscall(SYS_membarrier, command, 0, 0);
}

static int kernel_poll(int fd, int timeout_ms)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	return poll(&wanted, 1, timeout_ms);
}

static void *kernel_alloc(size_t size)
{
	return calloc(1, size);
}

static bool kernel_exempt(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective & CAP_TO_MASK(CAP_SYS_RESOURCE);
}

const struct pshm_system pshm_kernel = {
	.open = pshm_file_open,
	.close = close,
	.ioctl = kernel_ioctl,
	.mmap = kernel_mmap,
	.munmap = munmap,
	.membarrier = kernel_membarrier,
	.read = read,
	.poll = kernel_poll,
	.alloc = kernel_alloc,
	.exempt = kernel_exempt,
};

const struct pshm_system *pshm_system = &pshm_kernel;

int pshm_device_open(int flags)
{
	/* O_NONBLOCK is for reading events; the commands ignore it. */
	int fd = pshm_system->open(PEERSHM_DEVICE, flags | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int pshm_device_open_failed(int err, int flags)
{
	struct stat node;

	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return pshm_fail(-ENODEV, "%s", NOT_LOADED);
	case -EACCES:
	case -EPERM:
		if (stat(PEERSHM_DEVICE, &node) < 0)
			return pshm_fail(err, "%s cannot be opened", PEERSHM_DEVICE);
		return pshm_fail(err,
				 "%s has mode %04o, owner %u and group %u: this process may not "
				 "open it for %s",
				 PEERSHM_DEVICE, node.st_mode & 07777, node.st_uid, node.st_gid,
				 (flags & O_ACCMODE) == O_RDONLY ? "reading" :
								   "reading and writing");
	default:
		return pshm_fail(err, NULL);
	}
}

void pshm_device_close(int fd)
{
	if (fd >= 0)
		pshm_system->close(fd);
}

/* No retry after EINTR: only the caller knows whether the signal means to stop. */
int pshm_device_command(int fd, unsigned long command, void *argument)
{
	return pshm_system->ioctl(fd, command, argument) < 0 ? -errno : 0;
}

int pshm_device_map_header(int fd, size_t length, const struct peershm_header **header)
{
	void *map = pshm_system->mmap(fd, length, PROT_READ, (off_t)PEERSHM_HEADER_OFFSET);

	if (map == MAP_FAILED)
		return -errno;
	*header = map;
	return 0;
}

void pshm_device_unmap_header(const struct peershm_header *header, size_t length)
{
	if (header)
		pshm_system->munmap((void *)(uintptr_t)header, length);
}

int pshm_device_map_control(int fd, uint64_t start, size_t length, bool writable, void **map)
{
	void *made = pshm_system->mmap(fd, length, writable ? PROT_READ | PROT_WRITE : PROT_READ,
				       (off_t)(PEERSHM_CONTROL_OFFSET + start));

	if (made == MAP_FAILED)
		return -errno;
	*map = made;
	return 0;
}

void pshm_device_unmap_control(void *map, size_t length)
{
	if (map)
		pshm_system->munmap(map, length);
}

int pshm_membarrier(int command)
{
	return pshm_system->membarrier(command) < 0 ? -errno : 0;
}

ssize_t pshm_device_read(int fd, void *buffer, size_t size)
{
	ssize_t n = pshm_system->read(fd, buffer, size);

	return n < 0 ? -errno : n;
}

int pshm_device_poll(int fd, int timeout_ms)
{
	int n = pshm_system->poll(fd, timeout_ms);

	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

void *pshm_alloc(size_t size)
{
	return pshm_system->alloc(size);
}

int pshm_parameter(const char *name, uint64_t *value)
{
	char path[64];
	char text[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), PSHM_PARAMETERS "%s", name);
	fd = pshm_system->open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pshm_device_read(fd, text, sizeof(text) - 1);
	pshm_system->close(fd);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*value = strtoull(text, NULL, 10);
	return 0;
}

bool pshm_exempt(void)
{
	return pshm_system->exempt();
}
