/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose handle is it? A child of fork has neither the windows (VM_DONTCOPY) nor
 * the headers of its parent, and must find out before it touches one. The
 * kernel tells it: one page that reads zero in a child (MADV_WIPEONFORK) holds
 * the process's epoch, and each handle the epoch it was opened under. This
 * needs no getpid() on every call and holds for a raw clone() too.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

static pthread_mutex_t epoch_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t *epoch_page; /* written under epoch_lock, read anywhere; never freed */
static uint64_t last_epoch;  /* under epoch_lock; copied by fork, so a child's differs */

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
	/* Pairs with the acquire in pshm_process_epoch(): the page, then its address. */
	__atomic_store_n(&epoch_page, map, __ATOMIC_RELEASE);
	return 0;
}

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
