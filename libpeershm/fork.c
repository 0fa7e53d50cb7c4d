/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
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
#include <pthread.h>
#include <urcu/urcu-bp.h>

#include "internal.h"

static bool have_handlers; /* under the process's lock */
static uint64_t forking;   /* under the same: the epoch of the process that forks */

static void before_fork(void)
{
	pshm_process_lock();
	pshm_control_lock();
	pshm_find_lock();
	urcu_bp_before_fork();
	forking = pshm_process_epoch();
}

static void after_fork_parent(void)
{
	urcu_bp_after_fork_parent();
	pshm_find_unlock();
	pshm_control_unlock();
	pshm_process_unlock();
}

static void after_fork_child(void)
{
	uint64_t child;

	urcu_bp_after_fork_child();
	if (forking && !pshm_process_enter(&child))
		pshm_find_inherit(forking, child, pshm_attach_again);
	pshm_find_unlock();
	pshm_control_unlock();
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
