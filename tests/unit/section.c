/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read sections, waiting for their end, and shrinking after that. */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "fake_device.h"

#define GIB (1ULL << 30)
#define LONG_MS 20000 /* a timeout that must not expire */
#define SHORT_MS 30   /* a timeout that must expire */
#define ROUNDS 2000
/* On a busy machine, where each round waits for several threads to get a CPU. */
#define BUSY_ROUNDS 200
#define BUSY_MS 2000
#define FIRST 3 /* the first slot of a page that one thread has alone */
#define SLOTS (FAKE_PAGE / sizeof(struct peershm_slot) - FIRST)
#define THREADS (SLOTS + 39)

static struct peershm *client;

static int setup(void **state)
{
	struct peershm_options options = { .capacity = GIB, .size = 65536 };

	fake_setup(state);
	return peershm_open(&client, "routes", "bgpd", PEERSHM_CREATE, &options);
}

static int teardown(void **state)
{
	peershm_close(client);
	return fake_teardown(state);
}

#define CLIENT_CASE(name) CASE_WITH(name, setup, teardown)

/* The control page of entry i. Its first cache line is not a slot. */
static struct peershm_slot *page_of(int i)
{
	return (struct peershm_slot *)(fake.regions[0].control + (1 + i) * FAKE_PAGE);
}

static uint32_t inside(const struct peershm_slot *slot)
{
	return __atomic_load_n(&slot->inside, __ATOMIC_ACQUIRE);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Add a second client to the header, which is not this process. */
static struct peershm_slot *add_stranger(void)
{
	fake.regions[0].clients[1] = 77;
	fake_publish(&fake.regions[0]);
	return page_of(1);
}

CLIENT_CASE(a_section_is_seen_in_the_clients_own_page)
{
	struct peershm_slot *slot = page_of(0) + FIRST;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(peershm_read_lock(client), 0);
		assert_int_equal(inside(slot), 1);
		assert_int_equal(peershm_read_lock(client), 0);
		peershm_read_unlock(client);
		assert_int_equal(inside(slot), 1);
		peershm_read_unlock(client);
		assert_int_equal(inside(slot), 0);
	}
	peershm_read_unlock(client); /* an unlock without a lock does no harm */
	assert_int_equal(peershm_read_lock(client), 0);
	assert_int_equal(inside(slot), 1);
	peershm_read_unlock(client);
}

CLIENT_CASE(waiting_for_nobody_does_not_wait)
{
	uint64_t start = now_ms();

	add_stranger();
	for (int i = 0; i < 100; i++)
		assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
	assert_true(now_ms() - start < LONG_MS);
}

CLIENT_CASE(waiting_inside_a_section_is_edeadlk)
{
	assert_int_equal(peershm_read_lock(client), 0);
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -EDEADLK);
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), -EDEADLK);
	assert_int_equal(peershm_size(client), 65536);
	peershm_read_unlock(client);
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
}

/* A thread that stays inside a section until guest_leaves(). */
struct guest {
	pthread_t thread;
	sem_t is_in, go;
	int err;
	bool leave_by_ending;
};

static void *stay(void *arg)
{
	struct guest *guest = arg;

	guest->err = peershm_read_lock(client);
	sem_post(&guest->is_in);
	while (sem_wait(&guest->go))
		;
	if (!guest->err && !guest->leave_by_ending)
		peershm_read_unlock(client);
	return NULL;
}

static void guest_comes(struct guest *guest)
{
	sem_init(&guest->is_in, 0, 0);
	sem_init(&guest->go, 0, 0);
	assert_int_equal(pthread_create(&guest->thread, NULL, stay, guest), 0);
	while (sem_wait(&guest->is_in))
		;
	assert_int_equal(guest->err, 0);
}

static void guest_leaves(struct guest *guest)
{
	sem_post(&guest->go);
	assert_int_equal(pthread_join(guest->thread, NULL), 0);
}

CLIENT_CASE(a_section_that_stays_is_etimedout_and_named)
{
	struct guest guest = { .err = 0 };

	guest_comes(&guest);
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ETIMEDOUT);
	assert_contains(peershm_strerror(ETIMEDOUT), "client someone, PID 4242, has been");
	guest_leaves(&guest);
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
}

