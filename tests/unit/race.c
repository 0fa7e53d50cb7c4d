/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one thread does while another one is in the middle of a call. Each case has a process of
 * its own, because most happen once in a process.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "fake_device.h"

static struct peershm *open_region(const char *client)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };
	struct peershm *handle = NULL;

	peershm_open(&handle, "routes", client, PEERSHM_CREATE, &options);
	return handle;
}

/* A thread that says who it is. */
struct helper {
	pthread_t thread;
	sem_t told, go;
	pid_t tid;
	struct peershm *handle;
	bool read;
};

static void tell(struct helper *helper)
{
	helper->tid = gettid();
	sem_post(&helper->told);
}

static bool start(struct helper *helper, void *(*run)(void *helper))
{
	sem_init(&helper->told, 0, 0);
	sem_init(&helper->go, 0, 0);
	if (pthread_create(&helper->thread, NULL, run, helper))
		return false;
	while (sem_wait(&helper->told))
		;
	return true;
}

/* Wait until the thread sleeps. A thread that has told waits for a lock then. */
static bool falls_asleep(const struct helper *helper)
{
	char path[64], text[256], state = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", helper->tid);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		if (!file || !fgets(text, sizeof(text), file))
			return false;
		fclose(file);
		sscanf(strrchr(text, ')'), ") %c", &state);
	}
	return true;
}

static void *read_and_end(void *argument)
{
	struct helper *helper = argument;

	helper->read = !peershm_read_lock(helper->handle);
	peershm_read_unlock(helper->handle);
	tell(helper);
	while (sem_wait(&helper->go))
		;
	tell(helper);
	return NULL;
}

static void *close_handle(void *argument)
{
	struct helper *helper = argument;

	tell(helper);
	peershm_close(helper->handle);
	return NULL;
}

/* Both need the lock, and the thread that ends is the first to get it. */
static int close_while_a_reader_ends(struct peershm *none)
{
	struct helper reader = { .handle = open_region("bgpd") };
	struct helper closer = { .handle = reader.handle };

	(void)none;
	expect(start(&reader, read_and_end) && reader.read);
	pshm_control_lock();
	sem_post(&reader.go);
	while (sem_wait(&reader.told))
		;
	expect(falls_asleep(&reader));
	expect(start(&closer, close_handle));
	expect(falls_asleep(&closer));
	pshm_control_unlock();
	pthread_join(reader.thread, NULL);
	pthread_join(closer.thread, NULL);
	expect(!fake.open_files && !fake.header_maps && !fake.windows);
	return 0;
}

DEVICE_CASE(a_thread_that_has_read_ends_while_another_closes)
{
	assert_true(in_child(fork(), close_while_a_reader_ends, NULL));
}
