/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answer key: all symbols of the kernel with their first address and that of the next symbol.
 * It is made once, as a file in memory. The loader takes the symbols from it, and the look-up
 * daemons check each of their answers against it.
 */
#ifndef DEMO_KEY_H
#define DEMO_KEY_H

#include <stdint.h>

#define KEY_SYMBOLS (1u << 19) /* at most */

struct key_symbol {
	uint64_t address;
	uint64_t end;  /* the address of the next symbol */
	uint64_t name; /* offset in `names` */
};

struct key {
	uint64_t count;
	struct key_symbol symbols[KEY_SYMBOLS]; /* by address */
	char names[];
};

/*
 * Reads /proc/kallsyms, or a file like it: lines of "ADDRESS TYPE NAME [MODULE]". Returns a
 * descriptor, or -errno (-ENODATA: it has no addresses).
 */
int key_make(const char *path);

/* Maps the key and populates it. On failure returns NULL, and sets errno. */
const struct key *key_map(int fd);

/* The symbol that is loaded after `n` others: each of them once, in an order like a random one. */
static inline const struct key_symbol *key_nth(const struct key *key, uint64_t n)
{
	return &key->symbols[n * 2654435761 % key->count]; /* a prime number, and above the count */
}

static inline const char *key_name(const struct key *key, const struct key_symbol *symbol)
{
	return key->names + symbol->name;
}

#endif /* DEMO_KEY_H */