/* The header's PIDs are those of another PID namespace. */
CLIENT_CASE(a_section_of_a_client_without_a_pid_here_is_named_without_one)
{
	struct guest guest = { .err = 0 };

	guest_comes(&guest);
	fake.pid = 0;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ETIMEDOUT);
	assert_contains(peershm_strerror(ETIMEDOUT), "client someone has been");
	/* The name is another client's by now. */
	fake.pid = 4242;
	fake.last_client++;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ETIMEDOUT);
	assert_contains(peershm_strerror(ETIMEDOUT), "client someone has been");
	guest_leaves(&guest);
}

static void *leave_soon(void *arg)
{
	struct guest *guest = arg;

	nanosleep(&(struct timespec){ .tv_nsec = SHORT_MS * 1000000 }, NULL);
	sem_post(&guest->go);
	return NULL;
}

CLIENT_CASE(the_end_of_a_section_wakes_who_waits)
{
	struct guest guest = { .err = 0 };
	pthread_t thread;

	guest_comes(&guest);
	pthread_create(&thread, NULL, leave_soon, &guest);
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
	assert_int_equal(page_of(0)[FIRST].inside, 0);
	pthread_join(thread, NULL);
	guest_leaves(&guest);
}

CLIENT_CASE(a_thread_that_ends_in_a_section_has_left_it)
{
	struct guest guest = { .leave_by_ending = true };

	guest_comes(&guest);
	assert_int_equal(page_of(0)[FIRST].inside, 1);
	guest_leaves(&guest);
	assert_int_equal(page_of(0)[FIRST].inside, 0);
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
}

CLIENT_CASE(a_slot_is_given_to_the_next_thread)
{
	for (size_t i = 0; i < 3 * THREADS; i++) {
		struct guest guest = { .err = 0 };

		guest_comes(&guest);
		assert_int_equal(page_of(0)[FIRST].inside, 1);
		guest_leaves(&guest);
	}
}

CLIENT_CASE(threads_beyond_the_slots_are_waited_for_too)
{
	struct guest *guests = calloc(THREADS, sizeof(*guests));

	assert_non_null(guests);
	for (size_t i = 0; i < THREADS; i++)
		guest_comes(&guests[i]);
	for (size_t i = 0; i < SLOTS; i++)
		guest_leaves(&guests[i]);
	/* From here on, only threads that share a slot are in a section. */
	for (size_t i = SLOTS; i < THREADS; i++) {
		assert_int_equal(peershm_synchronize(client, 1), -ETIMEDOUT);
		guest_leaves(&guests[i]);
	}
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
	free(guests);
}

/*
 * Two cells take turns at being published. A reader inside a section must find the
 * published cell whole. The writer publishes the other cell, waits for a grace period
 * and breaks the old cell, which it makes whole again before it publishes it.
 */
struct cells {
	uint32_t published;
	uint32_t whole[2];
	uint32_t end;
	uint32_t broken;  /* a reader saw a broken cell */
	uint32_t readers; /* that have started */
	uint64_t sections;
};

static void read_cells(struct cells *cells)
{
	uint64_t sections = 0;

	__atomic_fetch_add(&cells->readers, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&cells->end, __ATOMIC_RELAXED)) {
		if (peershm_read_lock(client)) {
			__atomic_store_n(&cells->broken, 1, __ATOMIC_RELAXED);
			break;
		}
		uint32_t which = __atomic_load_n(&cells->published, __ATOMIC_ACQUIRE);

		if (sections % 1024 == 0)
			sched_yield(); /* like a thread that is preempted inside a section */
		if (!__atomic_load_n(&cells->whole[which], __ATOMIC_RELAXED))
			__atomic_store_n(&cells->broken, 1, __ATOMIC_RELAXED);
		peershm_read_unlock(client);
		sections++;
	}
	__atomic_fetch_add(&cells->sections, sections, __ATOMIC_RELAXED);
}

static void *read_cells_in_thread(void *cells)
{
	read_cells(cells);
	return NULL;
}

