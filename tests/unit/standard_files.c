/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that has closed its standard files does not print into a file of the library. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "internal.h"

#define FIRST (STDERR_FILENO + 1) /* that is not a standard file */

static int lowest = INT_MAX; /* file that the library has read from */

static void read_from(int fd)
{
	if (fd < lowest)
		lowest = fd;
}

/* The linker redirects the library's calls to these (--wrap, see tests/build.mk). */
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n)
{
	read_from(fd);
	return __real_read(fd, to, n);
}

ssize_t __real_getline(char **line, size_t *n, FILE *file);
ssize_t __wrap_getline(char **line, size_t *n, FILE *file);
ssize_t __wrap_getline(char **line, size_t *n, FILE *file)
{
	read_from(fileno(file));
	return __real_getline(line, n, file);
}

/* Returns a copy of the standard error. */
static int close_standard_files(void)
{
	int copy = fcntl(STDERR_FILENO, F_DUPFD, 10);

	for (int fd = 0; fd < FIRST; fd++)
		close(fd);
	return copy;
}

static bool standard_files_are_closed(void)
{
	for (int fd = 0; fd < FIRST; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			return false;
	}
	return true;
}

static size_t mappings(void)
{
	char text[64];

	return pshm_maps_overlap("/proc/self/maps", 0, UINT64_MAX, text, sizeof(text));
}

static int fill_options(void)
{
	struct peershm_options options = { .backing = PEERSHM_THP };
	struct peershm_create create;

	return pshm_options_fill(&create, "routes", &options);
}

static int opens_none_of_them(struct peershm *none)
{
	int copy = close_standard_files();
	int fd = pshm_kernel.open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t found = mappings();
	int err = fill_options();
	bool closed = standard_files_are_closed();

	(void)none;
	dup2(copy, STDERR_FILENO);
	expect(closed);
	expect(fd >= FIRST);
	expect(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	expect((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	expect(found && !err);
	expect(lowest >= FIRST);
	close(fd);
	return 0;
}

CASE(no_file_of_the_library_is_a_standard_file)
{
	assert_true(in_child(fork(), opens_none_of_them, NULL));
}

/* There is room for the standard files alone; the second limit allows another, which is taken. */
static int leaves_none_of_them_open(struct peershm *none)
{
	int copy = close_standard_files();
	int taken = fcntl(copy, F_DUPFD, FIRST);
	struct rlimit limit, before;

	(void)none;
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	for (limit.rlim_cur = FIRST; limit.rlim_cur <= FIRST + 1; limit.rlim_cur++) {
		int set = setrlimit(RLIMIT_NOFILE, &limit);
		int fd = pshm_kernel.open("/dev/null", O_RDWR | O_CLOEXEC);
		int err = errno;
		size_t found = mappings();
		int not_filled = fill_options();
		bool closed = standard_files_are_closed();

		setrlimit(RLIMIT_NOFILE, &before);
		dup2(copy, STDERR_FILENO);
		expect(!set);
		expect(fd < 0 && err == EMFILE);
		expect(!found);
		expect(!not_filled);
		expect(closed);
		close(STDERR_FILENO);
	}
	dup2(copy, STDERR_FILENO);
	close(taken);
	return 0;
}

CASE(without_room_for_another_file_nothing_is_left_open)
{
	assert_true(in_child(fork(), leaves_none_of_them_open, NULL));
}
