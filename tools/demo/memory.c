// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysinfo.h>

#include "demo.h"

#define PRESENT (1ULL << 63)

uint64_t memory_present(pid_t pid, uint64_t address, uint64_t length)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t present = 0;
	uint64_t entry;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (uint64_t end = address + length; address < end; address += page_size) {
		off_t offset = (off_t)(address / page_size * sizeof(entry));

		if (pread(fd, &entry, sizeof(entry), offset) == sizeof(entry) && entry & PRESENT)
			present += page_size;
	}
	close(fd);
	return present;
}

/* Reads a file that is one number. For stat_refresh it is none: there reading alone counts. */
static int64_t number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = 0;

	if (file && fscanf(file, "%ld", &number) != 1)
		number = 0;
	if (file)
		fclose(file);
	return number;
}

int64_t memory_free(const struct peershm_region_info *region)
{
	struct sysinfo system;
	char pool[80];

	if (region->backing >= PEERSHM_HUGETLB_2M) {
		snprintf(pool, sizeof(pool),
			 "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
			 (unsigned long long)region->page_size / 1024);
		return (int64_t)region->page_size * number_in(pool);
	}
	/* Each CPU holds back part of the counters: this adds them up. */
	number_in("/proc/sys/vm/stat_refresh");
	sysinfo(&system);
	return -(int64_t)system.sharedram * system.mem_unit;
}
