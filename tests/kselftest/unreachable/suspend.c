/* SPDX-License-Identifier: GPL-2.0-only */
/* The machine sleeps with clients in the middle of their work, and they go on. */
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

static void restore(void *arg)
{
	file_write(PM_TEST, "none");
	file_write(PM_TEST_DELAY, arg);
}

/*
 * To idle, which every machine can that can sleep at all. With pm_test it stops short of
 * waiting for something to wake it up, and wakes up by itself after a second.
 */
static void sleep_a_while(void)
{
	static char delay[32];
	long before = nr_sleeps();

	snprintf(delay, sizeof(delay), "%ld", file_number(PM_TEST_DELAY));
	test_cleanup(restore, delay);
	file_write(PM_TEST_DELAY, "1");
	assert_ok(file_write(PM_TEST, "platform"));
	assert_ok(file_write("/sys/power/state", "freeze"));
	if (before >= 0)
		assert_int_equal(nr_sleeps(), before + 1);
}

static void a_region_is_as_it_was_when_the_machine_wakes_up(void **state)
{
	const struct backing *b = param_of(state)->backing;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_CASE("a_region_is_as_it_was_when_the_machine_wakes_up_small",
			  a_region_is_as_it_was_when_the_machine_wakes_up, PEERSHM_SMALL, 0),
		TEST_CASE("a_region_is_as_it_was_when_the_machine_wakes_up_thp",
			  a_region_is_as_it_was_when_the_machine_wakes_up, PEERSHM_THP, 0),
		TEST_CASE("a_region_is_as_it_was_when_the_machine_wakes_up_hugetlb_2m",
			  a_region_is_as_it_was_when_the_machine_wakes_up, PEERSHM_HUGETLB_2M, 0),
	};

	return test_run(tests);
}
