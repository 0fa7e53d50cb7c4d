/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "helped.h"

#define TRACING "/sys/kernel/tracing"
#define TRACE TRACING "/trace"
#define EVENT TRACING "/events/workqueue/workqueue_execute_start/enable"

static void trace_off(void *arg)
{
	(void)arg;
	file_write(EVENT, "0");
}

static void empty_the_trace(void)
{
	int fd = open(TRACE, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
}

void helpers_watch(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip_because("this machine has one CPU");
	if (access(EVENT, W_OK))
		skip_because("this kernel traces no work items");
	/* in an emulated machine it is on, and has to stay so (tools/vm/init) */
	if (file_number(EVENT) != 1) {
		test_cleanup(trace_off, NULL);
		assert_ok(file_write(EVENT, "1"));
	}
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
		yes = strstr(line, "function help_work [peershm]");
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
