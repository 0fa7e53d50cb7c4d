/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error messages. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* The last failure in this thread. If the text is empty, the sentence for errno is used. */
static _Thread_local struct {
	int err; /* positive; 0: none, or forgotten */
	char text[768];
} last;

/* What <linux/peershm.h> says about each errno value, in short. */
static const struct {
	int err;
	const char *sentence;
} sentences[] = {
	{ 0, "success" },
	{ E2BIG, "the peershm module is older than this library and cannot do what was asked" },
	{ EACCES,
	  "permission denied by the region's owner, group and mode, or by a read-only open" },
	{ EADDRINUSE, "part of the region's address range is taken" },
	{ EAGAIN,
	  "the window would exceed the limit on locked memory (RLIMIT_MEMLOCK), or the header "
	  "kept changing while it was read" },
	{ EALREADY, "this process is a client of the region already" },
	{ EBUSY,
	  "the file is bound to a region already, or another client is shrinking the region" },
	{ ECANCELED, "another client changed the region's size meanwhile" },
	{ EDEADLK, "this thread is itself in a read section whose end it would wait for" },
	{ EEXIST, "the name is taken, or the root is not the expected one" },
	{ EFAULT, "bad address" },
	{ EINTR, "interrupted by a signal handler" },
	{ EINVAL, "invalid argument" },
	{ EIO, "the region's header is not valid: module and library do not fit together" },
	{ EMFILE, "this process has as many files open as it may (RLIMIT_NOFILE)" },
	{ ENFILE, "the system has as many files open as it may (fs.file-max)" },
	{ ENODEV,
	  "this machine does not have the backing asked for, or the peershm module is not loaded" },
	{ ENOENT, "no such region or client" },
	{ ENOMEM, "out of memory or huge pages, or the memory cgroup's limit is reached" },
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

void pshm_forget(void)
{
	last.err = 0;
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