static void take_turns(struct cells *cells, uint32_t readers)
{
	uint64_t start = now_ms();

	while (__atomic_load_n(&cells->readers, __ATOMIC_RELAXED) < readers)
		sched_yield();
	for (uint32_t i = 0; i < ROUNDS && (i < BUSY_ROUNDS || now_ms() - start < BUSY_MS); i++) {
		uint32_t old = cells->published;

		__atomic_store_n(&cells->whole[!old], 1, __ATOMIC_RELAXED);
		__atomic_store_n(&cells->published, !old, __ATOMIC_RELEASE);
		assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
		__atomic_store_n(&cells->whole[old], 0, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&cells->end, 1, __ATOMIC_RELAXED);
}

CLIENT_CASE(threads_in_and_out_hold_nobody_up_and_are_never_cut_off)
{
	struct cells cells = { .whole = { 1, 1 } };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, read_cells_in_thread, &cells);
	take_turns(&cells, 4);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(cells.broken, 0);
	assert_true(cells.sections > 0);
}

CLIENT_CASE(threads_that_share_a_slot_come_to_an_end)
{
	struct guest *guests = calloc(SLOTS, sizeof(*guests));
	struct cells cells = { .whole = { 1, 1 } };
	pthread_t threads[4];

	assert_non_null(guests);
	/* Threads that are outside a section have all slots but the shared ones. */
	for (size_t i = 0; i < SLOTS; i++)
		guest_comes(&guests[i]);
	for (size_t i = FIRST; i < FIRST + SLOTS; i++)
		__atomic_store_n(&page_of(0)[i].inside, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, read_cells_in_thread, &cells);
	take_turns(&cells, 4);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < SLOTS; i++)
		guest_leaves(&guests[i]);
	free(guests);
	assert_int_equal(cells.broken, 0);
	assert_true(cells.sections > 0);
}

