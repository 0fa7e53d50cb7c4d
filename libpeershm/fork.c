/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose handle is it? A child of fork has neither the windows (VM_DONTCOPY) nor
 * the headers of its parent, and must find out before it touches one. The
 * kernel tells it: one page that reads zero in a child (MADV_WIPEONFORK) holds
 * the process's epoch, and each handle the epoch it was opened under. This
 * needs no getpid() on every call and holds for a raw clone() too.
 *
 * Locks over a fork: the library's mutexes and liburcu's are taken before and
 * given back after, so that a child forked while another thread opens or looks
 * up can itself open regions. liburcu wants its hooks called once around a
 * fork, so a program that uses liburcu-bp too leaves that to this file. A child
 * made without the handlers of pthread_atfork() (a raw clone(), _Fork()) can
 * still tell that the handles are not its own, and close them, but should open
 * none.
 *
 * Handles that were opened with PEERSHM_REATTACH become the child's own in the
 * child's handler. glibc's heap works there, a sanitizer's may not: nothing that
 * the handler calls uses the heap.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urcu/urcu-bp.h>

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

static bool have_handlers; /* under the process's lock */
static uint64_t forking;   /* under the same: the epoch of the process that forks */

static void before_fork(void)
{
	pshm_process_lock();
	pshm_section_lock();
	pshm_find_lock();
	urcu_bp_before_fork();
	forking = pshm_process_epoch();
}

static void after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
	pshm_find_unlock();
	pshm_section_unlock();
	pshm_process_unlock();
}

static void after_fork_child(void)
{
	uint64_t child;

	urcu_bp_after_fork_child();
	if (forking && !pshm_process_enter(&child))
		pshm_find_inherit(forking, child, pshm_attach_again);
	pshm_find_unlock();
	pshm_section_unlock();
	pshm_process_unlock();
}

int pshm_fork_enter(uint64_t *epoch)
{
	int err;

	pshm_process_lock();
	err = pshm_process_enter(epoch);
	if (!err && !have_handlers)
		err = -pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	if (!err)
		have_handlers = true;
	pshm_process_unlock();
	return err ? pshm_fail(err, NULL) : 0;
}
