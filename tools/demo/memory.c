// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

#define PRESENT (1ULL << 63)

uint64_t memory_present(pid_t pid, uint64_t address, uint64_t length)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t present = 0;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	for (uint64_t done = 0; done < length; done += page_size) {
		uint64_t entry = 0;
		off_t offset = (off_t)((address + done) / page_size * sizeof(entry));

		if (pread(fd, &entry, sizeof(entry), offset) == sizeof(entry) && entry & PRESENT)
			present += page_size;
	}
	close(fd);
	return present;
}

/* Returns the number that follows `word` (or "") in a line of the file; 0 if there is none. */
static int64_t number_in(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char line[128];
	int64_t number = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, word, strlen(word))) {
			if (sscanf(line + strlen(word), "%" SCNd64, &number) != 1)
				number = 0;
			break;
		}
	}
	fclose(file);
	return number;
}

/* Each CPU holds back part of the counters in /proc/meminfo: this adds them up. */
static void settle_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		fprintf(stderr, "peershm-demo: memory counters may be late\n");
	close(fd);
}

int64_t memory_free(const struct peershm_region_info *region)
{
	char pool[80];

	if (region->backing == PEERSHM_SMALL || region->backing == PEERSHM_THP) {
		settle_counters();
		return -1024 * number_in("/proc/meminfo", "Shmem:");
	}
	snprintf(pool, sizeof(pool), "/sys/kernel/mm/hugepages/hugepages-%ukB/free_hugepages",
		 region->page_size / 1024);
	return (int64_t)region->page_size * number_in(pool, "");
}
