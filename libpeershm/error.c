/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What went wrong, in words. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* The last failure of this thread. An empty text: the plain sentence will do. */
static _Thread_local struct {
	int err; /* positive */
	char text[768];
} last;

/* The errno contract of <linux/peershm.h>, for people. */
static const struct {
	int err;
	const char *sentence;
} sentences[] = {
	{ 0, "success" },
	{ E2BIG, "the peershm module is older than this library and cannot do what was asked" },
	{ EACCES,
	  "permission denied by the region's owner, group and mode, or by a read-only open" },
	{ EADDRINUSE, "part of the region's address range is taken" },
	{ EAGAIN, "a locked-memory limit (RLIMIT_MEMLOCK) is in the way, or the region changes all "
		  "the time" },
	{ EALREADY, "this process is a client of the region already" },
	{ EBUSY, "the file is bound to a region already, or another client shrinks the region" },
	{ ECANCELED, "the region's size was changed by somebody else meanwhile" },
	{ EDEADLK, "this thread is in a read section that it would wait for" },
	{ EEXIST, "the name is taken, or the root is not the expected one" },
	{ EFAULT, "bad address" },
	{ EINTR, "interrupted by a signal before anything was changed" },
	{ EINVAL, "invalid argument" },
	{ EIO, "the region's header makes no sense: module and library do not fit" },
	{ EMFILE, "this process has as many files open as it may (RLIMIT_NOFILE)" },
	{ ENFILE, "the system has as many files open as it may (fs.file-max)" },
	{ ENODEV, "the kind of memory asked for, or the peershm module, is not on this machine" },
	{ ENOENT, "no such region or client" },
	{ ENOMEM, "out of memory, of huge pages, or at the memory cgroup's limit" },
	{ ENOSPC, "beyond the region's capacity or a limit of the module" },
	{ ENOSYS, "this process may not call membarrier(2), which other clients rely on" },
	{ ENOTCONN, "this process is not a client through this handle" },
	{ ENOTTY, "the peershm module does not know this command" },
	{ EPERM, "not permitted: part of the window is sealed, or the device may not be opened" },
	{ ETIMEDOUT, "nothing happened in time, or a client did not leave its read section" },
};

int pshm_fail(int err, const char *format, ...)
{
	last.err = -err;
	last.text[0] = '\0';
	if (format) {
		va_list arguments;

		va_start(arguments, format);
		vsnprintf(last.text, sizeof(last.text), format, arguments);
		va_end(arguments);
	}
	return err;
}

const char *pshm_sentence(int err)
{
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		if (sentences[i].err == err)
			return sentences[i].sentence;
	}
	return strerror(err); /* glibc's is thread-safe */
}

PEERSHM_API const char *peershm_strerror(int err)
{
	if (err < 0)
		err = err == INT_MIN ? INT_MAX : -err;
	if (err && err == last.err && last.text[0])
		return last.text;
	return pshm_sentence(err);
}
