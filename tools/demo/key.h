/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answer key: all symbols in the order of /proc/kallsyms, with their first address and that of
 * the next symbol. It is made once, and the look-up daemons get it as a file in memory: they check
 * each of their answers against it.
 */
#ifndef DEMO_KEY_H
#define DEMO_KEY_H

#include <stdint.h>

struct key_entry {
	uint64_t address;
	uint64_t end;  /* the address of the next symbol */
	uint64_t name; /* offset of the name from the key's beginning */
};

struct key {
	uint64_t count;
	uint64_t length; /* of the whole file */
	struct key_entry entries[];
};

/* Reads a file of symbols; returns a descriptor, or -errno (-ENODATA: it has no addresses). */
int key_make(const char *path);

/* Maps the key and populates it. On failure returns NULL, and sets errno. */
const struct key *key_map(int fd);

static inline const char *key_name(const struct key *key, const struct key_entry *entry)
{
	return (const char *)key + entry->name;
}

#endif /* DEMO_KEY_H */
