/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for events, with every answer that the device can give. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "fake_device.h"

static struct peershm *client;
static struct peershm *administrator;

static int setup(void **state)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };

	fake_setup(state);
	return peershm_open(&client, "routes", "bgpd", PEERSHM_CREATE, &options) ||
	       peershm_open(&administrator, "routes", NULL, 0, NULL);
}

static int teardown(void **state)
{
	peershm_close(administrator);
	peershm_close(client);
	return fake_teardown(state);
}

static void happen(const struct peershm *handle, enum peershm_event_type type)
{
	struct fake_file *file = fake_file_of(handle->fd);
	struct peershm_event *event = &file->events[file->nr_events++];

	memset(event, 0, sizeof(*event));
	event->size = sizeof(*event);
	event->type = type;
	memset(event->name, 'x', sizeof(event->name));
}

static void every_type_has_a_name(void **state)
{
	(void)state;
	for (int type = PEERSHM_EVENT_JOINED; type <= PEERSHM_EVENT_OVERFLOW; type++)
		assert_non_null(peershm_event_name((enum peershm_event_type)type));
	assert_string_equal(peershm_event_name(PEERSHM_EVENT_DIED), "died");
	assert_null(peershm_event_name((enum peershm_event_type)0));
	assert_null(peershm_event_name((enum peershm_event_type)11));
	assert_null(peershm_event_name((enum peershm_event_type)99));
}

static void an_event_that_is_there_is_given_at_once(void **state)
{
	struct peershm_event event;

	(void)state;
	happen(client, PEERSHM_EVENT_GREW);
	happen(client, PEERSHM_EVENT_LEFT);
	assert_int_equal(peershm_next_event(client, &event, -1), 0);
	assert_int_equal(event.type, PEERSHM_EVENT_GREW);
	assert_int_equal(strlen(event.name), PEERSHM_NAME_SIZE - 1);
	assert_int_equal(peershm_next_event(client, &event, 0), 0);
	assert_int_equal(event.type, PEERSHM_EVENT_LEFT);
	assert_int_equal(fake.polls, 0);
}

static void no_event_is_etimedout(void **state)
{
	struct peershm_event event;

	(void)state;
	assert_int_equal(peershm_next_event(client, &event, 0), -ETIMEDOUT);
	assert_int_equal(fake.polls, 0);
	assert_int_equal(peershm_next_event(client, &event, 5000), -ETIMEDOUT);
	assert_int_equal(fake.polls, 1);
	assert_in_range(fake.last_timeout, 4000, 5000);
}

static void come_at_the_third_time(int n)
{
	if (n == 3)
		happen(client, PEERSHM_EVENT_ROOT);
	else
		fake_file_of(client->fd)->nr_events = 0;
}

static int stolen_poll(int fd, int timeout_ms)
{
	fake_poll(fd, timeout_ms);
	return 1;
}

static void an_event_that_another_thread_took_is_waited_for_again(void **state)
{
	struct pshm_system system = fake_system;
	struct peershm_event event;

	(void)state;
	system.poll = stolen_poll;
	pshm_system = &system;
	fake.during_poll = come_at_the_third_time;
	assert_int_equal(peershm_next_event(client, &event, -1), 0);
	pshm_system = &fake_system;
	assert_int_equal(event.type, PEERSHM_EVENT_ROOT);
	assert_int_equal(fake.polls, 3);
	assert_int_equal(fake.last_timeout, -1);
}

static void a_signal_is_eintr(void **state)
{
	struct peershm_event event;

	(void)state;
	fake.fail_at = fake.steps + 2;
	fake.fail_with = EINTR;
	assert_int_equal(peershm_next_event(client, &event, -1), -EINTR);
	assert_int_equal(fake.polls, 0);
	fake.fail_at = fake.steps + 1;
	assert_int_equal(peershm_next_event(client, &event, -1), -EINTR);
}

