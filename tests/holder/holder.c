/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Has a perf event until it is killed, or run_kselftest.sh ends, which starts it.
 *
 * Linux switches code of its scheduler on when a task gets the first such event, and off a
 * second after the last one has gone, and puts a breakpoint there meanwhile. An emulated CPU
 * can translate that breakpoint just before it is taken away, and run into it later, when the
 * kernel knows of none (QEMU before 8.1): "Oops: int3" in __schedule(). Some tests have such
 * events; with one more that stays, nothing is switched between them.
 */
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC) < 0) {
		perror("# holder: perf_event_open");
		return 1;
	}
	for (;;)
		pause();
}
