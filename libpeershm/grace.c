/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Grace periods: waiting until every read section that has begun is over.
 *
 * Each reading thread has a slot in its client's control page, where it stores
 * that it is inside a section. No other thread stores to that field. The waiter
 * looks at every slot of every client that the header shows. There is no counter
 * that clients share, so they need not agree on anything, and a client that has
 * garbage in its own page can only make a waiter time out.
 *
 *   reader (peershm.h)                waiter
 *
 *   lock:   inside = 1                remove every pointer to the memory
 *           compiler barrier    [A]   membarrier()                     [A, D]
 *           loads in the region       for every slot of every live client:
 *   unlock: inside = 0, release [B]     passed_before = passed, acquire   [D]
 *           compiler barrier    [C]     if inside == 0, acquire: next slot [B]
 *           if waiting:                 loop:
 *             waiting = 0                 waiting = 1
 *             passed++, release [B, D]    membarrier()                    [C]
 *             wake the waiters            if passed != passed_before
 *                                            or inside == 0: next slot  [B, D]
 *                                         sleep while passed == passed_before
 *                                     the memory can be freed
 *
 * membarrier(GLOBAL_EXPEDITED) is a full memory barrier in its caller. It also
 * makes every running thread of a registered process execute a full barrier
 * before the call returns; a thread that does not run executed one when it was
 * switched out. So each call gives every reader a point P in its program. After
 * the call the waiter sees all stores that the reader made before P, and loads
 * that the reader makes after P see all that the waiter stored before the call.
 *
 * A. The waiter finds every section that may hold a removed pointer. Such a
 *    section loaded the pointer before the P of the first membarrier, as a load
 *    after P sees that the pointer was removed. The section stored inside = 1
 *    before that load. So the waiter sees inside == 1, unless the section has
 *    ended since.
 * B. The waiter goes on only after the section's last load. It loads inside == 0,
 *    or a `passed` that has changed, with acquire. This pairs with the release
 *    stores in unlock, so the section's loads come before whatever is done to the
 *    memory afterwards.
 * C. No wake-up is lost. The reader stores inside = 0 and then loads `waiting`;
 *    the waiter stores waiting = 1 and then loads `inside`. If the reader's store
 *    comes before the P of the second membarrier, the waiter sees inside == 0. If
 *    not, the reader's load comes after P and sees waiting == 1, and the reader
 *    increments `passed` and wakes the waiter.
 * D. "passed changed" is as good as "inside == 0". The waiter samples `passed`
 *    after its first membarrier. If it differs later, the reader ended a section
 *    after the P of that membarrier, and the sections that it starts afterwards
 *    see the pointer removed. So a reader that starts one section right after the
 *    other does not hold up the waiter. The reader clears `waiting` before it
 *    increments `passed`: if it clears the flag of a second waiter along with
 *    that of the first, the second one's futex call finds `passed` changed and
 *    does not sleep.
 *
 * Clients that attach during the wait: before ATTACH returns, the kernel shows
 * the client in the header, with an empty control page. Before a thread's first
 * section, add_reader() executes a full fence, which pairs with the waiter's
 * membarrier. Either the waiter, which reads the header after that membarrier,
 * sees the client, or the client's loads see that the pointer was removed. The
 * same holds for `mode`, which is stored before that fence.
 *
 * Clients that die: the kernel drops them from the header. The waiter compares
 * the client's id, which is never used again, before every sleep. Clients that
 * are stopped stay in their section, and the waiter gives up at its deadline.
 *
 * Processes without membarrier() (a seccomp filter forbids it): their readers
 * cannot use the inlined functions. They execute full fences in place of the
 * compiler barriers at A and C, and the client's page says so in `mode`. These
 * fences pair with the fence in barrier_everywhere(). A waiter that cannot call
 * membarrier() can only wait for such clients; if there is another, it gets
 * ENOSYS.
 *
 * Threads for which no slot is left share two slots under a mutex. `inside` of a
 * shared slot is 1 while at least one of them is in a section. The argument about
 * P holds for these threads together, because a thread that enters gets the mutex
 * from the one before, and barriers are cumulative. There are two shared slots so
 * that a waiter makes progress: while it waits for one, new sections use the
 * other.
 *
 * tests/model has this protocol as a model, which spin checks exhaustively.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define DEFAULT_TIMEOUT_MS 1000
#define POLL_MS 10 /* the waiter looks this often whether the client still lives */

/* One call of pshm_grace_wait(). */
struct wait {
	struct peershm *handle;
	struct timespec deadline;
	uint32_t timeout_ms;
	int no_membarrier; /* why a call of it failed, -errno; 0: it works */
};

/*
 * The waiter's side of A, C and D: what it stored before is visible to readers
 * before it loads anything after.
 */
static void barrier_everywhere(struct wait *wait)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!wait->no_membarrier)
		wait->no_membarrier = pshm_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

/* Nanoseconds until the deadline, 0 after it. */
static int64_t left_ns(const struct wait *wait)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (wait->deadline.tv_sec - now.tv_sec) * 1000000000LL + wait->deadline.tv_nsec -
	     now.tv_nsec;
	return ns > 0 ? ns : 0;
}

/* The result of the futex call does not matter: the caller looks at the slot again. */
static void sleep_on(uint32_t *passed, uint32_t passed_before, int64_t ns)
{
	struct timespec timeout = { .tv_nsec = ns };

	syscall(SYS_futex, passed, FUTEX_WAIT, passed_before, &timeout, NULL, 0);
}

/* 1 if entry `index` of the header still belongs to the client, 0 if not, or -errno. */
static int client_is_there(const struct wait *wait, uint32_t index, uint64_t id)
{
	struct peershm_header_client client = { .id = 0 };
	int live = pshm_header_client(wait->handle->header, wait->handle->header_length, index,
				      &client);

	return live <= 0 ? live : client.id == id;
}

static int timed_out(const struct wait *wait, const struct peershm_header_client *client)
{
	const struct peershm *handle = wait->handle;
	pid_t pid = pshm_query_pid(handle->fd, handle->command_region, client->name, client->id);

	if (pid)
		return pshm_fail(
			-ETIMEDOUT,
			"client %s, PID %d, has been in a read section for more than %u ms",
			client->name, pid, wait->timeout_ms);
	return pshm_fail(-ETIMEDOUT, "client %s has been in a read section for more than %u ms",
			 client->name, wait->timeout_ms);
}

/* Wait until the section that the slot shows has ended, or its client is gone. */
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

/* A filter that forbids membarrier() gives any errno. ENOMEM is the kernel's, and may pass. */
static int barrier_failed(const struct wait *wait, const struct peershm_header_client *client)
{
	if (wait->no_membarrier == -ENOMEM)
		return pshm_fail(-ENOMEM, NULL);
	return pshm_fail(-ENOSYS,
			 "this process may not call membarrier(2), and client %s relies on it",
			 client->name);
}

static int wait_for_client(struct wait *wait, uint32_t index,
			   const struct peershm_header_client *client)
{
	const struct pshm_sections *s = wait->handle->sections;
	struct peershm_slot *page = s->all_pages + (1 + (size_t)index) * pshm_control_slots(s);
	const struct pshm_page_start *start = (const struct pshm_page_start *)page;
	int err = 0;

	if (wait->no_membarrier && __atomic_load_n(&start->mode, __ATOMIC_RELAXED) == MODE_BARRIER)
		return barrier_failed(wait, client);
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
