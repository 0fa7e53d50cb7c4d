// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "key.h"
#include "symbols.h"

/* The last symbol is taken to have this length, as no other one follows it. */
#define LAST_LENGTH 16

/* The key while it is being made. The names of the entries are offsets into `names`. */
struct draft {
	struct key_entry *entries;
	size_t entries_length; /* in bytes */
	char *names;
	size_t names_length;
	size_t count;
};

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

/* A symbol ends where the next address with a symbol is. */
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

static void read_symbols(struct draft *draft, struct symbols *symbols, FILE *entries, FILE *names)
{
	size_t name = 0;

	for (; symbols_next(symbols); draft->count++) {
		struct key_entry entry = { .address = symbols->address, .name = name };

		fwrite(&entry, sizeof(entry), 1, entries);
		name += fwrite(symbols->name, 1, strlen(symbols->name) + 1, names);
	}
}

static int read_draft(struct draft *draft, const char *path)
{
	struct symbols symbols;
	FILE *entries = open_memstream((char **)&draft->entries, &draft->entries_length);
	FILE *names = open_memstream(&draft->names, &draft->names_length);
	int err = entries && names ? symbols_open(&symbols, path) : -ENOMEM;

	if (!err) {
		read_symbols(draft, &symbols, entries, names);
		symbols_close(&symbols);
		if (ferror(entries) || ferror(names))
			err = -ENOMEM;
	}
	if ((entries && fclose(entries)) || (names && fclose(names)))
		err = -ENOMEM;
	if (!err && !draft->count)
		err = -ENODATA;
	return err ? err : find_ends(draft);
}

static int write_key(const struct draft *draft, int fd)
{
	size_t entries = draft->entries_length;
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
