/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reading threads and their slots: entering and leaving read sections, where
 * peershm.h does not inline it. grace.c explains the protocol.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"

#define READERS_PER_THREAD 128 /* one for each region that the thread reads in */

/*
 * The readers of this thread, READERS_PER_THREAD of them, or NULL. They are in a
 * mapping of their own that reads zero in a child of fork (MADV_WIPEONFORK),
 * because the child is in none of its parent's sections.
 */
static __thread struct peershm_reader *thread_readers;
static struct peershm_reader nobodys_reader = {
	.handle = (const struct peershm *)&nobodys_reader, /* a value that no handle has */
};
PEERSHM_API __thread struct peershm_reader *peershm_reader_ = &nobodys_reader;

static pthread_key_t readers_key;
static bool have_readers_key; /* under the control lock */

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

/* The caller holds s->shared.lock. */
static void enter_shared(struct pshm_sections *s, struct peershm_reader *reader)
{
	uint32_t *inside = s->shared.inside;
	uint32_t current = s->shared.current;

	if (__atomic_load_n(&s->own_page[1 + current].waiting, __ATOMIC_RELAXED) &&
	    !inside[!current])
		current = s->shared.current = !current;
	reader->number = current;
	if (!inside[current]++)
		enter_slot(&s->own_page[1 + current]);
}

static void leave_shared(struct pshm_sections *s, const struct peershm_reader *reader)
{
	if (!--s->shared.inside[reader->number])
		leave_slot(&s->own_page[1 + reader->number]);
}

static bool inside_section(const struct peershm_reader *reader)
{
	return reader->depth > 1;
}

/* The outermost section of a thread begins. */
static void begin_section(struct pshm_sections *s, struct peershm_reader *reader)
{
	if (reader->slot) {
		enter_slot(reader->slot);
		return;
	}
	pthread_mutex_lock(&s->shared.lock);
	enter_shared(s, reader);
	pthread_mutex_unlock(&s->shared.lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* A, if another thread stored `inside` */
}

static void end_section(struct pshm_sections *s, struct peershm_reader *reader)
{
	if (reader->slot) {
		leave_slot(reader->slot);
		return;
	}
	pthread_mutex_lock(&s->shared.lock);
	leave_shared(s, reader);
	pthread_mutex_unlock(&s->shared.lock);
}

/*
 * The handle of a reader that was freed. Not NULL, because a program may pass NULL
 * to peershm_read_lock(), which must not find such a reader.
 */
#define NOBODY ((const struct peershm *)&nobodys_reader)

static const struct peershm *handle_of(const struct peershm_reader *reader)
{
	return __atomic_load_n(&reader->handle, __ATOMIC_RELAXED);
}

/* This thread's reader of the handle, or NULL. */
static struct peershm_reader *find_reader(const struct peershm *handle)
{
	for (int i = 0; thread_readers && i < READERS_PER_THREAD; i++) {
		if (handle_of(&thread_readers[i]) == handle)
			return &thread_readers[i];
	}
	return NULL;
}

static struct peershm_reader *find_free(void)
{
	struct peershm_reader *never_used = find_reader(NULL);

	return never_used ? never_used : find_reader(NOBODY);
}

/* The caller holds the control lock. */
static void remove_reader(struct peershm_reader *reader)
{
	struct pshm_sections *s = reader->handle->sections;
	struct peershm_reader **link = &s->readers;

	if (inside_section(reader))
		end_section(s, reader);
	if (reader->slot)
		s->slot_taken[reader->number] = false;
	while (*link != reader)
		link = &(*link)->next;
	*link = reader->next;
	__atomic_store_n(&reader->handle, NOBODY, __ATOMIC_RELAXED);
}

static void thread_ends(void *readers)
{
	struct peershm_reader *r = readers;

	pshm_control_lock();
	for (int i = 0; i < READERS_PER_THREAD; i++) {
		if (r[i].handle && r[i].handle != NOBODY)
			remove_reader(&r[i]);
	}
	pshm_control_unlock();
	peershm_reader_ = &nobodys_reader;
	thread_readers = NULL;
	munmap(readers, READERS_PER_THREAD * sizeof(*r));
}

/* Not pthread_once(): if there is no key left now, the next call tries again. */
static int make_readers_key(void)
{
	int err = 0;

	pshm_control_lock();
	if (!have_readers_key)
		err = -pthread_key_create(&readers_key, thread_ends);
	have_readers_key = !err;
	pshm_control_unlock();
	return err;
}

static int make_thread_readers(void)
{
	size_t size = READERS_PER_THREAD * sizeof(*thread_readers);
	int err = make_readers_key();
	void *map;

	if (err == -EAGAIN)
		return pshm_fail(err, "this process has as many keys for thread-specific data as "
				      "it may (PTHREAD_KEYS_MAX)");
	if (err)
		return pshm_fail(err, NULL);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return pshm_fail(-ENOMEM, NULL);
	if (madvise(map, size, MADV_WIPEONFORK) || pthread_setspecific(readers_key, map)) {
		munmap(map, size);
		return pshm_fail(-ENOMEM, NULL);
	}
	thread_readers = map;
	return 0;
}

/* Leaves reader->slot NULL if none is free. The caller holds the control lock. */
static void take_slot(struct pshm_sections *s, struct peershm_reader *reader)
{
	reader->slot = NULL;
	for (uint32_t i = FIRST_OWN_SLOT; i < pshm_control_slots(s); i++) {
		if (s->slot_taken[i])
			continue;
		s->slot_taken[i] = true;
		reader->number = i;
		reader->slot = &s->own_page[i];
		return;
	}
}

/* Before this thread's first section on the handle. */
static int add_reader(struct peershm *handle, struct peershm_reader **added)
{
	struct peershm_reader *reader;
	int err = pshm_handle_check_window(handle);

	if (!err && !thread_readers)
		err = make_thread_readers();
	if (err)
		return err;
	reader = find_free();
	if (!reader)
		return pshm_fail(-ENOSPC, "this thread reads in %d regions already",
				 READERS_PER_THREAD);

	pshm_control_lock();
	err = pshm_control_map_own(handle);
	if (!err) {
		struct pshm_sections *s = handle->sections;

		take_slot(s, reader);
		reader->depth = 1;
		reader->next = s->readers;
		s->readers = reader;
		__atomic_store_n(&reader->handle, handle, __ATOMIC_RELAXED);
		*added = reader;
	}
	pshm_control_unlock();
	/* ATTACH and the store to `mode` come before the loads of the first section. */
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
		err = add_reader(handle, &reader);
	if (err || !reader)
		return err;
	/* The inlined functions are only for threads that have a slot and need no fences. */
	peershm_reader_ = reader->slot && !handle->sections->uses_fences ? reader : &nobodys_reader;
	if (reader->depth++ == 1)
		begin_section(handle->sections, reader);
	return 0;
}

PEERSHM_API void peershm_read_exit_(struct peershm *handle)
{
	struct peershm_reader *reader = handle ? find_reader(handle) : NULL;

	/* No lock came before, or this is a child of fork, which has no readers. */
	if (!reader || !inside_section(reader))
		return;
	if (--reader->depth == 1)
		end_section(handle->sections, reader);
}

void pshm_reader_close(struct peershm *handle)
{
	struct pshm_sections *s = handle->sections;

	if (!s)
		return;
	/*
	 * Before the sections go, so that a thread that ends meanwhile finds no reader of a
	 * handle without sections. In a child of fork the readers are the parent's.
	 */
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

	return reader && inside_section(reader);
}
