/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which process a handle belongs to. A child of fork has neither its parent's
 * windows (VM_DONTCOPY) nor its headers, so a call in the child must find out
 * that the handle is the parent's before it touches one. A page that the kernel
 * clears in a child (MADV_WIPEONFORK) holds the epoch of the process. A handle
 * has a copy of the epoch under which it was opened. If the two differ, the
 * handle belongs to another process. This costs no getpid() on every call, and
 * also works after a raw clone().
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static pthread_mutex_t epoch_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t *epoch_page; /* set under epoch_lock, read without it; never freed */
static uint64_t last_epoch;  /* under epoch_lock; fork copies it, so a child's next epoch differs */

void pshm_process_lock(void)
{
	pthread_mutex_lock(&epoch_lock);
}

void pshm_process_unlock(void)
{
	pthread_mutex_unlock(&epoch_lock);
}

static int make_epoch_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t *map =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return -ENOMEM;
	if (madvise(map, size, MADV_WIPEONFORK) < 0) {
		munmap(map, size);
		return -ENOMEM;
	}
	/*
	 * Pairs with the acquire in pshm_process_epoch(): a thread that sees the
	 * address can use the page.
	 */
	__atomic_store_n(&epoch_page, map, __ATOMIC_RELEASE);
	return 0;
}

/* The caller holds the lock. */
int pshm_process_enter(uint64_t *epoch)
{
	int err = epoch_page ? 0 : make_epoch_page();

	if (err)
		return err;
	if (!*epoch_page)
		__atomic_store_n(epoch_page, ++last_epoch, __ATOMIC_RELAXED);
	*epoch = *epoch_page;
	return 0;
}

uint64_t pshm_process_epoch(void)
{
	/* Pairs with the release in make_epoch_page(). */
	const uint64_t *map = __atomic_load_n(&epoch_page, __ATOMIC_ACQUIRE);

	return map ? __atomic_load_n(map, __ATOMIC_RELAXED) : 0;
}
