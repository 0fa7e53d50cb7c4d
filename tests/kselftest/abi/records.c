/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records grow: a caller that knows less of them, or more, than the module gets what both know.
 * And INFO tells what module it is.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "support/command.h"
#include "support/event.h"
#include "support/harness.h"

#define MORE 40 /* bytes that a newer record has */
#define N 3	/* records there is room for */

/* A command that fills an array, and where its fields are. */
static const struct list {
	const char *command;
	size_t array, count, record_size;
	uint32_t record; /* bytes of one */
} lists[] = {
#define LIST(name, type, array, count, record_size, record)           \
	{                                                             \
		name, offsetof(struct peershm_##type, array),         \
			offsetof(struct peershm_##type, count),       \
			offsetof(struct peershm_##type, record_size), \
			sizeof(struct peershm_##record)               \
	}
	LIST("clients", clients, clients, nr_clients, record_size, client_info),
	LIST("regions", regions, regions, nr_regions, record_size, region_info),
	LIST("roots", roots, roots, nr_roots, record_size, root_info),
	LIST("info", info, backings, nr_backings, record_size, backing_info),
	LIST("peer map", peer_map, report.peers, report.nr_peers, report.record_size, peer),
};
#define for_each_list(l) \
	for (const struct list *l = lists; l < lists + sizeof(lists) / sizeof(*lists); l++)

static struct client *scene(struct target *t)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "one");

	peer_join(r, "two");
	region_grow(r, MIB);
	assert_ok(do_publish(c->fd, 0, "a", 0, r->base));
	assert_ok(do_publish(c->fd, 0, "b", 0, r->base + 8));
	*t = target_of(r, MIB);
	return c;
}

/* Runs the command with room for N records of this size; gives how many there are. */
static int list(const struct client *c, const struct target *t, const struct list *l, void *array,
		uint32_t record_size)
{
	const struct command *command = command_find(l->command);
	uint32_t count = N;
	union argument a;
	int err;

	command_fill(command, t, &a);
	memcpy(a.bytes + l->array, &(uint64_t){ (uintptr_t)array }, sizeof(uint64_t));
	memcpy(a.bytes + l->count, &count, sizeof(count));
	memcpy(a.bytes + l->record_size, &record_size, sizeof(record_size));
	err = xioctl(c->fd, command->ioctl, &a);
	memcpy(&count, a.bytes + l->count, sizeof(count));
	return err ? err : (int)count;
}

CASE(a_longer_record_has_zeroes_where_the_module_knows_nothing)
{
	struct target t;
	struct client *c = scene(&t);

	for_each_list(l)
	{
		uint32_t more = l->record + MORE;
		unsigned char *usual = calloc(N, l->record), *longer = malloc((size_t)N * more);
		int there = list(c, &t, l, usual, l->record);

		assert_true(there >= 1);
		if (there > N)
			there = N;
		memset(longer, POISON, (size_t)N * more);
		assert_true(list(c, &t, l, longer, more) >= there);
		for (int i = 0; i < there; i++) {
			unsigned char *record = longer + (size_t)i * more;

			assert_memory_equal(record, usual + (size_t)i * l->record, l->record);
			for (int j = 0; j < MORE; j++)
				assert_int_equal(record[l->record + j], 0);
		}
		/* A peer map begins with zeroes in all of it, to know that it can be written. */
		for (size_t j = (size_t)there * more; j < (size_t)N * more; j++)
			assert_int_equal(longer[j],
					 l->record == sizeof(struct peershm_peer) ? 0 : POISON);
		free(usual);
		free(longer);
	}
}

CASE(a_record_shorter_than_the_first_or_longer_than_a_page_is_einval)
{
	static unsigned char array[N * sizeof(struct peershm_region_info)];
	struct target t;
	struct client *c = scene(&t);

	for_each_list(l)
	{
		const uint32_t sizes[] = { 0, 8, l->record - 1, (uint32_t)SYSTEM_PAGE + 1,
					   UINT32_MAX };

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			assert_error(list(c, &t, l, array, sizes[i]), -EINVAL);
			assert_reason(PEERSHM_REASON_RECORD_SIZE, l->record);
		}
	}
}

CASE(an_array_that_ends_within_a_longer_record_is_efault)
{
	struct target t;
	struct client *c = scene(&t);
	unsigned char *pages = mmap(NULL, 2 * SYSTEM_PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(munmap(pages + SYSTEM_PAGE, SYSTEM_PAGE), 0);
	for_each_list(l)
	{
		unsigned char *array = pages + SYSTEM_PAGE - l->record;

		assert_error(list(c, &t, l, array, l->record + MORE), -EFAULT);
	}
	munmap(pages, SYSTEM_PAGE);
}

/* Reads what is there as records of that size, and compares with the usual ones. */
static void read_longer(int longer, int usual, uint32_t size)
{
	struct peershm_event events[4];
	unsigned char buffer[4 * (sizeof(events[0]) + MORE)];
	int n = event_read(usual, events, 4);

	assert_int_equal(n, 2);
	assert_int_equal(read(longer, buffer, size - 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(read(longer, buffer, 4 * size - 1), 2 * size);
	for (int i = 0; i < n; i++) {
		unsigned char *record = buffer + (size_t)i * size;

		assert_memory_equal(record, &events[i], sizeof(events[0]));
		for (size_t j = sizeof(events[0]); j < size; j++)
			assert_int_equal(record[j], 0);
	}
}

CASE(events_are_as_long_as_the_reader_asks_for)
{
	struct region *r = region_new(small, GIB);
	struct peershm_attach attach = { .event_size = sizeof(struct peershm_event) + MORE };
	struct peershm_watch watch = { .size = sizeof(watch),
				       .region = r->id,
				       .event_size = sizeof(struct peershm_event) + MORE };
	int client = device_open(O_RDWR | O_NONBLOCK), watcher = device_open(O_RDWR | O_NONBLOCK);
	int usual;

	test_close(client);
	test_close(watcher);
	region_grow(r, MIB);
	attach.size = sizeof(attach);
	put_name(attach.region_name, r->name);
	put_name(attach.client_name, "client");
	usual = event_watcher(r);
	assert_ok(xioctl(watcher, PEERSHM_IOC_WATCH, &watch));
	assert_ok(xioctl(client, PEERSHM_IOC_ATTACH, &attach));
	event_make(r, r->fd, 1);
	read_longer(watcher, usual, watch.event_size);
	assert_ok(do_detach(client));

	attach.event_size = sizeof(struct peershm_event) - 1;
	assert_error(xioctl(client, PEERSHM_IOC_ATTACH, &attach), -EINVAL);
	assert_reason(PEERSHM_REASON_RECORD_SIZE, sizeof(struct peershm_event));
	watch.event_size = (uint32_t)SYSTEM_PAGE + 1;
	assert_error(xioctl(client, PEERSHM_IOC_WATCH, &watch), -EINVAL);
	assert_reason(PEERSHM_REASON_RECORD_SIZE, sizeof(struct peershm_event));
}

static const struct peershm_backing_info *info_of(const struct peershm_backing_info *infos,
						  uint32_t n, uint32_t backing)
{
	for (uint32_t i = 0; i < n; i++)
		if (infos[i].backing == backing)
			return &infos[i];
	return NULL;
}

CASE(info_tells_what_there_is_on_this_machine)
{
	struct peershm_backing_info infos[8] = { 0 };
	struct peershm_info info = { .size = sizeof(info),
				     .backings = (uintptr_t)infos,
				     .nr_backings = 8,
				     .record_size = sizeof(infos[0]) };
	int fd = device_open(O_RDONLY);

	test_close(fd);
	parameter_set("max_regions", 77);
	assert_ok(xioctl(fd, PEERSHM_IOC_INFO, &info));
	assert_int_equal(info.version, PEERSHM_VERSION);
	assert_int_equal(info.header_major, PEERSHM_HEADER_MAJOR);
	assert_int_equal(info.header_minor, PEERSHM_HEADER_MINOR);
	assert_int_equal(info.max_regions, 77);
	assert_int_equal(info.max_roots, PEERSHM_MAX_ROOTS);
	assert_int_equal(info.max_clients, parameter("max_clients"));
	assert_int_equal(info.max_user_clients, parameter("max_user_clients"));
	assert_int_equal(info.max_user_regions, parameter("max_user_regions"));
	assert_int_equal(info.max_user_capacity, parameter("max_user_capacity"));
	assert_int_equal(info.max_user_bytes, info.max_bytes / 2);
	for (int i = 0; i < 4; i++) {
		const struct backing *b = &backings[i];
		const struct peershm_backing_info *got = info_of(infos, info.nr_backings, b->id);
		char name[PEERSHM_NAME_SIZE];
		uint64_t id;
		int err;

		region_name(name);
		err = do_create(fd, name, b, 4 * GIB, &id);
		assert_true(err == -EACCES || err == -ENODEV);
		assert_true(!got == (err == -ENODEV));
		if (!got)
			continue;
		assert_int_equal(got->page_size, b->page);
		assert_int_equal(got->flags, backing_is_hugetlb(b) ? PEERSHM_BACKING_POOL : 0);
		assert_int_equal(got->alignment, backing_is_hugetlb(b) ? GIB : b->page);
	}
}

CASE(a_client_knows_its_slot_and_is_in_it_until_it_leaves)
{
	struct region *r = region_new(small, GIB);
	struct client *c = client_new(r, "one");
	struct peer *p = peer_join(r, "two");
	struct peershm_client_info infos[2];
	const struct peershm_header_client *entries[2];
	unsigned char *copy = malloc(c->at.header_length);
	uint64_t id = p->at.client;

	assert_int_equal(c->at.max_clients, c->header->max_clients);
	assert_int_not_equal(c->at.slot, p->at.slot);
	assert_int_equal(do_clients(r->fd, r->id, infos, 2), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(infos[i].slot, infos[i].id == id ? p->at.slot : c->at.slot);
	assert_ok(header_copy(c, copy));
	entries[0] = header_client(copy, c->at.slot);
	entries[1] = header_client(copy, p->at.slot);
	assert_int_equal(entries[0]->id, c->at.client);
	assert_int_equal(entries[1]->id, id);
	assert_ok(peer_detach(p));
	assert_ok(header_copy(c, copy));
	assert_int_equal(entries[1]->id, 0);
	free(copy);
}
