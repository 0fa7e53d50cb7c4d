// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "key.h"

/* The last symbol is taken to have this length, as no other one follows it. */
#define LAST_LENGTH 16
#define ROOM (128UL << 20) /* for the key while it is made */

static int by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct key_symbol *)a)->address;
	uint64_t y = ((const struct key_symbol *)b)->address;

	return (x > y) - (x < y);
}

/* Adds the symbol in this line, if there is one; returns where the next name goes. */
static char *add(struct key *key, char *line, char *name)
{
	struct key_symbol *symbol = &key->symbols[key->count];
	char *end;

	symbol->address = strtoull(line, &end, 16);
	if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ')
		return name;
	line = end + 3;
	line[strcspn(line, " \t\n")] = '\0';
	symbol->name = (uint64_t)(name - key->names);
	key->count++;
	return stpcpy(name, line) + 1;
}

/* A symbol ends where the next address with a symbol is. */
static void sort(struct key *key)
{
	uint64_t end = 0;

	qsort(key->symbols, key->count, sizeof(key->symbols[0]), by_address);
	for (struct key_symbol *at = &key->symbols[key->count]; at-- > key->symbols;) {
		at->end = end ? end : at->address + LAST_LENGTH;
		if (at > key->symbols && at[-1].address != at->address)
			end = at->address;
	}
}

static int fill(struct key *key, int fd, FILE *file)
{
	char *name = key->names;
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while ((length = getline(&line, &room, file)) > 0 && key->count < KEY_SYMBOLS &&
	       name + length < (char *)key + ROOM)
		name = add(key, line, name);
	free(line);
	sort(key);
	if (!feof(file))
		return -EFBIG;
	if (!key->count || !key->symbols[key->count - 1].address)
		return -ENODATA;
	return ftruncate(fd, name - (char *)key) < 0 ? -errno : 0;
}

int key_make(const char *path)
{
	FILE *file = fopen(path, "re");
	int fd = memfd_create("answer key", MFD_CLOEXEC);
	struct key *key = MAP_FAILED;
	int err = 0;

	if (file && fd >= 0 && !ftruncate(fd, ROOM)) /* what is not written takes no memory */
		key = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (key == MAP_FAILED)
		err = -errno;
	else
		err = fill(key, fd, file);
	munmap(key, ROOM);
	if (file)
		fclose(file);
	if (!err)
		return fd;
	close(fd);
	return err;
}

const struct key *key_map(int fd)
{
	off_t length = lseek(fd, 0, SEEK_END);
	void *map = mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}