/* The stranger as a process of its own, with a reader that the test makes itself. */
static void be_the_stranger(struct cells *cells, struct peershm_slot *page)
{
	struct peershm_reader reader = { .handle = client, .slot = &page[FIRST], .depth = 1 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pshm_kernel.membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
	peershm_reader_ = &reader;
	read_cells(cells);
	_exit(0);
}

static struct cells *cells_shared(void)
{
	struct cells *cells = mmap(NULL, sizeof(*cells), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(cells, MAP_FAILED);
	cells->whole[0] = 1;
	cells->whole[1] = 1;
	return cells;
}

static pid_t start_stranger(struct cells *cells)
{
	struct peershm_slot *page = add_stranger();
	pid_t pid;

	madvise(fake.regions[0].control, FAKE_CONTROL_LENGTH, MADV_DOFORK);
	pid = fork();
	if (!pid)
		be_the_stranger(cells, page);
	assert_true(pid > 0);
	return pid;
}

CLIENT_CASE(another_process_is_never_cut_off)
{
	struct cells *cells = cells_shared();
	pid_t pid = start_stranger(cells);
	int status;

	take_turns(cells, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(cells->broken, 0);
	assert_true(cells->sections > 0);
	munmap(cells, sizeof(*cells));
}

CLIENT_CASE(a_stopped_process_times_out_until_it_goes_on)
{
	struct cells *cells = cells_shared();
	pid_t pid = start_stranger(cells);
	struct peershm_slot *slot = page_of(1) + FIRST;
	int status;

	/* Repeat until it is inside a section when it stops. */
	for (;;) {
		kill(pid, SIGSTOP);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		if (inside(slot))
			break;
		kill(pid, SIGCONT);
		sched_yield();
	}
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(peershm_size(client), 65536);
	kill(pid, SIGCONT);
	assert_int_equal(peershm_shrink(client, 4096, LONG_MS), 0);
	assert_int_equal(peershm_size(client), 4096);
	__atomic_store_n(&cells->end, 1, __ATOMIC_RELAXED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(cells->broken, 0);
	munmap(cells, sizeof(*cells));
}

static void *stranger_is_dropped(void *arg)
{
	(void)arg;
	nanosleep(&(struct timespec){ .tv_nsec = SHORT_MS * 1000000 }, NULL);
	fake.regions[0].clients[1] = 0;
	fake_publish(&fake.regions[0]);
	return NULL;
}

CLIENT_CASE(a_client_that_dies_inside_is_not_waited_for)
{
	struct peershm_slot *page = add_stranger();
	pthread_t thread;

	page[FIRST + 1].inside = 1;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ETIMEDOUT);
	pthread_create(&thread, NULL, stranger_is_dropped, NULL);
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
	pthread_join(thread, NULL);
}

CLIENT_CASE(garbage_in_control_pages_times_out_and_no_more)
{
	unsigned int seed = 7;

	add_stranger();
	assert_int_equal(peershm_read_lock(client), 0);
	peershm_read_unlock(client);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < FAKE_CONTROL_LENGTH; i++)
			fake.regions[0].control[i] = (char)(seed = seed * 1103515245 + 12345);
		assert_int_equal(peershm_shrink(client, 4096, 2), -ETIMEDOUT);
		assert_int_equal(peershm_size(client), 65536);
		assert_int_equal(peershm_read_lock(client), 0);
		peershm_read_unlock(client);
	}
	memset(page_of(0), 0, FAKE_PAGE);
	memset(page_of(1), 0, FAKE_PAGE);
	assert_int_equal(peershm_shrink(client, 4096, LONG_MS), 0);
}

CLIENT_CASE(without_membarrier_readers_have_fences)
{
	struct cells cells = { .whole = { 1, 1 } };
	struct peershm_slot *slot = page_of(0) + FIRST;
	pthread_t thread;

	fake.no_membarrier = ENOSYS;
	pthread_create(&thread, NULL, read_cells_in_thread, &cells);
	take_turns(&cells, 1);
	pthread_join(thread, NULL);
	assert_int_equal(cells.broken, 0);
	assert_int_equal(peershm_read_lock(client), 0);
	assert_int_equal(inside(slot), 1);
	assert_ptr_equal(peershm_reader_->slot, NULL); /* so the inlined lock is not used */
	peershm_read_unlock(client);
	assert_int_equal(inside(slot), 0);
}

CLIENT_CASE(without_membarrier_others_that_rely_on_it_are_enosys)
{
	uint32_t *mode = (uint32_t *)add_stranger();

	fake.no_membarrier = ENOSYS;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), 0);
	*mode = 1;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ENOSYS);
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), -ENOSYS);
	assert_contains(peershm_strerror(ENOSYS), "someone");
	assert_int_equal(peershm_size(client), 65536);
	*mode = 2;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), 0);
	*mode = 1;
	fake.no_membarrier = 0;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), 0);
}

/* It is forbidden with any errno, but the kernel's own is for a lack of memory. */
CLIENT_CASE(membarrier_without_memory_is_enomem_and_not_forbidden)
{
	*(uint32_t *)add_stranger() = 1;
	fake.no_membarrier = EPERM;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ENOSYS);
	fake.no_membarrier = ENOMEM;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -ENOMEM);
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), -ENOMEM);
	assert_contains(peershm_strerror(ENOMEM), "out of memory");
	assert_int_equal(peershm_header(client)->watermark, 65536);
	fake.no_membarrier = 0;
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), 0);
}

CLIENT_CASE(two_regions_have_sections_of_their_own)
{
	struct peershm_options options = { .capacity = GIB };
	struct peershm *other = NULL;
	struct peershm_slot *slot;

	assert_int_equal(peershm_open(&other, "other", "bgpd", PEERSHM_CREATE, &options), 0);
	slot = (struct peershm_slot *)(fake.regions[1].control + FAKE_PAGE) + FIRST;
	assert_int_equal(peershm_read_lock(client), 0);
	assert_int_equal(peershm_read_lock(other), 0);
	assert_int_equal(peershm_synchronize(other, SHORT_MS), -EDEADLK);
	peershm_read_unlock(client);
	assert_int_equal(page_of(0)[FIRST].inside, 0);
	assert_int_equal(inside(slot), 1);
	assert_int_equal(peershm_synchronize(client, LONG_MS), 0);
	peershm_close(other);
	assert_int_equal(peershm_read_lock(client), 0);
	assert_int_equal(page_of(0)[FIRST].inside, 1);
	peershm_read_unlock(client);
}

