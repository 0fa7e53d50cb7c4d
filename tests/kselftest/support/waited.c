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

/* Of naps, written by the sleeper: how many it had, and how late it woke up from the worst. */
static unsigned int naps;
static uint64_t worst_ns;

/*
 * Ready to run, but not running: the second number. Without it, each wait for a processor
 * would pass for sleep. A kernel may be built without it, or have it switched off; the first
 * number is then 0, too: what it ran.
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

/* The clocks are not read at one moment, so there may be a little less than nothing. */
uint64_t waiting_ns(struct waiting since)
{
	int64_t ns = slept_ns() - since.slept_ns;

	return ns > 0 ? (uint64_t)ns : 0;
}

/*
 * Late is also what it waits to run, and what it runs: a processor that the host takes away
 * looks like one of these, or like an interrupt, which no thread is charged for.
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
		/* On one processor: its timers are late for both. */
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

/* The nap that goes on counts, too. */
uint64_t lateness_ns(void)
{
	unsigned int had = __atomic_load_n(&naps, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&naps, __ATOMIC_ACQUIRE) == had)
		usleep(NAP_NS / 4000);
	return __atomic_exchange_n(&worst_ns, 0, __ATOMIC_RELAXED);
}
