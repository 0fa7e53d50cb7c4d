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
 * with the fence in barrier(). A process that may not call it can only wait for
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
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_MS 1000
#define POLL_MS 10 /* how late the death of a reader may be seen */

#define READERS 128 /* a thread's: one for each region it reads in */
#define SHARED 2
#define FIRST (1 + SHARED) /* a control page's first slot for one thread alone */

/* The first cache line of a client's control page. */
struct mode {
	uint32_t mode;
	uint32_t reserved[15];
};

enum {
	MODE_NONE = 0, /* no section yet */
	MODE_BARRIER = 1,
	MODE_FENCE = 2,
};

_Static_assert(sizeof(struct mode) == sizeof(struct peershm_slot), "lines of a page");
_Static_assert(sizeof(struct peershm_reader) == 32, "the binary interface");
_Static_assert(sizeof(struct peershm_slot) == 64, "the binary interface");

/* What a handle's sections need; all but `shared` under the lock. */
struct pshm_sections {
	size_t page;		  /* bytes of a control page */
	struct peershm_slot *own; /* this client's, a page; NULL: not mapped */
	struct peershm_slot *all; /* every client's; NULL: not mapped */
	bool fence;
	struct peershm_reader *readers; /* all threads' */
	bool *taken;			/* by slot */

	struct {
		pthread_mutex_t lock;
		uint32_t current;
		uint32_t inside[SHARED]; /* threads */
	} shared;
};

static pthread_mutex_t control_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * A thread's readers are a page of their own, which reads zero in a child of
 * fork: the child's sections are none of its parent's.
 */
static __thread struct peershm_reader *mine;
static struct peershm_reader none = { .handle = (const struct peershm *)&none }; /* is nobody's */
PEERSHM_API __thread struct peershm_reader *peershm_reader_ = &none;

static pthread_key_t key;
static bool have_key; /* under the lock */

void pshm_control_lock(void)
{
	pthread_mutex_lock(&control_lock);
}

void pshm_control_unlock(void)
{
	pthread_mutex_unlock(&control_lock);
}

