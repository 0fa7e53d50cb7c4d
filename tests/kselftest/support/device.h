/* SPDX-License-Identifier: GPL-2.0-only */
/* The device: its commands, regions made for a test, this process as a client. */
#ifndef PEERSHM_TEST_DEVICE_H
#define PEERSHM_TEST_DEVICE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/peershm.h>

#include "backing.h"

/* Put a name into a name's buffer, zeroes after it. */
void put_name(char *to, const char *name);

/* What outputs hold before a call. */
#define POISON 0xa5

/* ioctl() and open() that give a negative errno value. */
int xioctl(int fd, unsigned long command, void *arg);

/* Why the last xioctl() of this thread failed. */
extern _Thread_local struct peershm_failure last_failure;

#define assert_reason(reason_, detail_)                           \
	do {                                                      \
		assert_int_equal(last_failure.reason, (reason_)); \
		assert_int_equal(last_failure.detail, (detail_)); \
		assert_int_equal(last_failure.reserved, 0);       \
	} while (0)

int device_open(int flags);

/*
 * The commands. Outputs are poisoned first, and may be NULL where nobody looks.
 * Each gives 0 or a negative errno value.
 */
int do_create(int fd, const char *name, const struct backing *b, uint64_t capacity, uint64_t *id);
int do_create_mode(int fd, const char *name, uint32_t mode, uint32_t max_clients);
int do_attach(int fd, const char *region, const char *client, uint32_t flags,
	      struct peershm_attach *out);
int do_detach(int fd);
int do_grow(int fd, uint64_t region, uint64_t length, struct peershm_grow *out);
int do_grow_to(int fd, uint64_t region, uint64_t size, struct peershm_grow *out);
int do_peer_map(int fd, uint64_t region, struct peershm_peer_map *out);
int do_map_pid(int fd, uint64_t region, pid_t pid, struct peershm_peer_map *out);
int do_map_name(int fd, uint64_t region, const char *name, struct peershm_peer_map *out);
int do_shrink(int fd, uint64_t region, uint64_t new_size, uint64_t *old_size);
/* What ANNOUNCE gives as cookie, the others name; NULL: 0, and nobody looks. */
int do_shrink_flags(int fd, uint64_t region, uint32_t flags, uint64_t new_size, uint64_t *cookie);
int do_set_reserve(int fd, uint64_t region, uint64_t bytes);
int do_set_root(int fd, uint64_t region, uint64_t expected, uint64_t root);
int do_publish(int fd, uint64_t region, const char *name, uint64_t expected, uint64_t root);
int do_set_root_generation(int fd, uint64_t region, const struct peershm_root_info *expected,
			   uint64_t root, uint64_t *generation);
int do_get_root(int fd, uint64_t region, const char *name, struct peershm_root_info *info);
int do_stat(int fd, uint64_t region, const char *name, struct peershm_region_info *info);
int do_resolve_name(int fd, uint64_t region, const char *name, pid_t *pid);
int do_resolve_pid(int fd, uint64_t region, pid_t pid, char name[PEERSHM_NAME_SIZE]);
int do_unlink(int fd, const char *name);
int do_unlink_id(int fd, uint64_t region);
int do_watch(int fd, uint64_t region);

/* Is a region of that name in the list? 1 or 0, or a negative errno value. */
int region_is_listed(int fd, const char *name);

/* Clients there are, at most n of them copied; or a negative errno value. */
int do_clients(int fd, uint64_t region, struct peershm_client_info *clients, uint32_t n);

/* The same of named roots. */
int do_roots(int fd, uint64_t region, struct peershm_root_info *roots, uint32_t n);

/* A region made for the running test and unlinked after it. */
struct region {
	int fd; /* attached to nothing */
	uint64_t id;
	uint64_t base;
	const struct backing *backing;
	char name[PEERSHM_NAME_SIZE];
};

/* A name no other test uses: t-PID-NUMBER-TEST. It is unlinked after the test. */
void region_name(char name[PEERSHM_NAME_SIZE]);
struct region *region_new(const struct backing *b, uint64_t capacity);
void regions_end(void);

/* Unlink what the tests of that process have left behind; gives how many regions it was. */
int regions_unlink(pid_t pid);

/* In a new peer: close the files that only the test needs. */
void regions_forget(void);

uint64_t region_size(const struct region *r);
int region_nr_clients(const struct region *r);
void region_grow(const struct region *r, uint64_t length);

/* Wait until the region has this many clients; false if it never does. */
bool region_until_clients(const struct region *r, int n, unsigned int ms);

/*
 * A region of the backing's capacity that has this size. Skips unless the machine can give
 * `needs` bytes, for all that the test allocates.
 */
struct region *region_with(const struct backing *b, uint64_t size, uint64_t needs);

/* A region with these permissions, for so many clients (0: the default). */
struct region *region_of_mode(const struct backing *b, uint32_t mode, uint32_t max_clients);

/* This process as a client, with the header mapped. */
struct client {
	int fd;
	struct peershm_attach at;
	const struct peershm_header *header;
};

int client_attach(struct client *c, const char *region, const char *name, uint32_t flags);
void client_leave(struct client *c);

/* The same in a test's own process, undone after the test. */
struct client *client_new(const struct region *r, const char *name);

/* A consistent copy of the header, header_length bytes; 0 or -ETIMEDOUT. */
int header_copy(const struct client *c, void *copy);
const struct peershm_header_client *header_client(const void *copy, unsigned int i);

/* A place for a window, or a part of one, that is moved: no region is there. */
#define ELSEWHERE 0x400000000000ULL

static inline void *at_address(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

#endif
