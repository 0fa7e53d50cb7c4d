/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for events, with every answer that the device can give. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "region.h"

static void happen(const struct peershm *handle, enum peershm_event_type type)
{
	struct fake_file *file = fake_file_of(handle->fd);
	struct peershm_event *event = &file->events[file->nr_events++];

	memset(event, 0, sizeof(*event));
	event->size = sizeof(*event);
	event->type = type;
	memset(event->name, 'x', sizeof(event->name));
}

CASE(every_type_has_a_name)
{
	for (uint32_t type = PEERSHM_EVENT_JOINED; type <= PEERSHM_EVENT_OVERFLOW; type++)
		assert_non_null(peershm_event_name(type));
	assert_string_equal(peershm_event_name(PEERSHM_EVENT_DIED), "died");
	assert_null(peershm_event_name(0));
	assert_null(peershm_event_name(11));
	assert_null(peershm_event_name(UINT32_MAX));
}

REGION_CASE(an_event_that_is_there_is_given_at_once)
{
	struct peershm_event event;

	happen(client, PEERSHM_EVENT_GREW);
	happen(client, PEERSHM_EVENT_LEFT);
	assert_int_equal(peershm_next_event(client, &event, -1), 0);
	assert_int_equal(event.type, PEERSHM_EVENT_GREW);
	assert_int_equal(strlen(event.name), PEERSHM_NAME_SIZE - 1);
	assert_int_equal(peershm_next_event(client, &event, 0), 0);
	assert_int_equal(event.type, PEERSHM_EVENT_LEFT);
	assert_int_equal(fake.polls, 0);
}

static void *get_event_cancelled(void *event)
{
	pthread_cancel(pthread_self());
	peershm_next_event(client, event, 0);
	return NULL;
}

REGION_CASE(a_thread_that_is_cancelled_loses_no_event)
{
	struct peershm_event event = { .type = 0 };
	pthread_t thread;

	skip_without_cancellation();
	happen(client, PEERSHM_EVENT_GREW);
	pthread_create(&thread, NULL, get_event_cancelled, &event);
	pthread_join(thread, NULL);
	assert_int_equal(event.type, PEERSHM_EVENT_GREW);
}

REGION_CASE(no_event_is_etimedout)
{
	struct peershm_event event;

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

REGION_CASE(an_event_that_another_thread_took_is_waited_for_again)
{
	struct pshm_system system = fake_system;
	struct peershm_event event;

	system.poll = stolen_poll;
	pshm_system = &system;
	fake.during_poll = come_at_the_third_time;
	assert_int_equal(peershm_next_event(client, &event, -1), 0);
	pshm_system = &fake_system;
	assert_int_equal(event.type, PEERSHM_EVENT_ROOT);
	assert_int_equal(fake.polls, 3);
	assert_int_equal(fake.last_timeout, -1);
}

REGION_CASE(a_signal_is_eintr)
{
	struct peershm_event event;

	fake.fail_at = fake.steps + 2;
	fake.fail_with = EINTR;
	assert_int_equal(peershm_next_event(client, &event, -1), -EINTR);
	assert_int_equal(fake.polls, 0);
	fake.fail_at = fake.steps + 1;
	assert_int_equal(peershm_next_event(client, &event, -1), -EINTR);
}

REGION_CASE(after_the_end_there_is_enoent)
{
	struct peershm_event event;

	assert_true(peershm_event_fd(administrator) >= 0);
	happen(administrator, PEERSHM_EVENT_UNLINKED);
	assert_int_equal(peershm_unlink("routes"), 0);
	assert_int_equal(peershm_next_event(administrator, &event, -1), 0);
	assert_int_equal(peershm_next_event(administrator, &event, -1), -ENOENT);
	assert_non_null(strstr(peershm_strerror(-ENOENT), "no more events"));
	assert_int_equal(peershm_next_event(client, &event, 0), -ENOENT);
}

REGION_CASE(an_administrator_watches_when_it_first_asks)
{
	struct peershm_event event;

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

REGION_CASE(a_client_does_not_watch)
{
	struct peershm_event event;

	assert_int_equal(peershm_event_fd(client), client->fd);
	assert_int_equal(peershm_next_event(client, &event, 0), -ETIMEDOUT);
	assert_int_equal(fake_count(PEERSHM_IOC_WATCH), 0);
}

REGION_CASE(watching_what_is_gone_is_enoent)
{
	struct peershm_event event;

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

REGION_CASE(a_record_cut_off_is_eio)
{
	struct pshm_system system = fake_system;
	struct peershm_event event;

	happen(client, PEERSHM_EVENT_GREW);
	system.read = read_half;
	pshm_system = &system;
	assert_int_equal(peershm_next_event(client, &event, 0), -EIO);
	pshm_system = &fake_system;
}

REGION_CASE(what_is_missing_is_einval)
{
	struct peershm_event event;

	assert_int_equal(peershm_next_event(NULL, &event, 0), -EINVAL);
	assert_int_equal(peershm_next_event(client, NULL, 0), -EINVAL);
	assert_int_equal(peershm_event_fd(NULL), -EINVAL);
}

REGION_CASE(the_kernels_own_poll_waits_for_input)
{
	int ends[2];

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
