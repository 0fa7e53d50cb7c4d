/* SPDX-License-Identifier: GPL-2.0-only */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "waited.h"

#define NAP_NS 1000000
#define SCHEDSTAT "/proc/thread-self/schedstat"

static pthread_t sleeper;
static bool stop = true;
static cpu_set_t cpus_before;

/* Written by the sleeper: how many naps it has had, and how late it woke up from the worst. */
static unsigned int naps;
static uint64_t worst_ns;

/*
 * The second number is how long the thread was ready to run but did not; without it, each wait
 * for a processor would look like sleep. A kernel may be built without these numbers or have
 * them switched off: then the first one, how long it ran, is 0 as well.
 */
static uint64_t queued_ns(void)
{
	static __thread int fd = -1;
	unsigned long long running = 0, queued = 0;
	char text[96];
	ssize_t n;

	if (fd < 0)
		fd = open(SCHEDSTAT, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip_because(SCHEDSTAT ": %s", strerror(errno));
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(sscanf(text, "%llu %llu", &running, &queued), 2);
	if (!running)
		skip_because(SCHEDSTAT " counts nothing");
	return queued;
}

static int64_t slept_ns(void)
{
	uint64_t queued = queued_ns();
	struct timespec cpu;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	return (int64_t)(now_ns() - queued) - cpu.tv_sec * 1000000000LL - cpu.tv_nsec;
}

struct waiting waiting_start(void)
{
	return (struct waiting){ .slept_ns = slept_ns() };
}

/* The clocks are not read at the same moment, so the difference may be just below zero. */
uint64_t waiting_ns(struct waiting since)
{
	int64_t ns = slept_ns() - since.slept_ns;

	return ns > 0 ? (uint64_t)ns : 0;
}

/*
 * A sleeper is also late by the time it waits to run, and by the time it runs. When the host
 * takes a processor away, that looks like either of these, or like an interrupt, for which no
 * thread is charged.
 */
static void *nap(void *arg)
{
	const struct timespec length = { .tv_nsec = NAP_NS };
	uint64_t before = now_ns();

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t now, took;

		nanosleep(&length, NULL);
		now = now_ns();
		took = now - before;
		if (took > NAP_NS && took - NAP_NS > __atomic_load_n(&worst_ns, __ATOMIC_RELAXED))
			__atomic_store_n(&worst_ns, took - NAP_NS, __ATOMIC_RELAXED);
		__atomic_add_fetch(&naps, 1, __ATOMIC_RELEASE);
		before = now;
	}
	return NULL;
}

static void lateness_end(void *arg)
{
	(void)arg;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(sleeper, NULL);
	sched_setaffinity(0, sizeof(cpus_before), &cpus_before);
}

void lateness_start(void)
{
	cpu_set_t here;

	if (stop) {
		/* Both threads run on one processor, whose timers are then late for both. */
		assert_int_equal(sched_getaffinity(0, sizeof(cpus_before), &cpus_before), 0);
		CPU_ZERO(&here);
		CPU_SET(sched_getcpu(), &here);
		assert_int_equal(sched_setaffinity(0, sizeof(here), &here), 0);
		stop = false;
		assert_int_equal(pthread_create(&sleeper, NULL, nap, NULL), 0);
		test_cleanup(lateness_end, NULL);
	}
	lateness_ns();
}

/* The nap that has not ended yet counts, too. */
uint64_t lateness_ns(void)
{
	unsigned int had = __atomic_load_n(&naps, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&naps, __ATOMIC_ACQUIRE) == had)
		usleep(NAP_NS / 4000);
	return __atomic_exchange_n(&worst_ns, 0, __ATOMIC_RELAXED);
}
