/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of the fake device: regions and clients in ordinary memory. */
#ifndef TESTS_UNIT_FAKE_STATE_H
#define TESTS_UNIT_FAKE_STATE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define FAKE_REGIONS 4
#define FAKE_FILES 16
#define FAKE_ROOTS 2
#define FAKE_FD 1000 /* of file 0; no real file has it, so close() does no harm */
#define FAKE_HEADER_LENGTH 8192
#define FAKE_CLIENTS 4
#define FAKE_PAGE ((size_t)sysconf(_SC_PAGESIZE)) /* of the control pages */
#define FAKE_CONTROL_LENGTH (FAKE_PAGE * (1 + FAKE_CLIENTS))
#define FAKE_BASE 0x580000000000ULL
#define FAKE_CLIENT_OFFSET 256

struct fake_region {
	struct peershm_region_info info; /* id 0: this entry is free */
	bool linked;
	struct peershm_header *header;
	struct peershm_root_info roots[FAKE_ROOTS]; /* an empty name: this entry is free */
	uint64_t root_changes;
	uint64_t clients[FAKE_CLIENTS]; /* their ids, by entry of the header; 0: free */
	uint64_t announcements;
	uint64_t cookie; /* of the one in force; 0: none is */
	char *control;
};

#define FAKE_EVENTS 8
#define FAKE_PARAMETERS 4

struct fake_file {
	bool open;
	int flags;
	bool read_only; /* attached read-only */
	uint32_t entry; /* its entry in the header */
	struct fake_region *watched;
	struct peershm_event events[FAKE_EVENTS]; /* not read yet */
	int nr_events;
	struct fake_region *region; /* to which it is attached, or NULL */
	void *window;
	uint64_t window_length;
	const char *parameter; /* the value that read() returns */
};

static struct fake_device {
	pid_t process; /* that attached */
	struct fake_region regions[FAKE_REGIONS];
	struct fake_file files[FAKE_FILES];
	uint64_t last_region;
	uint64_t last_client;
	pid_t pid; /* of the last client, in this process's namespace */
	int open_files;
	int header_maps;
	int windows;
	int steps;   /* calls of the device so far */
	int fail_at; /* number of the step that fails, from 1; 0: none */
	int fail_with;
	unsigned long fail_command; /* this command always fails, with fail_with */
	unsigned long commands[64]; /* in the order of the calls */
	size_t nr_commands;
	bool break_header; /* a mapped header is that of another region */
	void (*before)(
		unsigned long command); /* called before every command, to act as another process */
	struct peershm_grow last_grow;
	struct peershm_peer_map last_map;
	struct peershm_create last_create;
	struct peershm_shrink last_shrink;
	struct peershm_set_root last_set_root;
	struct peershm_attach last_attach;
	char taken[PEERSHM_NAME_SIZE]; /* a client name that a live client has */
	int allocations;
	uint32_t shrinks[8]; /* flags of each SHRINK */
	size_t nr_shrinks;
	int no_membarrier; /* the errno with which membarrier() fails; 0: it works */
	int last_timeout;  /* that was passed to poll() */
	int polls;
	bool exempt; /* the process has CAP_SYS_RESOURCE */
	struct {
		const char *name;
		const char *value;
	} parameters[FAKE_PARAMETERS]; /* of the module */
	void (*during_poll)(int n);    /* called in the n-th poll() */
} fake;

static inline bool fake_step(void)
{
	if (++fake.steps != fake.fail_at)
		return true;
	errno = fake.fail_with;
	return false;
}

static inline struct fake_region *fake_region_by(uint64_t id, const char *name)
{
	for (int i = 0; i < FAKE_REGIONS; i++) {
		struct fake_region *region = &fake.regions[i];

		if (!region->info.id)
			continue;
		if (id ? region->info.id == id : region->linked && !strcmp(region->info.name, name))
			return region;
	}
	return NULL;
}

/* Shared memory, so that it can be mapped again. Replaces what is at `address`, if not NULL. */
static inline void *fake_memory(void *address, size_t length)
{
	return mmap(address, length, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | (address ? MAP_FIXED : 0), -1, 0);
}

/* In a child of fork, copy the device, so that the child does not change its parent's. */
static inline void fake_separate(void)
{
	if (fake.process == getpid())
		return;
	fake.process = getpid();
	for (int i = 0; i < FAKE_REGIONS; i++) {
		struct fake_region *region = &fake.regions[i];

		if (region->info.id &&
		    (fake_memory(region->header, FAKE_HEADER_LENGTH) == MAP_FAILED ||
		     fake_memory(region->control, FAKE_CONTROL_LENGTH) == MAP_FAILED))
			abort();
	}
}

static inline void fake_publish(struct fake_region *region)
{
	struct peershm_header *header = region->header;
	struct peershm_header_client *clients =
		(struct peershm_header_client *)((char *)header + FAKE_CLIENT_OFFSET);

	header->magic = PEERSHM_HEADER_MAGIC;
	header->major = PEERSHM_HEADER_MAJOR;
	header->region = region->info.id;
	header->base = region->info.base;
	header->capacity = region->info.capacity;
	header->size = region->info.active;
	header->root = region->info.root;
	header->root_generation = region->info.root_generation;
	header->backing = region->info.backing;
	header->page_size = region->info.page_size;
	header->max_clients = FAKE_CLIENTS;
	header->client_offset = FAKE_CLIENT_OFFSET;
	header->client_size = sizeof(*clients);
	header->nr_clients = region->info.nr_clients;
	header->watermark = header->size;
	region->cookie = 0;
	memset(clients, 0, FAKE_CLIENTS * sizeof(*clients));
	for (uint32_t i = 0; i < FAKE_CLIENTS; i++) {
		if (!region->clients[i])
			continue;
		clients[i].id = region->clients[i];
		clients[i].state = PEERSHM_CLIENT_LIVE;
		clients[i].pid = 100 + (int)i;
		memcpy(clients[i].name, "someone", sizeof("someone"));
	}
}

#endif /* TESTS_UNIT_FAKE_STATE_H */
