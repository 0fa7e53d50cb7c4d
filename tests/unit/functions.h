/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of every function of the library, of some with different arguments. */
#ifndef TESTS_UNIT_FUNCTIONS_H
#define TESTS_UNIT_FUNCTIONS_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_device.h"

#define GIB (1ULL << 30)

/* The handles of a run. */
static struct scene {
	struct peershm *client;
	struct peershm *administrator;
	struct peershm *opened; /* by the function under test */
} scene;

/* A call that returns 0 or more, or a negative errno value. */
struct function {
	const char *name;
	int (*call)(void);
	unsigned int least; /* how many sites it has at least */
	int answer;	    /* its result in a run in which no site fails */
};

static int pointer(const void *p)
{
	return p ? 0 : -errno;
}

static int nonzero(uint64_t value)
{
	return value ? 0 : -errno;
}

static int open_as(const char *client, unsigned int flags, const struct peershm_options *options)
{
	return peershm_open(&scene.opened, "new", client, flags, options);
}

static int open_and_make(void)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };

	return open_as("ann", PEERSHM_CREATE, &options);
}

static int open_exclusively(void)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };

	return open_as("ann", PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &options);
}

static int open_read_only(void)
{
	struct peershm_options options = { .backing = PEERSHM_THP, .size = 8192 };

	return open_as("ann", PEERSHM_CREATE | PEERSHM_READ_ONLY, &options);
}

static int open_to_administer(void)
{
	return open_as(NULL, PEERSHM_CREATE, NULL);
}

static int open_what_is_there(void)
{
	return peershm_open(&scene.opened, "there", "ann", PEERSHM_DUMP, NULL);
}

