/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "deadline.h"
#include "harness.h"

#define MAX_CLEANUPS 512

static const char *current = "none";
static struct {
	void (*undo)(void *);
	void *arg;
} cleanups[MAX_CLEANUPS];
static size_t nr_cleanups;

const char *test_name(void)
{
	return current;
}

void test_cleanup(void (*undo)(void *), void *arg)
{
	assert_true(nr_cleanups < MAX_CLEANUPS);
	cleanups[nr_cleanups].undo = undo;
	cleanups[nr_cleanups].arg = arg;
	nr_cleanups++;
}

static void close_fd(void *fd)
{
	close((int)(intptr_t)fd);
}

void test_close(int fd)
{
	assert_true(fd >= 0);
	test_cleanup(close_fd, (void *)(intptr_t)fd);
}

int test_setup(void **state)
{
	current = param_of(state)->test;
	nr_cleanups = 0;
	test_goes_on();
	return 0;
}

int test_teardown(void **state)
{
	(void)state;
	alarm(0); /* a cleanup that hangs is killed, as no handler may end it */
	while (nr_cleanups > 0) {
		nr_cleanups--;
		cleanups[nr_cleanups].undo(cleanups[nr_cleanups].arg);
	}
	peers_end();
	regions_end();
	return 0;
}

int test_main(const struct CMUnitTest *tests, size_t n)
{
	int fd = device_open(O_RDWR);

	if (fd < 0) {
		printf("1..0 # SKIP %s: %s\n", PEERSHM_DEVICE, strerror(-fd));
		return 4;
	}
	close(fd);
	return run_with_deadlines(tests, n);
}

unsigned int test_scale(unsigned int n)
{
	const char *text = getenv("PEERSHM_TEST_SCALE");
	double scale = text ? strtod(text, NULL) : 1;
	double scaled = n * (scale > 0 ? scale : 1);

	return scaled < 1 ? 1 : scaled > 1e9 ? 1000000000 : (unsigned int)scaled;
}

bool kernel_before(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned int has[2];

	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%u.%u", &has[0], &has[1]), 2);
	return has[0] < major || (has[0] == major && has[1] < minor);
}

bool machine_is_arm64(void)
{
	struct utsname name;

	assert_int_equal(uname(&name), 0);
	return !strcmp(name.machine, "aarch64");
}

unsigned int test_seed(void)
{
	const char *text = getenv("PEERSHM_TEST_SEED");
	unsigned int seed;

	seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)now_ns();
	print_message("# PEERSHM_TEST_SEED=%u\n", seed);
	return seed;
}

uint32_t test_random(uint32_t *seed)
{
	uint32_t n = *seed += 0x9e3779b9;

	/* Callers take remainders, so the low bits must be as random as the others. */
	n = (n ^ n >> 16) * 0x7feb352d;
	n = (n ^ n >> 15) * 0x846ca68b;
	return n ^ n >> 16;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

bool test_until(bool (*condition)(void *), void *arg, unsigned int ms)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t end = now_ms() + ms;

	for (;;) {
		bool late = now_ms() >= end;

		if (condition(arg))
			return true;
		if (late)
			return false;
		nanosleep(&pause, NULL);
	}
}

static const char *error_name(long value)
{
	const char *name = value <= 0 && value > -4096 ? strerrorname_np((int)-value) : NULL;

	return name ? name : "?";
}

void test_error(long got, long want, const char *what, const char *file, int line)
{
	print_error("%s gave %ld (%s), not %ld (%s)\n", what, got, error_name(got), want,
		    error_name(want));
	_fail(file, line);
}