static void enter_slot(struct peershm_slot *slot)
{
	__atomic_store_n(&slot->inside, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* A */
}

static void leave_slot(struct peershm_slot *slot)
{
	__atomic_store_n(&slot->inside, 0, __ATOMIC_RELEASE); /* B */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	      /* C */
	if (__atomic_load_n(&slot->waiting, __ATOMIC_RELAXED))
		peershm_read_wake_(slot);
}

PEERSHM_API void peershm_read_wake_(struct peershm_slot *slot)
{
	uint32_t passed = __atomic_load_n(&slot->passed, __ATOMIC_RELAXED);
	int err = errno;

	__atomic_store_n(&slot->waiting, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->passed, passed + 1, __ATOMIC_RELEASE); /* B, D */
	syscall(SYS_futex, &slot->passed, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	errno = err;
}

/* With s->shared.lock held. */
static void enter_shared(struct pshm_sections *s, struct peershm_reader *reader)
{
	uint32_t *inside = s->shared.inside;
	uint32_t current = s->shared.current;

	if (__atomic_load_n(&s->own[1 + current].waiting, __ATOMIC_RELAXED) && !inside[!current])
		current = s->shared.current = !current;
	reader->number = current;
	if (!inside[current]++)
		enter_slot(&s->own[1 + current]);
}

static void leave_shared(struct pshm_sections *s, const struct peershm_reader *reader)
{
	if (!--s->shared.inside[reader->number])
		leave_slot(&s->own[1 + reader->number]);
}

/* The outermost section of a thread begins or ends. */
static void begin(struct pshm_sections *s, struct peershm_reader *reader)
{
	if (reader->slot) {
		enter_slot(reader->slot);
		return;
	}
	pthread_mutex_lock(&s->shared.lock);
	enter_shared(s, reader);
	pthread_mutex_unlock(&s->shared.lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* A, if another one entered the slot */
}

static void end(struct pshm_sections *s, struct peershm_reader *reader)
{
	if (reader->slot) {
		leave_slot(reader->slot);
		return;
	}
	pthread_mutex_lock(&s->shared.lock);
	leave_shared(s, reader);
	pthread_mutex_unlock(&s->shared.lock);
}

/* Whose reader was freed; not NULL, which a program may pass to the lock. */
#define NOBODY ((const struct peershm *)&none)

static const struct peershm *handle_of(const struct peershm_reader *reader)
{
	return __atomic_load_n(&reader->handle, __ATOMIC_RELAXED);
}

/* This thread's. */
static struct peershm_reader *find_reader(const struct peershm *handle)
{
	for (int i = 0; mine && i < READERS; i++) {
		if (handle_of(&mine[i]) == handle)
			return &mine[i];
	}
	return NULL;
}

static struct peershm_reader *find_free(void)
{
	struct peershm_reader *never_used = find_reader(NULL);

	return never_used ? never_used : find_reader(NOBODY);
}

/* With the lock held. */
static void unjoin(struct peershm_reader *reader)
{
	struct pshm_sections *s = reader->handle->sections;
	struct peershm_reader **link = &s->readers;

	if (reader->depth)
		end(s, reader);
	if (reader->slot)
		s->taken[reader->number] = false;
	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	__atomic_store_n(&reader->handle, NOBODY, __ATOMIC_RELAXED);
}

static void thread_ends(void *readers)
{
	struct peershm_reader *r = readers;

	pshm_control_lock();
	for (int i = 0; i < READERS; i++) {
		if (r[i].handle && r[i].handle != NOBODY)
			unjoin(&r[i]);
	}
	pshm_control_unlock();
	peershm_reader_ = &none;
	mine = NULL;
	munmap(readers, READERS * sizeof(*r));
}

/* A process that is out of keys may have one the next time. */
static int make_key(void)
{
	int err = 0;

	pshm_control_lock();
	if (!have_key)
		err = -pthread_key_create(&key, thread_ends);
	have_key = !err;
	pshm_control_unlock();
	return err;
}

static int make_mine(void)
{
	size_t size = READERS * sizeof(*mine);
	int err = make_key();
	void *map;

	if (err)
		return pshm_fail(err, NULL);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return pshm_fail(-ENOMEM, NULL);
	if (madvise(map, size, MADV_WIPEONFORK) || pthread_setspecific(key, map)) {
		munmap(map, size);
		return pshm_fail(-ENOMEM, NULL);
	}
	mine = map;
	return 0;
}

static inline size_t pshm_control_slots(const struct pshm_sections *s)
{
	return s->page / sizeof(struct peershm_slot);
}

/* The number of this client's entry in the header. */
static int own_entry(const struct peershm *handle, uint32_t *entry)
{
	struct peershm_header_client client;

	for (uint32_t i = 0;; i++) {
		int live = pshm_header_client(handle->header, handle->header_length, i, &client);

		if (live == -ENOENT)
			return pshm_fail(-ENOTCONN, "nothing of the window is mapped any more");
		if (live < 0)
			return pshm_fail(live, NULL);
		if (live && client.id == handle->client) {
			*entry = i;
			return 0;
		}
	}
}

static int make_sections(struct peershm *handle)
{
	struct peershm_header header;
	struct pshm_sections *s;
	int err;

	if (handle->sections)
		return 0;
	err = pshm_header_read(handle->header, handle->header_length, &header);
	if (err)
		return pshm_fail(err, NULL);
	s = pshm_alloc(sizeof(*s));
	if (!s)
		return pshm_fail(-ENOMEM, NULL);
	s->page = handle->control_length / (1 + (size_t)header.max_clients);
	s->taken = pshm_alloc(pshm_control_slots(s) * sizeof(*s->taken));
	if (!s->taken || pshm_control_slots(s) <= FIRST) {
		err = s->taken ? -EIO : -ENOMEM;
		free(s->taken);
		free(s);
		return pshm_fail(err, NULL);
	}
	pthread_mutex_init(&s->shared.lock, NULL);
	handle->sections = s;
	return 0;
}

static int map_own_failed(int err, const struct peershm *handle)
{
	if (err == -EACCES && handle->read_only)
		return pshm_fail(err,
				 "%s could be opened for reading alone: this process cannot "
				 "tell the others where it reads",
				 PEERSHM_DEVICE);
	return pshm_fail(err, NULL);
}

int pshm_control_map_own(struct peershm *handle)
{
	struct pshm_sections *s;
	struct mode *mode;
	uint32_t entry = 0;
	void *map;
	int err;

	err = make_sections(handle);
	s = handle->sections;
	if (err || s->own)
		return err;
	err = own_entry(handle, &entry);
	if (err)
		return err;
	err = pshm_device_map_control(handle->fd, (1 + (uint64_t)entry) * s->page, s->page, true,
				      &map);
	if (err)
		return map_own_failed(err, handle);
	s->fence = pshm_membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) != 0;
	mode = map;
	__atomic_store_n(&mode->mode, s->fence ? MODE_FENCE : MODE_BARRIER, __ATOMIC_RELAXED);
	s->own = map;
	return 0;
}

/* With the lock held. */
static void take_slot(struct pshm_sections *s, struct peershm_reader *reader)
{
	reader->slot = NULL;
	for (uint32_t i = FIRST; i < pshm_control_slots(s); i++) {
		if (s->taken[i])
			continue;
		s->taken[i] = true;
		reader->number = i;
		reader->slot = &s->own[i];
		return;
	}
}

/* This thread's first section on the handle. */
static int join(struct peershm *handle, struct peershm_reader **joined)
{
	struct peershm_reader *reader;
	int err = pshm_handle_check_window(handle);

	if (!err && !mine)
		err = make_mine();
	if (err)
		return err;
	reader = find_free();
	if (!reader)
		return pshm_fail(-ENOSPC, "this thread reads in %d regions already", READERS);

	pshm_control_lock();
	err = pshm_control_map_own(handle);
	if (!err) {
		struct pshm_sections *s = handle->sections;

		take_slot(s, reader);
		reader->depth = 0;
		reader->next = s->readers;
		s->readers = reader;
		__atomic_store_n(&reader->handle, handle, __ATOMIC_RELAXED);
		*joined = reader;
	}
	pshm_control_unlock();
	/* Attached and `mode` stored, then the loads of the first section. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return err;
}

PEERSHM_API int peershm_read_enter_(struct peershm *handle)
{
	struct peershm_reader *reader;
	int err = pshm_handle_check(handle);

	if (err)
		return err;
	reader = find_reader(handle);
	if (!reader)
		err = join(handle, &reader);
	if (err || !reader)
		return err;
	/* What is inlined is for threads with a slot and without fences alone. */
	peershm_reader_ = reader->slot && !handle->sections->fence ? reader : &none;
	if (!reader->depth++)
		begin(handle->sections, reader);
	return 0;
}

PEERSHM_API void peershm_read_exit_(struct peershm *handle)
{
	struct peershm_reader *reader = handle ? find_reader(handle) : NULL;

	/* Also in a child of fork, where there is none. */
	if (!reader || !reader->depth)
		return;
	if (!--reader->depth)
		end(handle->sections, reader);
}

void pshm_control_close(struct peershm *handle)
{
	struct pshm_sections *s = handle->sections;

	handle->sections = NULL;
	/* The pages are the parent's in a child of fork. */
	if (handle->epoch == pshm_process_epoch()) {
		pshm_device_unmap_control(s->own, s->page);
		pshm_device_unmap_control(s->all, handle->control_length);
	}
	free(s->taken);
	free(s);
}

void pshm_reader_close(struct peershm *handle)
{
	struct pshm_sections *s = handle->sections;

	if (!s)
		return;
	/* The readers are the parent's in a child of fork. */
	if (handle->epoch == pshm_process_epoch()) {
		pshm_control_lock();
		for (struct peershm_reader *r = s->readers; r; r = r->next)
			__atomic_store_n(&r->handle, NOBODY, __ATOMIC_RELAXED);
		pshm_control_unlock();
	}
	pshm_control_close(handle);
}

bool pshm_reader_inside(const struct peershm *handle)
{
	const struct peershm_reader *reader = find_reader(handle);

	return reader && reader->depth;
}

/* One call that waits. */
struct wait {
	struct peershm *handle;
	struct timespec end;
	uint32_t ms;
	bool fenced; /* no membarrier(): only for readers that have fences */
};

/* All of A and C: what was stored is seen before anything is loaded. */
static void barrier(struct wait *wait)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!wait->fenced && pshm_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED))
		wait->fenced = true;
}

