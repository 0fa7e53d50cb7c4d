/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A memfd that grows by ftruncate(). Each peer maps the largest size that it may reach. memfd_touch
 * and memfd_populate differ in what peers do about new memory.
 */
#ifndef PEERSHM_BENCH_MEMFD_H
#define PEERSHM_BENCH_MEMFD_H

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../subjects/subject.h"

/* The peers are forked before the memfd is made: they open /proc/PID/fd/100 of the one that grows. */
#define MEMFD_NUMBER 100

static const char *const memfd_backings[] = { "small", "hugetlb-2m", NULL };

static char *base;

static bool done(const char *what, bool well)
{
	if (!well)
		fprintf(stderr, "bench: memfd: %s: %m\n", what);
	return well;
}

static bool memfd_open(const char *backing)
{
	bool huge = !strcmp(backing, "hugetlb-2m");
	int fd = memfd_create("bench", MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));

	if (!done("memfd_create", fd >= 0))
		return false;
	if (fd != MEMFD_NUMBER) {
		dup2(fd, MEMFD_NUMBER);
		close(fd);
	}
	return true;
}

static bool memfd_close(void)
{
	return !close(MEMFD_NUMBER);
}

static bool memfd_grow(uint64_t from, uint64_t to, uint64_t *place)
{
	*place = from;
	return done("ftruncate", !ftruncate(MEMFD_NUMBER, (off_t)to));
}

static bool memfd_shrink(uint64_t from, uint64_t to)
{
	(void)to;
	return done("ftruncate", !ftruncate(MEMFD_NUMBER, (off_t)from));
}

static bool memfd_leave(void)
{
	bool well = done("munmap", !munmap(base, BENCH_CAPACITY));

	base = NULL;
	return well;
}

static bool memfd_join(unsigned int peer)
{
	char path[64];
	struct stat status;
	void *map;
	int fd;

	(void)peer;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getppid(), MEMFD_NUMBER);
	fd = open(path, O_RDWR | O_CLOEXEC);
	/* The size before mmap(), which makes a memfd of huge pages as large as the mapping. */
	if (!done("opening", fd >= 0 && !fstat(fd, &status)))
		return false;
	map = mmap(NULL, BENCH_CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	close(fd);
	if (!done("mmap", map != MAP_FAILED))
		return false;
	base = map;
	if (!subject.receive || !status.st_size || status.st_size == (off_t)BENCH_CAPACITY)
		return true;
	return subject.receive(base, (uint64_t)status.st_size);
}

static char *memfd_at(uint64_t place)
{
	return base ? base + place : NULL;
}

#define MEMFD_SUBJECT                                                                     \
	.backings = memfd_backings, .open = memfd_open, .grow = memfd_grow,               \
	.shrink = memfd_shrink, .close = memfd_close, .join = memfd_join, .at = memfd_at, \
	.leave = memfd_leave

#endif