CLIENT_CASE(a_region_opened_again_has_new_sections)
{
	for (int i = 0; i < 5; i++) {
		assert_int_equal(peershm_read_lock(client), 0);
		assert_int_equal(page_of(0)[FIRST].inside, 1);
		peershm_close(client); /* inside the section */
		client = NULL;
		assert_int_equal(peershm_open(&client, "routes", "bgpd", 0, NULL), 0);
		assert_int_equal(page_of(0)[FIRST].inside, 0);
	}
}

CLIENT_CASE(who_may_not_write_the_device_has_no_sections)
{
	struct peershm *reader = NULL;

	peershm_close(client);
	client = NULL;
	assert_int_equal(peershm_open(&reader, "routes", "reader", PEERSHM_READ_ONLY, NULL), 0);
	assert_int_equal(peershm_read_lock(reader), 0);
	peershm_read_unlock(reader);
	assert_int_equal(peershm_synchronize(reader, SHORT_MS), -EACCES);
	assert_int_equal(peershm_shrink(reader, 4096, SHORT_MS), -EACCES);
	peershm_close(reader);

	fake.fail_at =
		fake.steps + 2; /* the open for reading and writing; one for reading follows */
	fake.fail_with = EACCES;
	assert_int_equal(peershm_open(&reader, "routes", "reader", PEERSHM_READ_ONLY, NULL), 0);
	assert_int_equal(peershm_read_lock(reader), -EACCES);
	assert_contains(peershm_strerror(EACCES), "reading only");
	peershm_close(reader);
}

CLIENT_CASE(without_window_there_are_no_sections)
{
	struct peershm *administrator = NULL;

	assert_int_equal(peershm_open(&administrator, "routes", NULL, 0, NULL), 0);
	assert_int_equal(peershm_read_lock(administrator), -ENOTCONN);
	assert_int_equal(peershm_synchronize(administrator, SHORT_MS), -ENOTCONN);
	assert_int_equal(peershm_shrink(administrator, 4096, SHORT_MS), -ENOTCONN);
	assert_int_equal(peershm_shrink_force(administrator, 4096), 0);
	peershm_close(administrator);
	assert_int_equal(peershm_read_lock(NULL), -EINVAL);
}

CLIENT_CASE(a_client_that_the_header_has_lost_has_no_sections)
{
	uint64_t id = fake.regions[0].clients[0];

	fake.regions[0].clients[0] = 0;
	fake_publish(&fake.regions[0]);
	assert_int_equal(peershm_read_lock(client), -ENOTCONN);
	assert_contains(peershm_strerror(ENOTCONN), "no part of the window");
	fake.regions[0].clients[0] = id;
	fake_publish(&fake.regions[0]);
	assert_int_equal(peershm_read_lock(client), 0);
	peershm_read_unlock(client);
}

/* Whenever the library reads it: in the first section or wait, and in later ones. */
CLIENT_CASE(a_header_that_makes_no_sense_is_eio)
{
	struct peershm_header *header = fake.regions[0].header;

	header->magic++;
	assert_int_equal(peershm_read_lock(client), -EIO);
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -EIO);
	header->magic--;
	assert_int_equal(peershm_synchronize(client, SHORT_MS), 0);
	header->magic++;
	assert_int_equal(peershm_read_lock(client), -EIO);
	assert_int_equal(peershm_synchronize(client, SHORT_MS), -EIO);
	header->magic--;
	assert_int_equal(peershm_read_lock(client), 0);
	peershm_read_unlock(client);
}

CLIENT_CASE(shrink_announces_waits_and_revokes)
{
	assert_int_equal(peershm_shrink(client, 4097, LONG_MS), 0);
	assert_int_equal(fake.nr_shrinks, 2);
	assert_int_equal(fake.shrinks[0], PEERSHM_SHRINK_ANNOUNCE);
	assert_int_equal(fake.shrinks[1], PEERSHM_SHRINK_ANNOUNCED);
	assert_int_equal(fake.last_shrink.new_size, 8192);
	/* For pinned memory it waits as long as is left. */
	assert_in_range(fake.last_shrink.timeout_ms, 1, LONG_MS);
	assert_int_equal(peershm_size(client), 8192);
	assert_int_equal(peershm_shrink(client, 8192, LONG_MS), 0);
	assert_int_equal(peershm_shrink(client, 8193, LONG_MS), -EINVAL);
}

