/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hold a perf event for as long as run_kselftest.sh runs, and so keep QEMU from crashing the
 * kernel.
 *
 *   holder PID     PID of run_kselftest.sh; returns once it holds the event
 *
 * Linux patches its scheduler when a task gets the first perf event, and patches it back a second
 * after the last one is gone. While it does, there is a breakpoint in the code. QEMU before 8.1
 * may translate that breakpoint just before it is removed, and run into it later, when the kernel
 * expects none: "Oops: int3" in __schedule(). Some tests have perf events. While another one
 * stays, the kernel has nothing to patch between them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int event_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int fail(const char *what)
{
	printf("# holder: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	return 1;
}

/* Close the standard files: readers of the tests' output would otherwise wait for this process. */
static _Noreturn void hold(struct pollfd *process, int told)
{
	if (event_open() < 0)
		_exit(fail("perf_event_open"));
	close(told);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	poll(process, 1, -1);
	_exit(0);
}

int main(int argc, char *argv[])
{
	struct pollfd process = { .events = POLLIN };
	int told[2];
	char nothing;

	if (argc != 2) {
		fputs("usage: holder PID\n", stderr);
		return 2;
	}
	process.fd = (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	if (process.fd < 0)
		return fail("pidfd_open");
	if (pipe2(told, O_CLOEXEC))
		return fail("pipe");
	switch (fork()) {
	case -1:
		return fail("fork");
	case 0:
		hold(&process, told[1]);
	}
	close(told[1]);
	return read(told[0], &nothing, 1) < 0;
}
