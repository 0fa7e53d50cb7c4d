/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine is suspended while clients write to a region, and they go on when it wakes up. */
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"

#define SEED 0x51ee
#define WRITERS 2
#define PM_TEST "/sys/power/pm_test"
#define PM_TEST_DELAY "/sys/module/suspend/parameters/pm_test_delay"

static long nr_sleeps(void)
{
	return file_number("/sys/power/suspend_stats/success");
}

static bool has_word(const char *path, const char *word)
{
	char words[128] = "";
	FILE *f = fopen(path, "re");
	bool has;

	if (!f)
		return false;
	has = fgets(words, sizeof(words), f) && strstr(words, word);
	fclose(f);
	return has;
}

static void no_test(void *arg)
{
	(void)arg;
	file_write(PM_TEST, "none");
}

/*
 * Suspend to idle, which all machines can that can be suspended. With pm_test the kernel does not
 * wait for something to wake the machine up, but goes on by itself after a second.
 */
static void sleep_a_while(void)
{
	long before = nr_sleeps();

	setting_set(PM_TEST_DELAY, "1");
	test_cleanup(no_test, NULL);
	assert_ok(file_write(PM_TEST, "platform"));
	assert_ok(file_write("/sys/power/state", "freeze"));
	if (before >= 0)
		assert_int_equal(nr_sleeps(), before + 1);
}

CASES(a_region_is_as_it_was_when_the_machine_wakes_up, UP_TO_2M)
{
	struct peer *peers[WRITERS], *stopped, *late;
	struct peershm_grow g;
	struct region *r;

	if (!has_word("/sys/power/state", "freeze"))
		skip_because("this kernel cannot suspend to idle");
	if (access(PM_TEST, W_OK) != 0)
		skip_because("nothing would wake this machine up (CONFIG_PM_DEBUG)");
	backing_needs(b, b->step + b->page);
	r = region_new(b, 2 * b->capacity);
	load_prepare();
	for (int i = 0; i < WRITERS; i++)
		peers[i] = peer_join(r, i ? "second" : "first");
	stopped = peer_join(r, "stopped");
	region_grow(r, b->step);
	peer_fill(peers[0], r->base, b->step, SEED);
	peer_stop(stopped);
	load_start(peers, WRITERS, r->base, b->step);
	load_goes_on();
	sleep_a_while();
	load_goes_on();
	load_stop();
	assert_ok(do_grow(r->fd, r->id, b->page, &g));
	assert_int_equal(g.report.mapped, WRITERS + 1);
	peer_continue(stopped);
	assert_int_equal(peer_present(stopped, r->base, b->step + b->page), b->step + b->page);
	peer_check(stopped, r->base, b->step, SEED);
	late = peer_join(r, "late");
	peer_check(late, r->base, b->step, SEED);
	assert_true(peer_all_zero(late, r->base + b->step, b->page));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	peer_check(peers[1], r->base, b->page, SEED);
}
