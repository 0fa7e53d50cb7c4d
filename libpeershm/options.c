/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arguments of CREATE: defaults, rounding and names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define DEFAULT_CAPACITY (64 * PSHM_GIB)
#define DEFAULT_MODE 0600
#define PMD_SIZE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
#define PMD_SIZE_USUAL (2ULL << 20)

/* Huge pages of other sizes may come: these are the sizes that Linux knows. */
static const struct {
	uint32_t backing;
	const char *name;
} backing_names[] = {
	{ PEERSHM_SMALL, "small" },
	{ PEERSHM_THP, "thp" },
	{ PEERSHM_HUGETLB(16), "hugetlb-64k" },
	{ PEERSHM_HUGETLB(20), "hugetlb-1m" },
	{ PEERSHM_HUGETLB(21), "hugetlb-2m" },
	{ PEERSHM_HUGETLB(24), "hugetlb-16m" },
	{ PEERSHM_HUGETLB(25), "hugetlb-32m" },
	{ PEERSHM_HUGETLB(29), "hugetlb-512m" },
	{ PEERSHM_HUGETLB(30), "hugetlb-1g" },
	{ PEERSHM_HUGETLB(34), "hugetlb-16g" },
};

#define NR_BACKING_NAMES (sizeof(backing_names) / sizeof(backing_names[0]))

PEERSHM_API const char *peershm_backing_name(uint32_t backing)
{
	for (size_t i = 0; i < NR_BACKING_NAMES; i++)
		if (backing_names[i].backing == backing)
			return backing_names[i].name;
	return NULL;
}

PEERSHM_API int peershm_backing_find(const char *name, uint32_t *backing)
{
	for (size_t i = 0; name && i < NR_BACKING_NAMES; i++) {
		if (strcmp(backing_names[i].name, name))
			continue;
		*backing = backing_names[i].backing;
		return 0;
	}
	return pshm_fail(-EINVAL, "there is no backing named %s", name ? name : "NULL");
}

static uint64_t pmd_size(void)
{
	int fd = pshm_file_open(PMD_SIZE_FILE, O_RDONLY | O_CLOEXEC);
	uint64_t size = 0;

	if (fd >= 0) {
		char text[32] = "";

		if (read(fd, text, sizeof(text) - 1) > 0)
			size = strtoull(text, NULL, 10);
		close(fd);
	}
	return size && !(size & (size - 1)) ? size : PMD_SIZE_USUAL;
}

/*
 * A capacity is a multiple of this. It is 1 GiB for both sizes of huge pages from the
 * pool, because the kernel then shares one set of page tables between all clients.
 */
static uint64_t capacity_unit(uint32_t backing)
{
	switch (backing) {
	case PEERSHM_SMALL:
		return (uint64_t)sysconf(_SC_PAGESIZE);
	case PEERSHM_THP:
		return pmd_size();
	case PEERSHM_HUGETLB_2M:
	case PEERSHM_HUGETLB_1G:
		return PSHM_GIB;
	}
	return 0;
}

/* A size is a multiple of this. */
uint64_t pshm_page_unit(uint32_t backing)
{
	return backing == PEERSHM_HUGETLB_2M ? 2ULL << 20 : capacity_unit(backing);
}

int pshm_round_up(uint64_t value, uint64_t unit, uint64_t *rounded)
{
	if (!unit || value > UINT64_MAX - (unit - 1))
		return -EINVAL;
	value += unit - 1;
	*rounded = value - value % unit;
	return 0;
}

int pshm_name_copy(char to[PEERSHM_NAME_SIZE], const char *from, const char *what)
{
	size_t length = from ? strnlen(from, PEERSHM_NAME_SIZE) : 0;

	memset(to, 0, PEERSHM_NAME_SIZE);
	if (!length || length >= PEERSHM_NAME_SIZE)
		return pshm_fail(-EINVAL, "the %s must be 1 to %d bytes long", what,
				 PEERSHM_NAME_SIZE - 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)from[i];

		if (byte == '/' || byte < ' ' || byte == 0x7f)
			return pshm_fail(-EINVAL, "the %s contains '/' or a control byte", what);
	}
	memcpy(to, from, length);
	return 0;
}

int pshm_options_fill(struct peershm_create *create, const char *name,
		      const struct peershm_options *options)
{
	const struct peershm_options defaults = { 0 };
	uint64_t capacity;
	uint64_t rounded;
	uint64_t unit;
	int err;

	if (!options)
		options = &defaults;
	memset(create, 0, sizeof(*create));
	create->size = sizeof(*create);
	err = pshm_name_copy(create->name, name, "region name");
	if (err)
		return err;
	unit = capacity_unit(options->backing);
	if (!unit)
		return pshm_fail(-EINVAL, "there is no backing %u", options->backing);
	capacity = options->capacity ? options->capacity : DEFAULT_CAPACITY;
	if (pshm_round_up(capacity, unit, &rounded))
		return pshm_fail(-EINVAL, "a capacity of %llu bytes is too large to be rounded up",
				 (unsigned long long)capacity);
	create->capacity = rounded;
	if (options->size > create->capacity)
		return pshm_fail(-ENOSPC, "the size, %llu bytes, is beyond the capacity, %llu",
				 (unsigned long long)options->size,
				 (unsigned long long)create->capacity);
	if (pshm_round_up(options->reserve, pshm_page_unit(options->backing), &rounded) ||
	    rounded > create->capacity)
		return pshm_fail(-ENOSPC, "the reserve, %llu bytes, is beyond the capacity, %llu",
				 (unsigned long long)options->reserve,
				 (unsigned long long)create->capacity);
	create->reserve = rounded;
	create->base = options->base;
	create->backing = options->backing;
	create->mode = options->mode ? options->mode : DEFAULT_MODE;
	create->max_clients = options->max_clients;
	return 0;
}
