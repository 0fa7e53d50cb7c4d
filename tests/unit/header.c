/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the header: a consistent copy or none, and no access outside the mapping. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "internal.h"

#define ENTRIES 8
#define LENGTH (sizeof(struct page))

struct page {
	struct peershm_header header;
	struct peershm_header_client clients[ENTRIES];
};

static struct page *make_page(void)
{
	struct page *page = calloc(1, sizeof(*page));

	assert_non_null(page);
	page->header.magic = PEERSHM_HEADER_MAGIC;
	page->header.major = PEERSHM_HEADER_MAJOR;
	page->header.base = 0x500000000000;
	page->header.capacity = 1 << 30;
	page->header.size = 1 << 20;
	page->header.page_size = 4096;
	page->header.max_clients = ENTRIES;
	page->header.client_offset = offsetof(struct page, clients);
	page->header.client_size = sizeof(page->clients[0]);
	return page;
}

static void set_client(struct page *page, int i, uint64_t id, const char *name)
{
	page->clients[i].id = id;
	page->clients[i].state = PEERSHM_CLIENT_LIVE;
	strncpy(page->clients[i].name, name, PEERSHM_NAME_SIZE - 1);
}

CASE(read_gives_every_field)
{
	struct page *page = make_page();
	struct peershm_header copy;

	memset(&copy, 0xa5, sizeof(copy));
	assert_int_equal(pshm_header_read(page, LENGTH, &copy), 0);
	assert_memory_equal(&copy, &page->header, sizeof(copy));
	free(page);
}

CASE(list_skips_free_entries)
{
	struct page *page = make_page();
	struct peershm_header_client clients[ENTRIES];

	set_client(page, 1, 7, "bgpd");
	set_client(page, 6, 9, "ospfd");
	assert_int_equal(pshm_header_list(page, LENGTH, clients, ENTRIES), 2);
	assert_int_equal(clients[0].id, 7);
	assert_string_equal(clients[0].name, "bgpd");
	assert_int_equal(clients[1].id, 9);
	free(page);
}

CASE(list_counts_more_than_it_copies)
{
	struct page *page = make_page();
	struct peershm_header_client clients[2];

	memset(clients, 0xa5, sizeof(clients));
	for (int i = 0; i < 3; i++)
		set_client(page, i, (uint64_t)i + 1, "x");
	assert_int_equal(pshm_header_list(page, LENGTH, clients, 1), 3);
	assert_int_equal(clients[0].id, 1);
	assert_true(clients[1].id == 0xa5a5a5a5a5a5a5a5);
	assert_int_equal(pshm_header_list(page, LENGTH, NULL, 0), 3);
	free(page);
}

CASE(list_ends_names_that_have_no_end)
{
	struct page *page = make_page();
	struct peershm_header_client client;

	set_client(page, 0, 1, "");
	memset(page->clients[0].name, 'x', PEERSHM_NAME_SIZE);
	assert_int_equal(pshm_header_list(page, LENGTH, &client, 1), 1);
	assert_int_equal(strlen(client.name), PEERSHM_NAME_SIZE - 1);
	free(page);
}