static void after_the_end_there_is_enoent(void **state)
{
	struct peershm_event event;

	(void)state;
	assert_true(peershm_event_fd(administrator) >= 0);
	happen(administrator, PEERSHM_EVENT_UNLINKED);
	assert_int_equal(peershm_unlink("routes"), 0);
	assert_int_equal(peershm_next_event(administrator, &event, -1), 0);
	assert_int_equal(peershm_next_event(administrator, &event, -1), -ENOENT);
	assert_non_null(strstr(peershm_strerror(-ENOENT), "no more events"));
	assert_int_equal(peershm_next_event(client, &event, 0), -ENOENT);
}

static void an_administrator_watches_when_it_first_asks(void **state)
{
	struct peershm_event event;

	(void)state;
	assert_int_equal(fake_count(PEERSHM_IOC_WATCH), 0);
	assert_int_equal(peershm_next_event(administrator, &event, 0), -ETIMEDOUT);
	assert_int_equal(fake_count(PEERSHM_IOC_WATCH), 1);
	happen(administrator, PEERSHM_EVENT_GREW);
	assert_int_equal(peershm_next_event(administrator, &event, 0), 0);
	assert_int_equal(fake_count(PEERSHM_IOC_WATCH), 1);
	assert_int_equal(peershm_event_fd(administrator), administrator->fd);
	assert_int_equal(peershm_event_fd(client), client->fd);
	assert_int_equal(fake_count(PEERSHM_IOC_WATCH), 2);
}

static void a_client_does_not_watch(void **state)
{
	struct peershm_event event;

	(void)state;
	assert_int_equal(peershm_event_fd(client), client->fd);
	assert_int_equal(peershm_next_event(client, &event, 0), -ETIMEDOUT);
	assert_int_equal(fake_count(PEERSHM_IOC_WATCH), 0);
}

static void watching_what_is_gone_is_enoent(void **state)
{
	struct peershm_event event;

	(void)state;
	fake.fail_command = PEERSHM_IOC_WATCH;
	fake.fail_with = ENOENT;
	assert_int_equal(peershm_event_fd(administrator), -ENOENT);
	assert_int_equal(peershm_next_event(administrator, &event, -1), -ENOENT);
	assert_string_equal(peershm_strerror(-ENOENT), "the region is gone");
}

static ssize_t read_half(int fd, void *buffer, size_t size)
{
	return fake_read(fd, buffer, size) > 0 ? (ssize_t)size / 2 : -1;
}

static void a_record_cut_off_is_eio(void **state)
{
	struct pshm_system system = fake_system;
	struct peershm_event event;

	(void)state;
	happen(client, PEERSHM_EVENT_GREW);
	system.read = read_half;
	pshm_system = &system;
	assert_int_equal(peershm_next_event(client, &event, 0), -EIO);
	pshm_system = &fake_system;
}

static void what_is_missing_is_einval(void **state)
{
	struct peershm_event event;

	(void)state;
	assert_int_equal(peershm_next_event(NULL, &event, 0), -EINVAL);
	assert_int_equal(peershm_next_event(client, NULL, 0), -EINVAL);
	assert_int_equal(peershm_event_fd(NULL), -EINVAL);
}

static void the_kernels_own_poll_waits_for_input(void **state)
{
	int ends[2];

	(void)state;
	pshm_system = &pshm_kernel;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pshm_device_poll(ends[0], 1), -ETIMEDOUT);
	assert_int_equal(write(ends[1], "", 1), 1);
	assert_int_equal(pshm_device_poll(ends[0], -1), 0);
	assert_int_equal(pshm_device_poll(ends[0], 0), 0);
	close(ends[0]);
	close(ends[1]);
	pshm_system = &fake_system;
}

#define WITH_REGION(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_a_name),
		WITH_REGION(an_event_that_is_there_is_given_at_once),
		WITH_REGION(no_event_is_etimedout),
		WITH_REGION(an_event_that_another_thread_took_is_waited_for_again),
		WITH_REGION(a_signal_is_eintr),
		WITH_REGION(after_the_end_there_is_enoent),
		WITH_REGION(an_administrator_watches_when_it_first_asks),
		WITH_REGION(a_client_does_not_watch),
		WITH_REGION(watching_what_is_gone_is_enoent),
		WITH_REGION(a_record_cut_off_is_eio),
		WITH_REGION(what_is_missing_is_einval),
		WITH_REGION(the_kernels_own_poll_waits_for_input),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
