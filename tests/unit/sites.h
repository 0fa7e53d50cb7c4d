/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sites of the library at which the system can fail: calls of the device, which go through
 * pshm_system, and direct calls of the C library, which the linker redirects (--wrap, see
 * tests/build.mk).
 */
#ifndef TESTS_UNIT_SITES_H
#define TESTS_UNIT_SITES_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fake_device.h"

/* Which site fails, and with which errno. */
static struct {
	int nth; /* the one that fails, counted from 1; 0: none */
	int with;
	int passed;
	bool failed;
} site;

/* Not 0 while the fake device or the test runs: their calls are not sites. */
static int inside_device = 1;

static bool passes(void)
{
	if (inside_device || ++site.passed != site.nth)
		return true;
	site.failed = true;
	errno = site.with;
	return false;
}

static int site_open(const char *path, int flags)
{
	int fd = -1;

	if (!passes())
		return fd;
	inside_device++;
	fd = fake_open(path, flags);
	inside_device--;
	return fd;
}

/* DETACH fails only for lack of memory or after a signal, and the library repeats it. */
static bool may_fail(unsigned long command)
{
	return command != PEERSHM_IOC_DETACH || site.with == ENOMEM || site.with == EINTR;
}

static int site_ioctl(int fd, unsigned long command, void *argument)
{
	int ret = -1;

	if (may_fail(command) && !passes())
		return ret;
	inside_device++;
	ret = fake_ioctl(fd, command, argument);
	inside_device--;
	return ret;
}

static void *site_mmap(int fd, size_t length, int protection, off_t offset)
{
	return passes() ? fake_mmap(fd, length, protection, offset) : MAP_FAILED;
}

static int site_membarrier(int command)
{
	return passes() ? pshm_kernel.membarrier(command) : -1;
}

static ssize_t site_read(int fd, void *to, size_t n)
{
	return passes() ? fake_read(fd, to, n) : -1;
}

static int site_poll(int fd, int timeout_ms)
{
	return passes() ? fake_poll(fd, timeout_ms) : -1;
}

static void *site_alloc(size_t size)
{
	return passes() ? calloc(1, size) : NULL;
}

static const struct pshm_system site_system = {
	.open = site_open,
	.close = fake_close,
	.ioctl = site_ioctl,
	.mmap = site_mmap,
	.munmap = fake_munmap,
	.membarrier = site_membarrier,
	.read = site_read,
	.poll = site_poll,
	.alloc = site_alloc,
	.exempt = fake_exempt,
};

/* With --wrap the linker renames the library's calls and the C library's functions. */
#define WRAPPED(type, name, failure, parameters, arguments)            \
	type __real_##name parameters;                                 \
	type __wrap_##name parameters;                                 \
	type __wrap_##name parameters                                  \
	{                                                              \
		return passes() ? __real_##name arguments : (failure); \
	}

WRAPPED(void *, mmap, MAP_FAILED, (void *at, size_t n, int prot, int flags, int fd, off_t offset),
	(at, n, prot, flags, fd, offset))
WRAPPED(int, madvise, -1, (void *at, size_t n, int advice), (at, n, advice))
WRAPPED(int, pthread_atfork, site.with,
	(void (*before)(void), void (*parent)(void), void (*child)(void)), (before, parent, child))
WRAPPED(int, pthread_key_create, site.with, (pthread_key_t * key, void (*ends)(void *)),
	(key, ends))
WRAPPED(int, pthread_setspecific, site.with, (pthread_key_t key, const void *value), (key, value))
WRAPPED(FILE *, fdopen, NULL, (int fd, const char *mode), (fd, mode))
WRAPPED(ssize_t, getline, -1, (char **line, size_t *n, FILE *file), (line, n, file))
WRAPPED(ssize_t, read, -1, (int fd, void *to, size_t n), (fd, to, n))
WRAPPED(int, stat, -1, (const char *path, struct stat *to), (path, to))
WRAPPED(int, getrlimit, -1, (__rlimit_resource_t which, struct rlimit *to), (which, to))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	return passes() ? __real_open(path, flags) : -1;
}

#endif /* TESTS_UNIT_SITES_H */