CASE(list_reads_larger_entries_of_a_newer_module)
{
	size_t larger = sizeof(struct peershm_header_client) + 64;
	size_t length = sizeof(struct peershm_header) + 2 * larger;
	struct peershm_header_client client;
	struct page *page = make_page();
	char *map = calloc(1, length);

	assert_non_null(map);
	set_client(page, 0, 5, "second");
	page->header.client_size = (uint32_t)larger;
	page->header.max_clients = 2;
	memcpy(map, &page->header, sizeof(page->header));
	memcpy(map + sizeof(page->header) + larger, &page->clients[0], sizeof(page->clients[0]));
	assert_int_equal(pshm_header_list(map, length, &client, 1), 1);
	assert_int_equal(client.id, 5);
	free(map);
	free(page);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

CASE(stuck_odd_sequence_is_eagain_in_time)
{
	struct page *page = make_page();
	struct peershm_header copy;
	double start = seconds();

	page->header.seq = 1;
	assert_int_equal(pshm_header_read(page, LENGTH, &copy), -EAGAIN);
	assert_int_equal(pshm_header_list(page, LENGTH, NULL, 0), -EAGAIN);
	assert_true(seconds() - start < 20);
	free(page);
}

/* Both readers must refuse every invalid header, without an access that ASan reports. */
static void refused(const struct page *page, size_t length)
{
	void *map = malloc(length);
	struct peershm_header copy;

	assert_non_null(map);
	memcpy(map, page, length < sizeof(*page) ? length : sizeof(*page));
	assert_int_equal(pshm_header_read(map, length, &copy), -EIO);
	assert_int_equal(pshm_header_list(map, length, NULL, 0), -EIO);
	free(map);
}

CASE(mapping_shorter_than_a_header_is_eio)
{
	struct page *page = make_page();

	refused(page, sizeof(struct peershm_header) - 1);
	refused(page, 1);
	free(page);
}

CASE(mapping_shorter_than_the_entries_is_eio)
{
	struct page *page = make_page();

	refused(page, LENGTH - 1);
	refused(page, sizeof(struct peershm_header));
	free(page);
}

CASE(foreign_magic_is_eio)
{
	struct page *page = make_page();

	page->header.magic ^= 1;
	refused(page, LENGTH);
	free(page);
}

CASE(unknown_version_is_eio)
{
	struct page *page = make_page();

	page->header.major++;
	refused(page, LENGTH);
	free(page);
}

CASE(more_clients_than_fit_is_eio)
{
	struct page *page = make_page();

	page->header.max_clients = ENTRIES + 1;
	refused(page, LENGTH);
	page->header.max_clients = UINT32_MAX;
	refused(page, LENGTH);
	free(page);
}

CASE(entry_size_that_overlaps_is_eio)
{
	static const uint32_t sizes[] = { 0,
					  1,
					  64,
					  sizeof(struct peershm_header_client) - 8,
					  sizeof(struct peershm_header_client) + 1,
					  UINT32_MAX };
	struct page *page = make_page();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		page->header.client_size = sizes[i];
		refused(page, LENGTH);
	}
	free(page);
}

CASE(entry_offset_outside_is_eio)
{
	static const uint32_t offsets[] = { 0,
					    8,
					    sizeof(struct peershm_header) + 1,
					    sizeof(struct page),
					    sizeof(struct page) + 8,
					    UINT32_MAX - 7 };
	struct page *page = make_page();

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		page->header.client_offset = offsets[i];
		refused(page, LENGTH);
	}
	free(page);
}

CASE(size_beyond_capacity_is_eio)
{
	struct page *page = make_page();

	page->header.size = page->header.capacity + 4096;
	refused(page, LENGTH);
	free(page);
}

CASE(range_beyond_the_address_space_is_eio)
{
	struct page *page = make_page();

	page->header.base = UINT64_MAX - 4095;
	refused(page, LENGTH);
	free(page);
}

CASE(page_size_not_a_power_of_two_is_eio)
{
	struct page *page = make_page();

	page->header.page_size = 0;
	refused(page, LENGTH);
	page->header.page_size = 4095;
	refused(page, LENGTH);
	free(page);
}

/* Acts as the kernel: every change stores one number in all fields. */
struct writer {
	struct page *page;
	bool stop;
};

static void store(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static void *write_changes(void *argument)
{
	struct writer *writer = argument;
	struct peershm_header *header = &writer->page->header;
	uint64_t number = 0;

	while (!__atomic_load_n(&writer->stop, __ATOMIC_RELAXED)) {
		number = (number + 1) % 4096;
		__atomic_store_n(&header->seq, header->seq + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		store((uint64_t *)&header->size, number);
		store((uint64_t *)&header->root, number);
		for (int i = 0; i < ENTRIES; i++) {
			store((uint64_t *)&writer->page->clients[i].id, number);
			store((uint64_t *)&writer->page->clients[i].mapped, number);
		}
		store((uint64_t *)&header->generation, number);
		__atomic_store_n(&header->seq, header->seq + 1, __ATOMIC_RELEASE);
		for (volatile int pause = 0; pause < 200; pause++)
			;
	}
	return NULL;
}

CASE(snapshot_is_never_torn_while_written)
{
	struct writer writer = { .page = make_page() };
	struct peershm_header_client clients[ENTRIES];
	struct peershm_header copy;
	pthread_t thread;

	writer.page->header.size = 0;
	for (int i = 0; i < ENTRIES; i++)
		set_client(writer.page, i, 0, "x");
	assert_int_equal(pthread_create(&thread, NULL, write_changes, &writer), 0);
	for (int round = 0; round < 50000; round++) {
		assert_int_equal(pshm_header_read(writer.page, LENGTH, &copy), 0);
		assert_int_equal(copy.size, copy.root);
		assert_int_equal(copy.size, copy.generation);
		assert_int_equal(pshm_header_list(writer.page, LENGTH, clients, ENTRIES), ENTRIES);
		for (int i = 0; i < ENTRIES; i++) {
			assert_int_equal(clients[i].id, clients[0].id);
			assert_int_equal(clients[i].mapped, clients[0].id);
		}
	}
	__atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	free(writer.page);
}
