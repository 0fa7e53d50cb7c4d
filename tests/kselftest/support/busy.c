/* SPDX-License-Identifier: GPL-2.0-only */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "busy.h"
#include "harness.h"

#define BUSY_LENGTH (256 * MIB)

static volatile bool busy, started;
static pthread_t busy_thread;

static void *keep_mmap_lock_busy(void *arg)
{
	int protection = PROT_READ;

	while (busy) {
		mprotect(arg, BUSY_LENGTH, protection);
		protection ^= PROT_WRITE;
		started = true;
	}
	return NULL;
}

long busy_start(void *arg)
{
	char *memory = mmap(NULL, BUSY_LENGTH, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int err;

	(void)arg;
	if (memory == MAP_FAILED)
		return -errno;
	/* Small pages of zeroes: large page tables, little memory. */
	madvise(memory, BUSY_LENGTH, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < BUSY_LENGTH; i += page)
		(void)*(volatile char *)(memory + i);
	busy = true;
	started = false;
	err = pthread_create(&busy_thread, NULL, keep_mmap_lock_busy, memory);
	while (!err && !started)
		usleep(1000);
	return -err;
}

long busy_stop(void *arg)
{
	(void)arg;
	busy = false;
	return -pthread_join(busy_thread, NULL);
}