/* What is left, 0 after the deadline. */
static int64_t left_ns(const struct wait *wait)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (wait->end.tv_sec - now.tv_sec) * 1000000000LL + wait->end.tv_nsec - now.tv_nsec;
	return ns > 0 ? ns : 0;
}

/* As if woken, if it says anything but that: the caller looks again. */
static void sleep_on(uint32_t *passed, uint32_t was, int64_t ns)
{
	struct timespec timeout = { .tv_nsec = ns };

	syscall(SYS_futex, passed, FUTEX_WAIT, was, &timeout, NULL, 0);
}

/* Give 1 if entry `index` still is that client's, 0 if it is not. */
static int still_there(const struct wait *wait, uint32_t index, uint64_t id)
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
			 client->name, client->pid, wait->ms);
}

/* Until the section that `slot` is in has ended, or its client is gone. */
static int wait_for_slot(struct wait *wait, uint32_t index,
			 const struct peershm_header_client *client, struct peershm_slot *slot,
			 uint32_t was)
{
	int64_t left;
	int there;

	for (;;) {
		__atomic_store_n(&slot->waiting, 1, __ATOMIC_RELAXED);
		barrier(wait);						       /* C */
		if (__atomic_load_n(&slot->passed, __ATOMIC_ACQUIRE) != was || /* B, D */
		    !__atomic_load_n(&slot->inside, __ATOMIC_ACQUIRE))	       /* B */
			return 0;
		there = still_there(wait, index, client->id);
		if (there <= 0)
			return there ? pshm_fail(there, NULL) : 0;
		left = left_ns(wait);
		if (!left)
			return timed_out(wait, client);
		sleep_on(&slot->passed, was,
			 left < POLL_MS * 1000000LL ? left : POLL_MS * 1000000LL);
	}
}

