/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handlers of pthread_atfork(). The library's mutexes and liburcu's are
 * locked before a fork and unlocked after it in both processes. So no mutex is
 * left locked in the child by a thread that exists only in the parent, and the
 * child can open regions. liburcu wants its own hooks called exactly once around
 * a fork; a program that also uses liburcu-bp must leave that to this file.
 *
 * A raw clone() or _Fork() runs no handlers. The child can still tell that the
 * handles are not its own, and close them, but should not open any, because a
 * mutex may be locked.
 *
 * The child's handler makes handles that were opened with PEERSHM_REATTACH the
 * child's own. glibc's heap can be used there, that of a sanitizer perhaps not,
 * so nothing that the handler calls uses the heap.
 */
#include <pthread.h>
#include <urcu/urcu-bp.h>

#include "internal.h"

static bool have_handlers; /* atomic; stored after they are registered */
static uint64_t forking;   /* the parent's epoch during a fork; under the lock of process.c */

/*
 * How often before_fork() has run for the fork that this thread is in. The handlers may
 * be registered more than once: by two threads whose first opens come at the same time,
 * and by a child of a fork between the two steps of pshm_fork_enter(). Then all of them
 * run around each fork, and the first before it and the last after it do the work.
 */
static _Thread_local unsigned int nested;

static void before_fork(void)
{
	if (nested++)
		return;
	pshm_process_lock();
	pshm_control_lock();
	pshm_find_lock();
	urcu_bp_before_fork();
	forking = pshm_process_epoch();
}

static void after_fork_parent(void)
{
	if (--nested)
		return;
	urcu_bp_after_fork_parent();
	pshm_find_unlock();
	pshm_control_unlock();
	pshm_process_unlock();
}

static void after_fork_child(void)
{
	PSHM_UNCANCELLED;
	uint64_t child;

	if (--nested)
		return;
	urcu_bp_after_fork_child();
	if (forking && !pshm_process_enter(&child))
		pshm_find_inherit(forking, child, pshm_attach_again);
	pshm_find_unlock();
	pshm_control_unlock();
	pshm_process_unlock();
}

/*
 * The handlers are registered before this thread takes the first lock, and under none: a
 * fork by another thread that does not run them yet would give the child a copy of a lock
 * that nobody unlocks there.
 */
int pshm_fork_enter(uint64_t *epoch)
{
	int err = 0;

	if (!__atomic_load_n(&have_handlers, __ATOMIC_RELAXED))
		err = -pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	if (err)
		return pshm_fail(err, NULL);
	__atomic_store_n(&have_handlers, true, __ATOMIC_RELAXED);
	pshm_process_lock();
	err = pshm_process_enter(epoch);
	pshm_process_unlock();
	return err ? pshm_fail(err, NULL) : 0;
}
