/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "helped.h"

#define TRACING "/sys/kernel/tracing"
#define TRACE TRACING "/trace"
#define COMMANDS TRACING "/options/record-cmd"
#define EVENT TRACING "/events/workqueue/workqueue_execute_start/enable"

static pid_t watcher;

/* Not in a child that exits. */
static void trace_off(void)
{
	if (getpid() != watcher)
		return;
	file_write(EVENT, "0");
	file_write(COMMANDS, "1");
}

/*
 * Unless it is on already (tools/vm/init): once in a program, and without names of commands, for
 * which the kernel would trace switches of tasks as well. It rewrites its code for each of those
 * (tests/holder).
 */
static void trace_on(void)
{
	if (watcher || file_number(EVENT) == 1)
		return;
	assert_int_equal(atexit(trace_off), 0);
	assert_ok(file_write(COMMANDS, "0"));
	assert_ok(file_write(EVENT, "1"));
	watcher = getpid();
}

static void empty_the_trace(void)
{
	int fd = open(TRACE, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
}

void helpers_watch(void)
{
	if (kernel_before(5, 14))
		skip_because("this kernel would charge the wrong group");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("this machine has one CPU");
	if (access(EVENT, W_OK))
		skip_because("this kernel traces no work items");
	trace_on();
	empty_the_trace();
}

bool helpers_came(void)
{
	char line[512];
	bool yes = false;
	FILE *file;

	file = fopen(TRACE, "re");
	assert_non_null(file);
	while (!yes && fgets(line, sizeof(line), file))
		yes = strstr(line, "function help [peershm]");
	fclose(file);
	empty_the_trace();
	return yes;
}

long use_one_cpu(void *arg)
{
	cpu_set_t one;

	(void)arg;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}
