/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a call has reached in the module. KCOV lists the instrumented points that the calling
 * thread passed, in that order. Two points in a row are an edge.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define KCOV_FILE "/sys/kernel/debug/kcov"
#define ENTRIES (1UL << 15)
#define MAX_NOTED 512

static __thread uint64_t *trace;
static __thread bool noting, searching;
static __thread uint32_t noted[MAX_NOTED];
static __thread bool found[MAX_NOTED];
static __thread unsigned int nr_noted;

bool coverage_start(void)
{
	int fd = open(KCOV_FILE, O_RDWR | O_CLOEXEC);
	void *map = MAP_FAILED;

	if (fd < 0)
		return false;
	if (!ioctl(fd, KCOV_INIT_TRACE, ENTRIES))
		map = mmap(NULL, ENTRIES * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   0);
	if (map == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC)) {
		int error = errno;

		close(fd);
		errno = error;
		return false;
	}
	trace = map;
	return true; /* the file stays open as long as the thread lives */
}

void coverage_begin(void)
{
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
}

static uint32_t hash(uint64_t value)
{
	value *= 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(value >> 40);
}

static void add_point(struct coverage *coverage, uint64_t pc)
{
	for (uint32_t i = hash(pc);; i++) {
		uint64_t *entry = &coverage->points[i % POINTS];
		uint64_t old = __atomic_load_n(entry, __ATOMIC_RELAXED);

		if (old == pc)
			return;
		if (old)
			continue;
		if (__atomic_compare_exchange_n(entry, &old, pc, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED)) {
			__atomic_fetch_add(&coverage->nr_points, 1, __ATOMIC_RELAXED);
			return;
		}
		if (old == pc)
			return;
	}
}

static void look_up(uint32_t edge)
{
	for (unsigned int i = 0; i < nr_noted; i++)
		if (noted[i] == edge)
			found[i] = true;
}

unsigned int coverage_end(struct coverage *coverage)
{
	uint64_t previous = 0;
	unsigned int new = 0;
	uint64_t n;

	if (!trace)
		return 0;
	n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (uint64_t i = 1; i <= n && i < ENTRIES; i++) {
		uint64_t pc = trace[i];
		uint32_t edge = hash(pc ^ previous << 17) % EDGES;

		previous = pc;
		if (searching)
			look_up(edge);
		if (__atomic_load_n(&coverage->edges[edge], __ATOMIC_RELAXED))
			continue;
		if (__atomic_exchange_n(&coverage->edges[edge], 1, __ATOMIC_RELAXED))
			continue;
		__atomic_fetch_add(&coverage->nr_edges, 1, __ATOMIC_RELAXED);
		add_point(coverage, pc);
		if (noting && nr_noted < MAX_NOTED)
			noted[nr_noted++] = edge;
		new ++;
	}
	return new;
}

void coverage_note(void)
{
	nr_noted = 0;
	noting = true;
	searching = false;
}

void coverage_search(void)
{
	memset(found, 0, sizeof(found));
	noting = false;
	searching = true;
}

bool coverage_found_all(void)
{
	searching = false;
	for (unsigned int i = 0; i < nr_noted; i++)
		if (!found[i])
			return false;
	return true;
}

static uint64_t section(const char *name)
{
	char path[64];
	uint64_t start = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/peershm/sections/%s", name);
	file = fopen(path, "re");
	if (file && fscanf(file, "%" SCNx64, &start) != 1)
		start = 0;
	if (file)
		fclose(file);
	return start;
}

/* Prints each point that was reached as "@ SECTION OFFSET", as points in machine.sh does. */
void coverage_print(const struct coverage *coverage)
{
	static const char *const names[] = { ".text", ".text.unlikely" };
	uint64_t starts[] = { section(names[0]), section(names[1]) };

	for (unsigned int i = 0; i < POINTS; i++) {
		uint64_t point = coverage->points[i];
		unsigned int in = point >= starts[1] && starts[1] > starts[0];

		if (starts[1] < starts[0] && point < starts[0])
			in = 1;
		if (point)
			printf("@ %s %" PRIx64 "\n", names[in], point - starts[in]);
	}
}
