/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every function of the library does. Each call has a process of its own. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "child.h"
#include "functions.h"

static const struct function *function; /* of this run */

/* Whether body() returns 0 for each function. */
static bool holds_for_every_function(child_body *body)
{
	bool all = true;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		bool holds;

		function = &functions[i];
		holds = in_child(fork(), body, NULL);
		if (!holds)
			print_error("%s\n", function->name);
		all &= holds;
	}
	return all;
}

static void close_all(void)
{
	peershm_close(scene.opened);
	peershm_close(scene.client);
	peershm_close(scene.administrator);
}

static bool a_cause_is_known(void)
{
	bool known = false;

	for (int err = 1; err <= EHWPOISON; err++)
		known |= strerrorname_np(err) &&
			 strcmp(peershm_strerror(err), pshm_sentence(err)) != 0;
	return known;
}

/* Closing leaves the cause, so that a program can close before it prints what was wrong. */
static int forgets_the_cause(struct peershm *none)
{
	int steps;

	(void)none;
	expect(!set_scene(function));
	pshm_fail(-EXDEV, "of an earlier call");
	steps = fake.steps;
	expect((function->call() < 0) == (function->answer < 0));
	if (!function->answer && fake.steps > steps && function->call != close_)
		expect(!a_cause_is_known());
	pshm_fail(-EXDEV, "of an earlier call");
	close_all();
	expect(a_cause_is_known());
	return 0;
}

CASE(a_call_that_succeeds_forgets_the_cause_of_an_earlier_failure)
{
	assert_true(holds_for_every_function(forgets_the_cause));
}

/* The thread ends at the first cancellation point that it meets. */
static void *call_cancelled(void *returned)
{
	pthread_cancel(pthread_self());
	function->call();
	*(bool *)returned = true;
	pthread_testcancel();
	return NULL;
}

static int is_a_cancellation_point_only_if_it_waits(struct peershm *none)
{
	bool waits = !strncmp(function->name, "peershm_next_event", strlen("peershm_next_event"));
	bool returned = false;
	pthread_t thread;
	void *result;

	(void)none;
	expect(!set_scene(function));
	pthread_create(&thread, NULL, call_cancelled, &returned);
	pthread_join(thread, &result);
	expect(result == PTHREAD_CANCELED);
	expect(returned != waits);
	close_all();
	expect(!fake.open_files && !fake.header_maps && !fake.windows);
	return 0;
}

CASE(waiting_for_an_event_is_the_only_cancellation_point)
{
	skip_without_cancellation();
	assert_true(holds_for_every_function(is_a_cancellation_point_only_if_it_waits));
}
