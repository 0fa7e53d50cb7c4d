/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Read sections across processes, and waiting for their end.
 *
 * Each reading thread has a slot in its client's control page. It says there
 * that it is inside a section, and nobody but that thread writes it. Who waits
 * looks at every slot of every client that the header shows. There is no word
 * that all share: nothing to agree on, nothing that one client's garbage could
 * do to the sections of others but make who waits time out.
 *
 *   reader (peershm.h)                  who waits
 *
 *   lock:   inside = 1                  what leads to the memory is taken out
 *           (compiler barrier, A)       membarrier()                     (A, C)
 *           loads in the region         for every slot of a live client:
 *   unlock: inside = 0 (release, B)       was = passed (acquire, D)
 *           (compiler barrier, C)         inside == 0 (acquire, B)? next
 *           waiting? then                 loop: waiting = 1
 *             waiting = 0                   membarrier()                    (C)
 *             passed++ (release, D)         inside == 0 or passed != was? next
 *             wake passed                   sleep on passed while it is was
 *                                       the memory may go
 *
 * membarrier(GLOBAL_EXPEDITED) is a full barrier in the caller, and makes every
 * running thread of a registered process pass one at some point of its program
 * during the call. Threads that do not run passed one when they were switched
 * out. So for each reader there is a point P in its program such that all its
 * stores before P are seen after the membarrier, and all its loads after P see
 * what was stored before it.
 *
 * A. A section whose loads find the old pointer made them before P, and stored
 *    `inside` before them. So who waits sees inside == 1, unless the section has
 *    ended: the forbidden outcome "old pointer, and inside == 0 of before the
 *    section" would need a load after P that misses, or a store before P that is
 *    not seen.
 * B. Who sees inside == 0, or passed changed, sees all that the ended section
 *    did: the release store in the unlock pairs with the acquire load here.
 *    What is done to the memory afterwards comes after the section's loads.
 * C. The reader stores `inside` and loads `waiting`; who waits stores `waiting`
 *    and loads `inside`. By the point P of the second membarrier one of the two
 *    sees the other. So who waits finds inside == 0, or the end of the section
 *    finds waiting == 1, counts in `passed` and wakes: no wake-up is lost.
 * D. `was` is read after the first membarrier. If `passed` then changes, the store
 *    that changed it came after P, and so did every section that began after it:
 *    they have not seen the old pointer. Therefore a reader that is in and out of
 *    sections all the time holds nobody up. The reader clears `waiting` before it
 *    counts: a `waiting` that was cleared for somebody else comes with a change of
 *    `passed`, which the futex compares before it sleeps.
 *
 * Clients that attach meanwhile: the kernel shows a client in the header, with an
 * empty control page, before its ATTACH returns, and join() has a full fence
 * before the first section. It pairs with the membarrier's in who waits: either
 * the header, read after the membarrier, shows the client, or the client's loads
 * see what was taken out. The same goes for `mode`, which join() stores before
 * that fence.
 *
 * Clients that die are dropped from the header by the kernel; the id there is
 * looked at before every sleep, and never used twice. Clients that are stopped
 * stay in their section, and who waits gives up at its deadline.
 *
 * Where membarrier() is not to be had (a kernel without it, a seccomp filter),
 * the readers of that process have full fences in place of the compiler barriers
 * A and C, in functions that are not inlined, and say so in `mode`. They pair
 * with the fence in barrier_everywhere(). A process that may not call it can only wait for
 * such readers: ENOSYS if there is another.
 *
 * Threads for which there is no slot left share two, under a mutex. A shared slot
 * is inside while one of them is. What was said of P holds for them together: a
 * thread that enters after another one got the mutex from it, and barriers are
 * cumulative. The second slot is there so that they come to an end: if somebody
 * waits for the one, new sections use the other.
 *
 * tests/model has this as a model that spin checks exhaustively.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define DEFAULT_TIMEOUT_MS 1000
#define POLL_MS 10 /* how late the death of a reader may be seen */

/* One call that waits. */
struct wait {
	struct peershm *handle;
	struct timespec deadline;
	uint32_t timeout_ms;
	bool no_membarrier; /* no membarrier(): only for readers that have fences */
};

/* All of A and C: what was stored is seen before anything is loaded. */
static void barrier_everywhere(struct wait *wait)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!wait->no_membarrier && pshm_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED))
		wait->no_membarrier = true;
}

/* What is left, 0 after the deadline. */
static int64_t left_ns(const struct wait *wait)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (wait->deadline.tv_sec - now.tv_sec) * 1000000000LL + wait->deadline.tv_nsec -
	     now.tv_nsec;
	return ns > 0 ? ns : 0;
}