static int wait_for_client(struct wait *wait, uint32_t index,
			   const struct peershm_header_client *client)
{
	const struct pshm_sections *s = wait->handle->sections;
	struct peershm_slot *page = s->all + (1 + (size_t)index) * pshm_control_slots(s);
	const struct mode *mode = (const struct mode *)page;
	int err = 0;

	if (wait->fenced && __atomic_load_n(&mode->mode, __ATOMIC_RELAXED) == MODE_BARRIER)
		return pshm_fail(-ENOSYS,
				 "this process may not call membarrier(2), and client %s "
				 "relies on it",
				 client->name);
	for (size_t i = 1; !err && i < pshm_control_slots(s); i++) {
		uint32_t was = __atomic_load_n(&page[i].passed, __ATOMIC_ACQUIRE); /* D */

		if (__atomic_load_n(&page[i].inside, __ATOMIC_ACQUIRE)) /* B */
			err = wait_for_slot(wait, index, client, &page[i], was);
	}
	return err;
}

static int wait_for_all(struct wait *wait)
{
	struct peershm_header_client client;

	barrier(wait); /* A */
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

int pshm_control_map_all(struct peershm *handle)
{
	struct pshm_sections *s;
	void *map;
	int err;

	pshm_control_lock();
	err = make_sections(handle);
	s = handle->sections;
	if (!err && !s->all) {
		err = pshm_device_map_control(handle->fd, 0, handle->control_length, true, &map);
		if (err)
			pshm_fail(err, NULL);
		else
			s->all = map;
	}
	pshm_control_unlock();
	return err;
}

int pshm_grace_wait(struct peershm *handle, uint32_t timeout_ms)
{
	struct wait wait = { .handle = handle, .ms = timeout_ms ? timeout_ms : DEFAULT_MS };
	int err;

	if (pshm_reader_inside(handle))
		return pshm_fail(-EDEADLK, NULL);
	err = pshm_control_map_all(handle);
	if (err)
		return err;
	clock_gettime(CLOCK_MONOTONIC, &wait.end);
	wait.end.tv_sec += wait.ms / 1000;
	wait.end.tv_nsec += wait.ms % 1000 * 1000000L;
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
