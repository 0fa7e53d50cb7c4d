/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls on files of the device. */
#ifndef PEERSHM_FUZZ_DEVICE_H
#define PEERSHM_FUZZ_DEVICE_H

#include "state.h"

/* Remember a region's id and address, which CREATE and ATTACH answer, for later calls. */
static inline void learn(unsigned long command, const void *arg)
{
	const struct peershm_create *create = arg;
	const struct peershm_attach *attach = arg;
	char name[PEERSHM_NAME_SIZE];

	for (unsigned int slot = 0; slot < X0; slot++) {
		region_name(slot, name);
		if (command == PEERSHM_IOC_CREATE && !strcmp(create->name, name))
			self.common->ids[id_index(slot)] = create->region;
		if (command == PEERSHM_IOC_ATTACH && !strcmp(attach->region_name, name)) {
			self.common->ids[id_index(slot)] = attach->region;
			if (attach->base == place(slot) ||
			    (attach->base >= ARENA && attach->base < ARENA + ARENA_SIZE))
				self.base[slot] = attach->base;
		}
	}
}

/*
 * A command. Its struct, the `known` bytes of `arg`, is put at `at` and said to have `size` bytes
 * (0: as many as it has); its last byte is `tail` unless that is 0. The `fail`th of the
 * command's allocations and copies fails.
 */
static inline long do_command(uint64_t file, unsigned long command, uint64_t at, uint64_t size,
			      uint64_t tail, uint64_t fail, const void *arg, size_t known)
{
	char bytes[2048];
	size_t length = known;
	void *address;
	uint32_t said;
	long ret;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, arg, known);
	said = size ? (uint32_t)size : (uint32_t)known;
	memcpy(bytes, &said, sizeof(said));
	if (said > length)
		length = said < sizeof(bytes) ? said : sizeof(bytes);
	if (tail)
		bytes[length - 1] = (char)tail;
	address = point_at(at, bytes, length, 0);
	fail_begin(fail);
	ret = ioctl(file_of(file), command, address);
	fail_end(fail);
	if (!ret && at <= POINT_BUFFER && said >= known)
		learn(command, address);
	return ret;
}

static inline long do_raw(uint64_t file, uint64_t command, uint64_t at)
{
	static const char bytes[64] = { 64 };

	return ioctl(file_of(file), command, point_at(at, bytes, sizeof(bytes), 0));
}

static inline long keep_file(uint64_t to, int fd)
{
	if (fd < 0)
		return -1;
	if (to >= NR_FILES) {
		close(fd);
		return 0;
	}
	if (self.files[to] >= 0)
		close(self.files[to]);
	self.files[to] = fd;
	return 0;
}

static inline long do_open(uint64_t to, uint64_t flags, uint64_t fail)
{
	int fd;

	fail_begin(fail);
	fd = open(PEERSHM_DEVICE, (int)(flags & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC);
	fail_end(fail);
	return keep_file(to, fd);
}

static inline long do_close(uint64_t file)
{
	int fd = file_of(file);

	if (file >= NR_FILES)
		return 0;
	self.files[file] = -1;
	return close(fd);
}

static inline long do_dup(uint64_t file, uint64_t to)
{
	return keep_file(to, fcntl(file_of(file), F_DUPFD_CLOEXEC, 0));
}

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* Send the file through a socket that all processes share. */
static inline long do_send(uint64_t file)
{
	union control control = { .header = { .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS,
					      .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = file_of(file);

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(self.socket[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline long do_receive(uint64_t to)
{
	union control control;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd;

	memset(&control, 0, sizeof(control));
	if (recvmsg(self.socket[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return keep_file(to, fd);
}

static inline long do_read(uint64_t file, uint64_t at, uint64_t length, uint64_t fail)
{
	static const char nothing[256];
	void *to;
	long ret;

	if (file >= NR_FILES || (at < NR_POINTS && length > BUFFER_SIZE / 2))
		return -1;
	to = point_at(at, nothing, sizeof(nothing), 0);
	fail_begin(fail);
	ret = read(file_of(file), to, length);
	fail_end(fail);
	return ret;
}

static inline long do_write(uint64_t file, uint64_t at, uint64_t length)
{
	static const char nothing[256];

	if (file >= NR_FILES || (at < NR_POINTS && length > BUFFER_SIZE / 2))
		return -1;
	return write(file_of(file), point_at(at, nothing, sizeof(nothing), 0), length);
}

static inline long do_poll(uint64_t file, uint64_t events, uint64_t timeout)
{
	struct pollfd poller = { .fd = file_of(file), .events = (short)events };

	return poll(&poller, 1, (int)(timeout % 3));
}

static inline long do_epoll(uint64_t file, uint64_t how, uint64_t events)
{
	struct epoll_event event = { .events = (uint32_t)events };

	if (self.epoll < 0)
		self.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (how < EPOLL_CTL_ADD || how > EPOLL_CTL_MOD)
		return epoll_wait(self.epoll, &event, 1, 0);
	return epoll_ctl(self.epoll, (int)how, file_of(file), &event);
}

/* System calls that any file has, of which the device refuses some. */
static inline long do_file(uint64_t file, uint64_t what, uint64_t n)
{
	int fd = file_of(file);

	if (file >= NR_FILES)
		return -1;
	switch (what) {
	case 0:
		return lseek(fd, (off_t)n, SEEK_SET);
	case 1:
		return ftruncate(fd, (off_t)n);
	case 2:
		return fallocate(fd, 0, 0, (off_t)n);
	case 3:
		return fsync(fd);
	case 4:
		return fcntl(fd, F_SETFL, n & O_NONBLOCK);
	case 5:
		return fcntl(fd, F_SETFD, 0);
	default:
		return fcntl(fd, F_GETFL);
	}
}

#endif
