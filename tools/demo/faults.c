// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "faults.h"

static sigjmp_buf escape;
static struct message *touching;

int faults_settle(void)
{
	return mlockall(MCL_CURRENT) < 0 ? -errno : 0;
}

uint64_t faults_count(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static void caught(int signal, siginfo_t *info, void *context)
{
	(void)context;
	touching->touch.signal = signal;
	touching->touch.code = info->si_code;
	touching->touch.address = (uintptr_t)info->si_addr;
	siglongjmp(escape, 1);
}

void faults_touch(struct message *message)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	struct sigaction before;

	touching = message;
	message->kind = MESSAGE_TOUCHED;
	message->touch.signal = 0;
	sigaction(SIGBUS, &action, &before);
	if (!sigsetjmp(escape, 1))
		(void)*(const volatile char *)(uintptr_t)message->touch.address;
	sigaction(SIGBUS, &before, NULL);
}

void faults_write(struct message *message)
{
	volatile char *start = (volatile char *)(uintptr_t)message->touch.address;
	uint64_t ns = message_now();
	uint64_t faults = faults_count();

	for (uint64_t i = 0; i < message->touch.length; i += FAULTS_PAGE)
		start[i] = 1;
	message->kind = MESSAGE_WRITTEN;
	message->touch.faults = faults_count() - faults;
	message->touch.ns = message_now() - ns;
}