/* As if woken, if it says anything but that: the caller looks again. */
static void sleep_on(uint32_t *passed, uint32_t passed_before, int64_t ns)
{
	struct timespec timeout = { .tv_nsec = ns };

	syscall(SYS_futex, passed, FUTEX_WAIT, passed_before, &timeout, NULL, 0);
}

/* Give 1 if entry `index` still is that client's, 0 if it is not. */
static int client_is_there(const struct wait *wait, uint32_t index, uint64_t id)
{
	struct peershm_header_client client = { .id = 0 };
	int live = pshm_header_client(wait->handle->header, wait->handle->header_length, index,
				      &client);

	return live <= 0 ? live : client.id == id;
}

static int timed_out(const struct wait *wait, const struct peershm_header_client *client)
{
	return pshm_fail(-ETIMEDOUT,
			 "client %s, PID %d, has been in a read section for more than %u ms",
			 client->name, client->pid, wait->timeout_ms);
}

/* Until the section that `slot` is in has ended, or its client is gone. */
static int wait_for_slot(struct wait *wait, uint32_t index,
			 const struct peershm_header_client *client, struct peershm_slot *slot,
			 uint32_t passed_before)
{
	int64_t left;
	int there;

	for (;;) {
		__atomic_store_n(&slot->waiting, 1, __ATOMIC_RELAXED);
		barrier_everywhere(wait);						 /* C */
		if (__atomic_load_n(&slot->passed, __ATOMIC_ACQUIRE) != passed_before || /* B, D */
		    !__atomic_load_n(&slot->inside, __ATOMIC_ACQUIRE))			 /* B */
			return 0;
		there = client_is_there(wait, index, client->id);
		if (there <= 0)
			return there ? pshm_fail(there, NULL) : 0;
		left = left_ns(wait);
		if (!left)
			return timed_out(wait, client);
		sleep_on(&slot->passed, passed_before,
			 left < POLL_MS * 1000000LL ? left : POLL_MS * 1000000LL);
	}
}

static int wait_for_client(struct wait *wait, uint32_t index,
			   const struct peershm_header_client *client)
{
	const struct pshm_sections *s = wait->handle->sections;
	struct peershm_slot *page = s->all_pages + (1 + (size_t)index) * pshm_control_slots(s);
	const struct pshm_page_start *start = (const struct pshm_page_start *)page;
	int err = 0;

	if (wait->no_membarrier && __atomic_load_n(&start->mode, __ATOMIC_RELAXED) == MODE_BARRIER)
		return pshm_fail(-ENOSYS,
				 "this process may not call membarrier(2), and client %s "
				 "relies on it",
				 client->name);
	for (size_t i = 1; !err && i < pshm_control_slots(s); i++) {
		uint32_t passed_before = __atomic_load_n(&page[i].passed, __ATOMIC_ACQUIRE); /* D */

		if (__atomic_load_n(&page[i].inside, __ATOMIC_ACQUIRE)) /* B */
			err = wait_for_slot(wait, index, client, &page[i], passed_before);
	}
	return err;
}

static int wait_for_all(struct wait *wait)
{
	struct peershm_header_client client;

	barrier_everywhere(wait); /* A */
	for (uint32_t i = 0;; i++) {
		int live = pshm_header_client(wait->handle->header, wait->handle->header_length, i,
					      &client);

		if (live == -ENOENT)
			return 0;
		if (live > 0)
			live = wait_for_client(wait, i, &client);
		else if (live < 0)
			live = pshm_fail(live, NULL);
		if (live)
			return live;
	}
}

int pshm_grace_wait(struct peershm *handle, uint32_t timeout_ms)
{
	struct wait wait = { .handle = handle,
			     .timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS };
	int err;

	if (pshm_reader_inside(handle))
		return pshm_fail(-EDEADLK, NULL);
	err = pshm_control_map_all(handle);
	if (err)
		return err;
	clock_gettime(CLOCK_MONOTONIC, &wait.deadline);
	wait.deadline.tv_sec += wait.timeout_ms / 1000;
	wait.deadline.tv_nsec += wait.timeout_ms % 1000 * 1000000L;
	return wait_for_all(&wait);
}

PEERSHM_API int peershm_synchronize(struct peershm *handle, uint32_t timeout_ms)
{
	int err = pshm_handle_check_window(handle);

	if (err)
		return err;
	if (handle->read_only)
		return pshm_fail(-EACCES, "the region was opened read-only");
	return pshm_grace_wait(handle, timeout_ms);
}