/* These fail by themselves. Finding the cause allocates and asks the device, too. */
static int open_over_a_mapping(void)
{
	void *taken = mmap((void *)(uintptr_t)fake.regions[0].info.base, 4096, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	int err = open_what_is_there();

	if (taken != MAP_FAILED)
		munmap(taken, 4096);
	return err;
}

static int open_with_a_failing(unsigned long command, int with)
{
	struct peershm_options options = { .capacity = GIB, .base = fake.regions[0].info.base };
	int err;

	fake.fail_command = command;
	fake.fail_with = with;
	err = open_as("ann", PEERSHM_CREATE, &options);
	fake.fail_command = 0;
	return err;
}

static int open_over_a_region(void)
{
	return open_with_a_failing(PEERSHM_IOC_CREATE, EADDRINUSE);
}

static int open_beyond_a_limit(void)
{
	fake.parameters[0].name = "max_regions";
	fake.parameters[0].value = "2";
	return open_with_a_failing(PEERSHM_IOC_CREATE, ENOSPC);
}

static int open_under_a_taken_name(void)
{
	return open_with_a_failing(PEERSHM_IOC_ATTACH, EEXIST);
}

static int open_without_address_space(void)
{
	return open_with_a_failing(PEERSHM_IOC_ATTACH, ENOMEM);
}

static int close_(void)
{
	peershm_close(scene.client);
	scene.client = NULL;
	return 0;
}

static int grow(void)
{
	struct peershm_peer peers[2];
	struct peershm_report report = { .peers = peers, .max_peers = 2 };

	return peershm_grow(scene.client, 3 * 4096, &report);
}

static int extend(void)
{
	return pointer(peershm_extend(scene.client, 4096));
}

static int shrink(void)
{
	return peershm_shrink(scene.client, 4096, 0);
}

static int shrink_force(void)
{
	return peershm_shrink_force(scene.client, 4096);
}

static int synchronize(void)
{
	return peershm_synchronize(scene.client, 0);
}

static int read_section(void)
{
	int err = peershm_read_lock(scene.client);

	if (!err)
		peershm_read_unlock(scene.client);
	return err;
}

static int set_reserve(void)
{
	return peershm_set_reserve(scene.client, 4096);
}

static int map_all(void)
{
	return peershm_map_all(scene.client, 0, 0, NULL);
}

static int map_pid(void)
{
	return peershm_map_pid(scene.client, 4242, 0, 0, NULL);
}

static int map_name(void)
{
	return peershm_map_name(scene.client, "bgpd", 0, 0, NULL);
}

static int root(void)
{
	errno = 0;
	return pointer(peershm_root(scene.client));
}

static int root_as_administrator(void)
{
	errno = 0;
	return pointer(peershm_root(scene.administrator));
}

static int set_root(void)
{
	const void *now = peershm_base(scene.client);

	return peershm_set_root(scene.client, now, now);
}

static int publish(void)
{
	return peershm_publish(scene.client, "b", NULL, peershm_base(scene.client));
}

static int withdraw(void)
{
	return peershm_withdraw(scene.client, "a", peershm_base(scene.client));
}

static int lookup(void)
{
	errno = 0;
	return pointer(peershm_lookup(scene.client, "a"));
}

static int roots(void)
{
	struct peershm_root_info infos[2];

	return peershm_roots(scene.client, infos, 2);
}

static int read_root(void)
{
	struct peershm_root_info info;

	return peershm_read_root(scene.client, "not there", &info);
}

static int replace_root(void)
{
	struct peershm_root_info info;
	int err = peershm_read_root(scene.client, NULL, &info);

	return err ? err : peershm_replace_root(scene.client, &info, NULL);
}

static int base(void)
{
	return pointer(peershm_base(scene.client));
}

static int size(void)
{
	return nonzero(peershm_size(scene.client));
}

static int size_as_administrator(void)
{
	return nonzero(peershm_size(scene.administrator));
}

static int capacity(void)
{
	return nonzero(peershm_capacity(scene.client));
}

static int page_size(void)
{
	return nonzero(peershm_page_size(scene.client));
}

static int client_id(void)
{
	return nonzero(peershm_client_id(scene.client));
}

static int client_name(void)
{
	return pointer(peershm_client_name(scene.client));
}

static int header(void)
{
	return pointer(peershm_header(scene.client));
}

static int header_clients(void)
{
	struct peershm_header_client clients[2];

	return peershm_header_clients(scene.client, clients, 2);
}

static int clients(void)
{
	struct peershm_client_info infos[2];

	return peershm_clients(scene.client, infos, 2);
}

static int resolve_name(void)
{
	pid_t pid;

	return peershm_resolve_name(scene.client, "bgpd", &pid);
}

static int event_fd(void)
{
	return peershm_event_fd(scene.client);
}

static int event_fd_of_administrator(void)
{
	return peershm_event_fd(scene.administrator);
}

static int next_event(void)
{
	struct peershm_event event;

	return peershm_next_event(scene.client, &event, 1000);
}

static int next_event_of_administrator(void)
{
	struct peershm_event event;

	return peershm_next_event(scene.administrator, &event, 1000);
}

static int event_name(void)
{
	return peershm_event_name(PEERSHM_EVENT_GREW) ? 0 : -EINVAL;
}

static int resolve_pid(void)
{
	char name[PEERSHM_NAME_SIZE];

	return peershm_resolve_pid(scene.client, 4242, name);
}

static int stat_(void)
{
	struct peershm_region_info info;

	return peershm_stat(scene.administrator, &info);
}

static int regions(void)
{
	struct peershm_region_info infos[2];

	return peershm_regions(infos, 2);
}

static int unlink_(void)
{
	return peershm_unlink("spare");
}

static int find(void)
{
	return pointer(peershm_find(peershm_base(scene.client)));
}

static int strerror_(void)
{
	return pointer(peershm_strerror(-ENOMEM));
}

static int backing_name(void)
{
	return pointer(peershm_backing_name(PEERSHM_THP));
}

static int backing_find(void)
{
	uint32_t backing;

	return peershm_backing_find("thp", &backing);
}

static const struct function functions[] = {
	{ "peershm_open, as client, making", open_and_make, 8, 0 },
	{ "peershm_open, exclusively", open_exclusively, 8, 0 },
	{ "peershm_open, read-only, making", open_read_only, 8, 0 },
	{ "peershm_open, to administer", open_to_administer, 5, 0 },
	{ "peershm_open, what is there", open_what_is_there, 6, 0 },
	{ "peershm_open, over a mapping", open_over_a_mapping, 8, -EADDRINUSE },
	{ "peershm_open, over a region", open_over_a_region, 7, -EADDRINUSE },
	{ "peershm_open, beyond a limit", open_beyond_a_limit, 8, -ENOSPC },
	{ "peershm_open, under a taken name", open_under_a_taken_name, 6, -EEXIST },
	{ "peershm_open, without address space", open_without_address_space, 6, -ENOMEM },
	{ "peershm_close", close_, 0, 0 },
	{ "peershm_grow", grow, 1, 0 },
	{ "peershm_extend", extend, 1, 0 },
	{ "peershm_shrink", shrink, 6, 0 },
	{ "peershm_shrink_force", shrink_force, 1, 0 },
	{ "peershm_synchronize", synchronize, 4, 0 },
	{ "peershm_read_lock", read_section, 8, 0 },
	{ "peershm_set_reserve", set_reserve, 1, 0 },
	{ "peershm_map_all", map_all, 1, 0 },
	{ "peershm_map_pid", map_pid, 1, 0 },
	{ "peershm_map_name", map_name, 1, 0 },
	{ "peershm_root", root, 0, 0 },
	{ "peershm_root, as administrator", root_as_administrator, 1, 0 },
	{ "peershm_set_root", set_root, 1, 0 },
	{ "peershm_publish", publish, 1, 0 },
	{ "peershm_withdraw", withdraw, 1, 0 },
	{ "peershm_lookup", lookup, 1, 0 },
	{ "peershm_roots", roots, 1, 0 },
	{ "peershm_read_root", read_root, 2, 0 },
	{ "peershm_replace_root", replace_root, 2, 0 },
	{ "peershm_base", base, 0, 0 },
	{ "peershm_size", size, 0, 0 },
	{ "peershm_size, as administrator", size_as_administrator, 1, 0 },
	{ "peershm_capacity", capacity, 0, 0 },
	{ "peershm_page_size", page_size, 0, 0 },
	{ "peershm_client_id", client_id, 0, 0 },
	{ "peershm_client_name", client_name, 0, 0 },
	{ "peershm_header", header, 0, 0 },
	{ "peershm_header_clients", header_clients, 0, 0 },
	{ "peershm_clients", clients, 1, 0 },
	{ "peershm_resolve_name", resolve_name, 1, 0 },
	{ "peershm_resolve_pid", resolve_pid, 1, 0 },
	{ "peershm_event_fd", event_fd, 0, 0 },
	{ "peershm_event_fd, of an administrator", event_fd_of_administrator, 1, 0 },
	{ "peershm_next_event", next_event, 2, -ETIMEDOUT },
	{ "peershm_next_event, of an administrator", next_event_of_administrator, 4, -ETIMEDOUT },
	{ "peershm_event_name", event_name, 0, 0 },
	{ "peershm_stat", stat_, 1, 0 },
	{ "peershm_regions", regions, 2, 0 },
	{ "peershm_unlink", unlink_, 2, 0 },
	{ "peershm_find", find, 0, 0 },
	{ "peershm_strerror", strerror_, 0, 0 },
	{ "peershm_backing_find", backing_find, 0, 0 },
	{ "peershm_backing_name", backing_name, 0, 0 },
};

/* Whether the function opens a region itself, so that its call is the first of the process. */
static bool opens(const struct function *f)
{
	return !strncmp(f->name, "peershm_open", strlen("peershm_open"));
}

static void make_regions(void)
{
	static const char *const names[] = { "there", "spare" };

	for (int i = 0; i < 2; i++) {
		struct peershm_create create = { .capacity = GIB };

		memcpy(create.name, names[i], strlen(names[i]));
		fake_create(&create);
	}
}

static int set_scene(const struct function *f)
{
	fake_setup(NULL);
	make_regions();
	if (opens(f))
		return 0;
	if (peershm_open(&scene.client, "there", "me", 0, NULL) ||
	    peershm_open(&scene.administrator, "there", NULL, 0, NULL) ||
	    peershm_grow(scene.client, 8192, NULL) ||
	    peershm_publish(scene.client, "a", NULL, peershm_base(scene.client)))
		return -1;
	return peershm_set_root(scene.client, NULL, peershm_base(scene.client));
}

#endif /* TESTS_UNIT_FUNCTIONS_H */
