/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls on processes, their limits and the system. */
#ifndef PEERSHM_FUZZ_PROCESS_H
#define PEERSHM_FUZZ_PROCESS_H

#include "state.h"

static inline long do_kill(uint64_t process, uint64_t signal)
{
	pid_t pid = self.common->pids[process % NR_PROCESSES];

	return pid > 1 ? kill(pid, (int)signal) : -1;
}

static inline long do_yield(uint64_t us)
{
	struct timespec time = { .tv_nsec = (long)(us % 2000) * 1000 };

	return us ? nanosleep(&time, NULL) : sched_yield();
}

static inline long do_setfsuid(uint64_t uid)
{
	self.other_user = true;
	return setfsuid((uid_t)uid);
}

/* A limit of the process. 0: file size, 1: locked memory, 2: open files, 3: address space. */
static inline long do_limit(uint64_t what, uint64_t value)
{
	static const int limits[] = { RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE, RLIMIT_AS };
	int resource = limits[what % (sizeof(limits) / sizeof(limits[0]))];
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return -1;
	limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
	self.limited = true;
	return setrlimit(resource, &limit);
}

static inline void unlimit(void)
{
	static const int limits[] = { RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE, RLIMIT_AS };
	struct rlimit limit;

	for (unsigned int i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (getrlimit(limits[i], &limit))
			continue;
		limit.rlim_cur = limit.rlim_max;
		setrlimit(limits[i], &limit);
	}
}

/* A signal after so many microseconds, in the middle of some call, which is restarted or not. */
static inline long do_timer(uint64_t us, uint64_t restart)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = restart ? SA_RESTART : 0 };
	struct itimerval time = { .it_value = { .tv_usec = (suseconds_t)(us % 50000) } };

	self.timed = true;
	sigaction(SIGALRM, &action, NULL);
	return setitimer(ITIMER_REAL, &time, NULL);
}

/* Parameters of the module, and what the fuzzer sets them to, so that the machine's memory suffices. */
static const struct {
	const char *name;
	uint64_t at_first;
} parameters[] = {
	{ "max_regions", 32 },
	{ "max_clients", 16 },
	{ "max_bytes", 384 << 20 },
	{ "max_user_regions", 64 },
	{ "max_user_capacity", 1ULL << 40 },
	{ "max_user_bytes", 0 },
	{ "max_user_clients", 128 },
};

#define NR_PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

static inline long set_parameter(unsigned int which, uint64_t value)
{
	char path[96], text[24];

	snprintf(path, sizeof(path), "/sys/module/peershm/parameters/%s", parameters[which].name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_file(path, text);
}

/* Lower than the fuzzer has set it, or the same. */
static inline long do_parameter(uint64_t which, uint64_t value)
{
	unsigned int n = (unsigned int)(which % NR_PARAMETERS);
	uint64_t most = parameters[n].at_first ? parameters[n].at_first : 384 << 20;

	self.parameters = true;
	return set_parameter(n, value < most ? value : most);
}

static inline void parameters_as_at_first(void)
{
	for (unsigned int i = 0; i < NR_PARAMETERS; i++)
		set_parameter(i, parameters[i].at_first);
}

/* Runs the shrinkers, among them that of the reserves. */
static inline long do_reclaim(void)
{
	return write_file("/proc/sys/vm/drop_caches", "2");
}

static inline void reap(bool now)
{
	/* The other thread may have set it to 0 meanwhile: kill(0) would kill all processes of the group. */
	pid_t child = __atomic_load_n(&self.child, __ATOMIC_RELAXED);

	if (child <= 0)
		return;
	if (now)
		kill(child, SIGKILL);
	/* The supervisor sends a signal if this takes too long: the child is stuck then. */
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		kill(child, SIGKILL);
	__sync_bool_compare_and_swap(&self.child, child, 0);
}

/* 0 in the child. A process has at most one. */
static inline long do_fork(uint64_t wait)
{
	pid_t pid;

	reap(true);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		own.fail = -1; /* the file is of the parent's thread */
	}
	if (pid > 0) {
		self.child = pid;
		if (wait)
			reap(false);
	}
	return pid;
}

#endif
