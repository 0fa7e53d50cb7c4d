/* SPDX-License-Identifier: GPL-2.0-only */
#include <unistd.h>

#include "harness.h"
#include "place.h"

/* "0-1", "0,2" or the like; gives how many numbers of it are stored. */
static int nodes_with_memory(int nodes[2])
{
	FILE *f = fopen("/sys/devices/system/node/has_memory", "re");
	int n = 0;

	if (f) {
		n = fscanf(f, "%d%*[-,]%d", &nodes[0], &nodes[1]);
		fclose(f);
	}
	return n;
}

void two_nodes(int nodes[2])
{
	if (nodes_with_memory(nodes) != 2)
		skip_because("this machine has one NUMA node with memory, two are needed");
}

int last_node(void)
{
	int nodes[2];

	return nodes_with_memory(nodes) == 2 ? nodes[1] : -1;
}

uint64_t *page_entries(uint64_t address, uint64_t length)
{
	size_t n = length / SYSTEM_PAGE;
	uint64_t *entries = calloc(n, sizeof(*entries));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_non_null(entries);
	assert_true(fd >= 0);
	for (uint64_t at = 0; at < length; at += SYSTEM_PAGE)
		(void)*(volatile char *)at_address(address + at);
	assert_int_equal(pread(fd, entries, n * 8, (off_t)(address / SYSTEM_PAGE * 8)), n * 8);
	close(fd);
	return entries;
}
