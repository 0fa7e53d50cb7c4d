/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answer key: every symbol in the order of /proc/kallsyms, with where it begins and the
 * next one does, sorted out once and given to the look-up daemons as a file in memory. They
 * check each of their answers against it.
 */
#ifndef DEMO_KEY_H
#define DEMO_KEY_H

#include <stdint.h>

struct key_entry {
	uint64_t address;
	uint64_t end;  /* where the next one begins */
	uint64_t name; /* offset of the name from the key's beginning */
};

struct key {
	uint64_t count;
	uint64_t length; /* of the whole file */
	struct key_entry entries[];
};

/* Read a file of symbols; gives a descriptor, or -errno. -ENODATA: it has no addresses. */
int key_make(const char *path);

/* Map it, all of it present. NULL and errno. */
const struct key *key_map(int fd);

static inline const char *key_name(const struct key *key, const struct key_entry *entry)
{
	return (const char *)key + entry->name;
}

#endif /* DEMO_KEY_H */
