/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls that a program consists of, and what is done before and after it. The fuzzer includes
 * this file. `minimise` pastes it and the files in calls/ into the C program that it writes, so they
 * use nothing but the C library and the ABI.
 */
#ifndef PEERSHM_FUZZ_CALLS_H
#define PEERSHM_FUZZ_CALLS_H

#include "calls/state.h"

#include "calls/device.h"
#include "calls/memory.h"
#include "calls/process.h"

/* Before a program: nothing is mapped, open, locked or watched. */
static inline void calls_reset(void)
{
	uint64_t own = PLACE_SIZE * (NR_SLOTS - P0);

	reap(true);
	if (self.timed)
		setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_sec = 0 } }, NULL);
	if (self.limited)
		unlimit();
	if (self.parameters)
		parameters_as_at_first();
	for (unsigned int i = 0; i < NR_FILES; i++)
		if (self.files[i] >= 0)
			do_close(i);
	if (self.uffd >= 0)
		close(self.uffd);
	if (self.epoll >= 0)
		close(self.epoll);
	self.uffd = self.epoll = -1;
	if (self.locked)
		munlockall();
	if (self.other_user)
		setfsuid(geteuid());
	munmap(at_address(PLACES), PLACE_SIZE * P0);
	munmap(at_address(place(P0)), own);
	munmap(at_address(ARENA), ARENA_SIZE);
	if (self.piped)
		pipe_drain();
	self.locked = self.other_user = self.piped = self.limited = self.timed = false;
	self.parameters = false;
	for (unsigned int slot = 0; slot < NR_SLOTS; slot++)
		self.base[slot] = place(slot);
}

/* In each thread, before its first program. */
static inline void calls_start_thread(void)
{
	int memory = memfd_create("fuzz", MFD_CLOEXEC);
	char *hole = mmap(NULL, BUFFER_SIZE + page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (memory < 0 || hole == MAP_FAILED || ftruncate(memory, BUFFER_SIZE))
		_exit(99);
	own.buffer =
		mmap(hole, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0);
	own.readonly = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, memory, 0);
	if (own.buffer != hole || own.readonly == MAP_FAILED)
		_exit(99);
	close(memory);
	own.fail = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
}

/* Once: let every allocation fail that is told to, without a word in the kernel log. */
static inline void calls_prepare(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[64];

	if (access("/proc/thread-self/fail-nth", W_OK))
		fputs("no failures: this kernel injects none\n", stderr);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		if (write_file(path, settings[i][1]))
			fprintf(stderr, "no failures: %s cannot be set\n", path);
	}
	parameters_as_at_first();
}

/* In each process, before its threads start. */
static inline void calls_start(struct common *common, unsigned int process, const int sockets[2])
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGUSR1 };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	self.common = common;
	self.process = process;
	self.socket[0] = sockets[0];
	self.socket[1] = sockets[1];
	self.uffd = self.epoll = -1;
	memset(self.files, -1, sizeof(self.files));
	self.zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	if (self.zero < 0 || pipe2(self.pipe, O_CLOEXEC | O_NONBLOCK))
		_exit(99);
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigaction(faults[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	common->pids[process] = getpid();
	for (unsigned int slot = 0; slot < NR_SLOTS; slot++)
		self.base[slot] = place(slot);
}

#endif
