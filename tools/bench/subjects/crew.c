// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crew.h"
#include "subject.h"

/* A peer that takes longer than this is taken for dead. */
#define DEADLINE_S 300

struct crew {
	_Atomic uint32_t told; /* number of orders given; the peers sleep on it */
	_Atomic uint32_t busy; /* peers that have not done the last one; crew_do() sleeps on it */
	_Atomic uint32_t failed;
	unsigned int peers;
	unsigned int first;
	enum order order;
	uint64_t place;
	uint64_t length;
	uint64_t answers[CREW_MAX];
	pid_t pids[CREW_MAX];
};

uint64_t bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
	return !syscall(SYS_futex, word, FUTEX_WAIT, value, timeout, NULL, 0) || errno == EAGAIN ||
	       errno == EINTR;
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static uint64_t faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static uint64_t page_tables(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kilobytes = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "VmPTE:", 6))
			kilobytes = strtoul(line + 6, NULL, 10);
	}
	if (file)
		fclose(file);
	return (uint64_t)kilobytes * 1024;
}

static void write_pages(char *memory, uint64_t length)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);

	for (uint64_t i = 0; i < length; i += page_size)
		((volatile char *)memory)[i] = 1;
}

/* Carry out an order. *before: the page faults of this peer up to the end of the order before. */
static bool obey(struct crew *crew, unsigned int peer, uint64_t *before)
{
	char *memory = subject.at(crew->place);
	uint64_t start;
	bool done = true;

	switch (crew->order) {
	case ORDER_JOIN:
		start = bench_now();
		done = subject.join(crew->first + peer);
		crew->answers[peer] = bench_now() - start;
		break;
	case ORDER_LEAVE:
		done = subject.leave();
		break;
	case ORDER_RECEIVE:
	case ORDER_TAKE:
		done = !subject.receive || subject.receive(memory, crew->length);
		if (crew->order == ORDER_RECEIVE || !done)
			break;
		write_pages(memory, crew->length);
		crew->answers[peer] = faults() - *before;
		break;
	case ORDER_WRITE:
		write_pages(memory, crew->length);
		crew->answers[peer] = faults() - *before;
		break;
	case ORDER_FORGET:
		done = !madvise(memory, crew->length, MADV_DONTNEED);
		break;
	case ORDER_TABLES:
		crew->answers[peer] = page_tables();
		break;
	case ORDER_END:
		break;
	}
	*before = faults();
	return done;
}

static _Noreturn void be_peer(struct crew *crew, unsigned int peer, pid_t parent)
{
	uint64_t before = 0;
	uint32_t told = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/*
	 * Faults on the peer's own pages would count as faults on the new memory: read /proc once,
	 * which allocates what that needs, and lock the pages.
	 */
	page_tables();
	if (mlockall(MCL_CURRENT))
		perror("bench: mlockall");
	for (;;) {
		while (atomic_load(&crew->told) == told)
			futex_wait(&crew->told, told, NULL);
		told++;
		if (!obey(crew, peer, &before))
			atomic_store(&crew->failed, 1);
		if (crew->order == ORDER_END) {
			/* not exit(): the exit handlers are those of the process that grows */
			_exit(0);
		}
		if (atomic_fetch_sub(&crew->busy, 1) == 1)
			futex_wake(&crew->busy);
	}
}

struct crew *crew_start(unsigned int peers, unsigned int first)
{
	struct crew *crew = mmap(NULL, sizeof(*crew), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid();

	if (crew == MAP_FAILED)
		return NULL;
	crew->first = first;
	fflush(NULL);
	crew->peers = peers;
	for (unsigned int i = 0; i < peers; i++) {
		pid_t pid = fork();

		if (!pid)
			be_peer(crew, i, parent);
		if (pid < 0)
			return NULL;
		/* Only the parent stores it: the child shares this memory, and would store 0. */
		crew->pids[i] = pid;
	}
	return crew;
}

bool crew_do(struct crew *crew, enum order order, uint64_t place, uint64_t length, uint64_t *sum)
{
	const struct timespec deadline = { .tv_sec = DEADLINE_S };
	uint32_t busy;

	if (sum)
		*sum = 0;
	if (!crew->peers)
		return true;
	memset(crew->answers, 0, sizeof(crew->answers));
	crew->order = order;
	crew->place = place;
	crew->length = length;
	atomic_store(&crew->busy, crew->peers);
	atomic_fetch_add(&crew->told, 1);
	futex_wake(&crew->told);
	if (order == ORDER_END)
		return true;
	while ((busy = atomic_load(&crew->busy))) {
		if (!futex_wait(&crew->busy, busy, &deadline)) {
			fprintf(stderr, "bench: %u peers do not answer\n", busy);
			return false;
		}
	}
	for (unsigned int i = 0; sum && i < crew->peers; i++)
		*sum += crew->answers[i];
	return !atomic_load(&crew->failed);
}

bool crew_end(struct crew *crew)
{
	bool well = crew_do(crew, ORDER_END, 0, 0, NULL);

	for (unsigned int i = 0; i < crew->peers; i++) {
		int status = -1;

		if (waitpid(crew->pids[i], &status, 0) > 0 && !status)
			continue;
		fprintf(stderr, "bench: peer %u did not end well: status %d\n", i, status);
		well = false;
	}
	munmap(crew, sizeof(*crew));
	return well;
}
