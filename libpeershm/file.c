/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a file: no other file of the library calls open() or fopen(). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

/*
 * If the program has closed a standard file, open() gives its number to the next file that is
 * opened, and what the program then prints would go there. So the file gets another number.
 */
int pshm_file_open(const char *path, int flags)
{
	int fd = open(path, flags);
	int moved;
	int err;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	err = errno;
	close(fd);
	/* EINVAL: RLIMIT_NOFILE allows the standard files alone. */
	errno = err == EINVAL ? EMFILE : err;
	return moved;
}
