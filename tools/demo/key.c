// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "key.h"
#include "symbols.h"

/* How far the last symbol is taken to reach: nobody says where it ends. */
#define LAST_LENGTH 16

/* While it is read; name is an offset into names. */
struct draft {
	struct key_entry *entries;
	size_t count;
	size_t room;
	char *names;
	size_t names_length;
	size_t names_room;
};

static bool reserve(void **array, size_t *room, size_t wanted, size_t element)
{
	size_t larger = wanted < 4096 ? 4096 : 2 * wanted;
	void *moved;

	if (wanted <= *room)
		return true;
	moved = realloc(*array, larger * element);
	if (!moved)
		return false;
	*array = moved;
	*room = larger;
	return true;
}

static bool add(struct draft *draft, uint64_t address, const char *name)
{
	size_t length = strlen(name) + 1;

	if (!reserve((void **)&draft->entries, &draft->room, draft->count + 1,
		     sizeof(*draft->entries)) ||
	    !reserve((void **)&draft->names, &draft->names_room, draft->names_length + length, 1))
		return false;
	memcpy(draft->names + draft->names_length, name, length);
	draft->entries[draft->count++] = (struct key_entry){
		.address = address,
		.name = draft->names_length,
	};
	draft->names_length += length;
	return true;
}

struct place {
	uint64_t address;
	size_t entry;
};

static int by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct place *)a)->address;
	uint64_t y = ((const struct place *)b)->address;

	return (x > y) - (x < y);
}

/* Symbols at one address end together, where the next address is. */
static int find_ends(struct draft *draft)
{
	struct place *sorted = malloc(draft->count * sizeof(*sorted));
	uint64_t end = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < draft->count; i++)
		sorted[i] = (struct place){ draft->entries[i].address, i };
	qsort(sorted, draft->count, sizeof(*sorted), by_address);
	for (size_t i = draft->count; i-- > 0;) {
		if (i == draft->count - 1)
			end = sorted[i].address + LAST_LENGTH;
		else if (sorted[i].address != sorted[i + 1].address)
			end = sorted[i + 1].address;
		draft->entries[sorted[i].entry].end = end;
	}
	end = sorted[draft->count - 1].address;
	free(sorted);
	return end ? 0 : -ENODATA;
}

static int read_draft(struct draft *draft, const char *path)
{
	struct symbols symbols;
	int err = symbols_open(&symbols, path);

	if (err)
		return err;
	while (!err && symbols_next(&symbols)) {
		if (!add(draft, symbols.address, symbols.name))
			err = -ENOMEM;
	}
	symbols_close(&symbols);
	if (!err && !draft->count)
		err = -ENODATA;
	return err ? err : find_ends(draft);
}

static int write_key(const struct draft *draft, int fd)
{
	size_t entries = draft->count * sizeof(*draft->entries);
	size_t length = sizeof(struct key) + entries + draft->names_length;
	struct key *key;

	if (ftruncate(fd, (off_t)length) < 0)
		return -errno;
	key = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (key == MAP_FAILED)
		return -errno;
	key->count = draft->count;
	key->length = length;
	for (size_t i = 0; i < draft->count; i++) {
		key->entries[i] = draft->entries[i];
		key->entries[i].name += sizeof(*key) + entries;
	}
	memcpy((char *)key + sizeof(*key) + entries, draft->names, draft->names_length);
	munmap(key, length);
	return 0;
}

int key_make(const char *path)
{
	struct draft draft = { 0 };
	int err = read_draft(&draft, path);
	int fd = -1;

	if (!err) {
		fd = memfd_create("answer key", MFD_CLOEXEC);
		err = fd < 0 ? -errno : write_key(&draft, fd);
	}
	free(draft.entries);
	free(draft.names);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

const struct key *key_map(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	void *map;

	if (length < (off_t)sizeof(struct key)) {
		errno = EINVAL;
		return NULL;
	}
	map = mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}
