/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fake device. It replaces pshm_system, through which the library makes all calls
 * that concern the device, and keeps regions and clients in ordinary memory. It counts
 * what is open and mapped, and a test can make every step (open, command, mapping,
 * allocation) fail. What may be a cancellation point on Linux is one here.
 */
#ifndef TESTS_UNIT_FAKE_DEVICE_H
#define TESTS_UNIT_FAKE_DEVICE_H

#include "fake_commands.h"

static inline struct fake_file *fake_file_of(int fd)
{
	if (fd < FAKE_FD || fd >= FAKE_FD + FAKE_FILES || !fake.files[fd - FAKE_FD].open)
		return NULL;
	return &fake.files[fd - FAKE_FD];
}

static inline const char *fake_parameter(const char *path)
{
	for (int i = 0; i < FAKE_PARAMETERS && fake.parameters[i].name; i++) {
		if (!strcmp(path + strlen(PSHM_PARAMETERS), fake.parameters[i].name))
			return fake.parameters[i].value;
	}
	return NULL;
}

static inline int fake_open(const char *path, int flags)
{
	bool device = strncmp(path, PSHM_PARAMETERS, strlen(PSHM_PARAMETERS)) != 0;

	pthread_testcancel();
	fake_separate();
	if (!fake_step())
		return -1;
	if (!device && !fake_parameter(path)) {
		errno = ENOENT;
		return -1;
	}
	for (int i = 0; i < FAKE_FILES; i++) {
		if (fake.files[i].open)
			continue;
		memset(&fake.files[i], 0, sizeof(fake.files[i]));
		fake.files[i].open = true;
		fake.files[i].flags = flags;
		fake.files[i].parameter = device ? NULL : fake_parameter(path);
		fake.open_files++;
		return FAKE_FD + i;
	}
	errno = EMFILE;
	return -1;
}

static inline int fake_close(int fd)
{
	struct fake_file *file = fake_file_of(fd);

	pthread_testcancel();
	if (!file) {
		errno = EBADF;
		return -1;
	}
	file->open = false;
	fake.open_files--;
	return 0;
}

static inline int fake_ioctl(int fd, unsigned long command, void *argument)
{
	struct fake_file *file = fake_file_of(fd);
	int err;

	if (!fake_step())
		return -1;
	if (fake.nr_commands < sizeof(fake.commands) / sizeof(fake.commands[0]))
		fake.commands[fake.nr_commands++] = command;
	if (fake.before)
		fake.before(command);
	if (!file)
		err = EBADF;
	else if (command == fake.fail_command)
		err = fake.fail_with;
	else
		err = fake_command(file, command, argument);
	if (!err)
		return 0;
	errno = err;
	return -1;
}

/* Map the same memory a second time: mremap() with an old length of 0 does that. */
static inline void *fake_map_again(void *memory, size_t length)
{
	void *map = mremap(memory, 0, length, MREMAP_MAYMOVE);

	if (map != MAP_FAILED)
		madvise(map, length, MADV_DONTFORK);
	return map;
}

static inline void *fake_mmap(int fd, size_t length, int protection, off_t offset)
{
	struct fake_file *file = fake_file_of(fd);

	if (!fake_step())
		return MAP_FAILED;
	if (file && file->region && offset >= (off_t)PEERSHM_CONTROL_OFFSET) {
		if (protection & PROT_WRITE && (file->flags & O_ACCMODE) == O_RDONLY) {
			errno = EACCES;
			return MAP_FAILED;
		}
		fake.header_maps++;
		return fake_map_again(
			file->region->control + (offset - (off_t)PEERSHM_CONTROL_OFFSET), length);
	}
	if (!file || !file->region || length != FAKE_HEADER_LENGTH ||
	    offset != (off_t)PEERSHM_HEADER_OFFSET) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	fake.header_maps++;
	if (fake.break_header)
		file->region->header->region++;
	return fake_map_again(file->region->header, FAKE_HEADER_LENGTH);
}

static inline int fake_munmap(void *address, size_t length)
{
	fake.header_maps--;
	return munmap(address, length);
}

static inline int fake_membarrier(int command)
{
	if (!fake.no_membarrier)
		return pshm_kernel.membarrier(command);
	errno = fake.no_membarrier;
	return -1;
}

static inline ssize_t fake_read(int fd, void *buffer, size_t size)
{
	struct fake_file *file = fake_file_of(fd);
	struct fake_region *region = file->region ? file->region : file->watched;

	pthread_testcancel();
	if (!fake_step())
		return -1;
	if (file->parameter)
		return (ssize_t)snprintf(buffer, size, "%s\n", file->parameter);
	if (!region || size < sizeof(file->events[0])) {
		errno = region ? EINVAL : ENOTCONN;
		return -1;
	}
	if (!file->nr_events) {
		errno = EAGAIN;
		return region->linked ? -1 : 0;
	}
	memcpy(buffer, &file->events[0], sizeof(file->events[0]));
	file->nr_events--;
	memmove(&file->events[0], &file->events[1],
		(size_t)file->nr_events * sizeof(file->events[0]));
	return sizeof(file->events[0]);
}

/* Does not wait. during_poll() makes the events that would have come meanwhile. */
static inline int fake_poll(int fd, int timeout_ms)
{
	const struct fake_file *file = fake_file_of(fd);

	pthread_testcancel();
	if (!fake_step())
		return -1;
	fake.last_timeout = timeout_ms;
	fake.polls++;
	if (fake.during_poll)
		fake.during_poll(fake.polls);
	return file->nr_events || !(file->region ? file->region : file->watched)->linked;
}

static inline void *fake_alloc(size_t size)
{
	fake.allocations++;
	return fake_step() ? calloc(1, size) : NULL;
}

static inline bool fake_exempt(void)
{
	return fake.exempt;
}

static const struct pshm_system fake_system = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.membarrier = fake_membarrier,
	.read = fake_read,
	.poll = fake_poll,
	.alloc = fake_alloc,
	.exempt = fake_exempt,
};

/* cmocka setup: replaces the device by a fake one without regions. */
static inline int fake_setup(void **state)
{
	(void)state;
	for (int i = 0; i < FAKE_REGIONS; i++) {
		if (!fake.regions[i].header)
			continue;
		munmap(fake.regions[i].header, FAKE_HEADER_LENGTH);
		munmap(fake.regions[i].control, FAKE_CONTROL_LENGTH);
	}
	memset(&fake, 0, sizeof(fake));
	fake.process = getpid();
	fake.pid = 4242;
	pshm_system = &fake_system;
	return 0;
}

/* cmocka teardown: checks that the test closed and unmapped everything. */
static inline int fake_teardown(void **state)
{
	(void)state;
	pshm_system = &pshm_kernel;
	return fake.open_files || fake.header_maps || fake.windows;
}

#define DEVICE_CASE(name) CASE_WITH(name, fake_setup, fake_teardown)

static inline size_t fake_count(unsigned long command)
{
	size_t n = 0;

	for (size_t i = 0; i < fake.nr_commands; i++)
		n += fake.commands[i] == command;
	return n;
}

#endif /* TESTS_UNIT_FAKE_DEVICE_H */
