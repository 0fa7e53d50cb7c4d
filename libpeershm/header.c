/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the header that the kernel publishes. Its content is not trusted: an
 * index or offset from it is used only after it was checked against the length
 * of the mapping, which is known from ATTACH.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <urcu/arch.h>

#include "internal.h"

#define SPINS 1000 /* usually enough for the kernel to finish a change of the header */

_Static_assert(sizeof(struct peershm_header) % sizeof(uint64_t) == 0, "copied in words");
_Static_assert(sizeof(struct peershm_header_client) % sizeof(uint64_t) == 0, "copied in words");

/*
 * A reader that finds the header in the middle of a change tries again. It spins
 * at first. The writer may have lost its (virtual) CPU, so the reader then yields
 * its own between attempts, and gives up after PSHM_HEADER_TIMEOUT_S.
 */
struct retry {
	unsigned int spins;
	struct timespec deadline;
};

static bool may_retry(struct retry *retry)
{
	struct timespec now;

	if (retry->spins++ < SPINS) {
		caa_cpu_relax();
		return true;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (retry->spins == SPINS + 1) {
		retry->deadline = now;
		retry->deadline.tv_sec += PSHM_HEADER_TIMEOUT_S;
	}
	if (now.tv_sec > retry->deadline.tv_sec ||
	    (now.tv_sec == retry->deadline.tv_sec && now.tv_nsec >= retry->deadline.tv_nsec))
		return false;
	sched_yield();
	return true;
}

/*
 * An odd value means that a change is in progress. The acquire pairs with the kernel's
 * write barrier before it makes seq even: the loads that follow see that change whole.
 */
static uint32_t seq_begin(const struct peershm_header *header)
{
	return __atomic_load_n(&header->seq, __ATOMIC_ACQUIRE);
}

/*
 * Whether all loads since seq_begin() saw one state of the header. The fence pairs with
 * the kernel's write barrier after it has made seq odd: if one of those loads saw a part
 * of a later change, the load of seq sees a later value.
 */
static bool seq_unchanged(const struct peershm_header *header, uint32_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&header->seq, __ATOMIC_RELAXED) == seq;
}

typedef uint64_t __attribute__((may_alias)) word;

/* In whole words, so that no field is half old and half new. */
static void copy_words(void *to, const void *from, size_t size)
{
	word *target = to;
	const word *source = from;

	for (size_t i = 0; i < size / sizeof(*source); i++)
		target[i] = __atomic_load_n(&source[i], __ATOMIC_RELAXED);
}

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* Whether this is a header at all, and all its entries are within the mapping. */
static bool makes_sense(const struct peershm_header *header, size_t length)
{
	if (header->magic != PEERSHM_HEADER_MAGIC || header->major != PEERSHM_HEADER_MAJOR)
		return false;
	if (!power_of_two(header->page_size) || header->size > header->capacity ||
	    header->base > UINT64_MAX - header->capacity)
		return false;
	if (header->client_size < sizeof(struct peershm_header_client) ||
	    header->client_size % sizeof(uint64_t) || header->client_offset % sizeof(uint64_t))
		return false;
	if (header->client_offset < sizeof(*header) || header->client_offset > length)
		return false;
	return header->max_clients <= (length - header->client_offset) / header->client_size;
}

/*
 * Take a consistent snapshot. read() gets a consistent copy of the header's fields
 * and reads the entries that it wants from the mapping. If the header changed
 * meanwhile, it is called again. Returns the result of read(), -EIO or -EAGAIN.
 */
static int snapshot(const void *map, size_t length, struct peershm_header *copy,
		    int (*read)(const void *map, const struct peershm_header *copy, void *arg),
		    void *arg)
{
	const struct peershm_header *header = map;
	struct retry retry = { 0 };
	uint32_t seq;
	int answer;

	if (length < sizeof(*copy))
		return -EIO;
	do {
		seq = seq_begin(header);
		if (seq & 1)
			continue;
		copy_words(copy, map, sizeof(*copy));
		if (!seq_unchanged(header, seq))
			continue;
		if (!makes_sense(copy, length))
			return -EIO;
		answer = read ? read(map, copy, arg) : 0;
		if (seq_unchanged(header, seq))
			return answer;
	} while (may_retry(&retry));
	return -EAGAIN;
}

int pshm_header_read(const void *map, size_t length, struct peershm_header *copy)
{
	return snapshot(map, length, copy, NULL, NULL);
}

/* Space for the first n live entries. */
struct list {
	struct peershm_header_client *clients;
	size_t n;
};

static void copy_client(struct peershm_header_client *client, const void *map,
			const struct peershm_header *header, uint32_t index)
{
	copy_words(client,
		   (const char *)map + header->client_offset + (size_t)index * header->client_size,
		   sizeof(*client));
	client->name[sizeof(client->name) - 1] = '\0';
}

/* Returns the number of live entries. */
static int read_list(const void *map, const struct peershm_header *header, void *arg)
{
	const struct list *list = arg;
	struct peershm_header_client client;
	int live = 0;

	for (uint32_t i = 0; i < header->max_clients; i++) {
		copy_client(&client, map, header, i);
		if (client.state != PEERSHM_CLIENT_LIVE)
			continue;
		if ((size_t)live < list->n)
			list->clients[live] = client;
		live++;
	}
	return live;
}

int pshm_header_list(const void *map, size_t length, struct peershm_header_client *clients,
		     size_t n)
{
	struct list list = { .clients = clients, .n = n };
	struct peershm_header header;

	return snapshot(map, length, &header, read_list, &list);
}

struct entry {
	uint32_t index;
	struct peershm_header_client *client;
};

static int read_entry(const void *map, const struct peershm_header *header, void *arg)
{
	const struct entry *entry = arg;

	if (entry->index >= header->max_clients)
		return -ENOENT;
	copy_client(entry->client, map, header, entry->index);
	return entry->client->state == PEERSHM_CLIENT_LIVE;
}

int pshm_header_client(const void *map, size_t length, uint32_t index,
		       struct peershm_header_client *client)
{
	struct entry entry = { .index = index, .client = client };
	struct peershm_header header;

	return snapshot(map, length, &header, read_entry, &entry);
}

/*
 * A single field is always consistent, so these two ignore seq. The acquire pairs
 * with the kernel's write barrier before it changes a field: a reader of a new size
 * sees what the growing client wrote before its call.
 */
uint64_t pshm_header_size(const struct peershm_header *header)
{
	return __atomic_load_n(&header->size, __ATOMIC_ACQUIRE);
}

/* In the same way, a reader of a root sees the structure that it points to. */
uint64_t pshm_header_root(const struct peershm_header *header)
{
	return __atomic_load_n(&header->root, __ATOMIC_ACQUIRE);
}