CLIENT_CASE(shrink_withdraws_what_it_could_not_do)
{
	struct guest guest = { .err = 0 };

	guest_comes(&guest);
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(fake.nr_shrinks, 2);
	assert_int_equal(fake.shrinks[1], PEERSHM_SHRINK_CANCEL);
	assert_int_equal(peershm_header(client)->watermark, 65536);
	assert_int_equal(peershm_size(client), 65536);
	assert_int_equal(peershm_shrink_force(client, 4096), 0);
	assert_int_equal(fake.shrinks[2], PEERSHM_SHRINK_FORCE);
	assert_int_equal(peershm_size(client), 4096);
	guest_leaves(&guest);
}

static void somebody_grows(unsigned long command)
{
	if (command == PEERSHM_IOC_SHRINK && fake.nr_shrinks == 1)
		fake_publish(&fake.regions[0]); /* which withdraws the announcement */
}

CLIENT_CASE(a_grow_meanwhile_is_ecanceled)
{
	fake.before = somebody_grows;
	assert_int_equal(peershm_shrink(client, 4096, LONG_MS), -ECANCELED);
	assert_int_equal(fake.nr_shrinks, 2);
	assert_int_equal(peershm_size(client), 65536);
	fake.before = NULL;
}

static void another_thread_announces(unsigned long command)
{
	if (command == PEERSHM_IOC_SHRINK && fake.nr_shrinks == 1)
		fake_announce(&fake.regions[0], 8192);
}

CLIENT_CASE(who_gives_up_leaves_what_another_thread_announced)
{
	struct guest guest = { .err = 0 };

	guest_comes(&guest);
	fake.before = another_thread_announces;
	assert_int_equal(peershm_shrink(client, 4096, SHORT_MS), -ETIMEDOUT);
	assert_int_equal(fake.shrinks[1], PEERSHM_SHRINK_CANCEL);
	assert_int_equal(peershm_header(client)->watermark, 8192);
	fake.before = NULL;
	guest_leaves(&guest);
}

struct shrinker {
	pthread_t thread;
	int err;
};

static void *shrink_in_thread(void *arg)
{
	((struct shrinker *)arg)->err = peershm_shrink(client, 4096, LONG_MS);
	return NULL;
}

/* Returns when it has announced, and waits for the slot. */
static void shrink_begins(struct shrinker *shrinker, const struct peershm_slot *slot)
{
	assert_int_equal(pthread_create(&shrinker->thread, NULL, shrink_in_thread, shrinker), 0);
	while (!__atomic_load_n(&slot->waiting, __ATOMIC_ACQUIRE))
		sched_yield();
	assert_int_equal(peershm_header(client)->watermark, 4096);
}

static int shrink_ends(struct shrinker *shrinker)
{
	assert_int_equal(pthread_join(shrinker->thread, NULL), 0);
	return shrinker->err;
}

/*
 * This thread has the first slot, and the guest the second. The first to shrink has seen this
 * thread outside of a section, and must not take the memory for the second who shrinks.
 */
CLIENT_CASE(two_threads_that_shrink_wait_for_readers_each)
{
	struct peershm_slot *mine = page_of(0) + FIRST;
	struct guest guest = { .err = 0 };
	struct shrinker first, second;

	assert_int_equal(peershm_read_lock(client), 0);
	peershm_read_unlock(client);
	guest_comes(&guest);
	shrink_begins(&first, mine + 1);
	fake_publish(&fake.regions[0]); /* somebody grows, which withdraws the announcement */
	assert_int_equal(peershm_read_lock(client), 0);
	shrink_begins(&second, mine);
	guest_leaves(&guest);
	assert_int_equal(shrink_ends(&first), -ECANCELED);
	assert_int_equal(peershm_size(client), 65536);
	peershm_read_unlock(client);
	assert_int_equal(shrink_ends(&second), 0);
	assert_int_equal(peershm_size(client), 4096);
}
