/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdio.h>
#include <string.h>

#include "task.h"

/* "PID (NAME) STATE ...", and a name may hold anything. */
bool task_sleeps(pid_t tid)
{
	char path[32], text[256] = "", *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = 0;
	fclose(file);
	state = strrchr(text, ')');
	return state && state[1] && state[2] == 'S';
}

long task_call(pid_t tid, unsigned long *third)
{
	char path[32];
	FILE *file;
	long call;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	n = fscanf(file, "%ld %*x %*x %lx", &call, third);
	fclose(file);
	return n == 2 ? call : -1;
}
