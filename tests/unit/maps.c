/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding the mappings in an address range, in /proc/self/maps of this process. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "internal.h"

#define SELF "/proc/self/maps"
#define RANGE 0x5f0000000000ULL /* an address range that nothing else uses */
#define LENGTH (1ULL << 30)
#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))

static void *map_at(uint64_t address, int protection, int fd)
{
	int flags = MAP_FIXED_NOREPLACE | MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
	void *map = mmap((void *)(uintptr_t)address, PAGE, protection, flags, fd, 0);

	assert_ptr_equal(map, (void *)(uintptr_t)address);
	return map;
}

CASE(free_range_has_nothing_in_it)
{
	char text[64] = "poison";

	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

CASE(anonymous_mapping_is_told_with_its_range)
{
	void *map = map_at(RANGE + LENGTH - PAGE, PROT_READ, -1);
	char text[256];
	char range[64];

	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 1);
	snprintf(range, sizeof(range), "(0x%" PRIx64 "-0x%" PRIx64 ")",
		 (uint64_t)(RANGE + LENGTH - PAGE), (uint64_t)(RANGE + LENGTH));
	assert_contains(text, "an anonymous mapping");
	assert_contains(text, range);
	munmap(map, PAGE);
}

CASE(mappings_that_only_touch_the_range_are_left_out)
{
	void *before = map_at(RANGE - PAGE, PROT_READ, -1);
	void *after = map_at(RANGE + LENGTH, PROT_READ, -1);
	char text[256];

	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 0);
	munmap(before, PAGE);
	munmap(after, PAGE);
}

CASE(file_mapping_is_told_by_its_path)
{
	char path[] = "/tmp/peershm unit XXXXXX";
	int fd = mkstemp(path);
	char text[512];
	void *map;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	map = map_at(RANGE + PAGE, PROT_READ, fd);
	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 1);
	assert_contains(text, path);
	munmap(map, PAGE);
	close(fd);
	unlink(path);
}

CASE(pieces_of_one_file_are_told_once)
{
	char path[] = "/tmp/peershm-unit-XXXXXX";
	int fd = mkstemp(path);
	char text[512], range[64];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	map_at(RANGE, PROT_READ, fd);
	map_at(RANGE + PAGE, PROT_READ | PROT_WRITE, fd);
	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 1);
	snprintf(range, sizeof(range), "(0x%" PRIx64 "-0x%" PRIx64 ")", (uint64_t)RANGE,
		 (uint64_t)(RANGE + 2 * PAGE));
	assert_contains(text, range);
	munmap((void *)(uintptr_t)RANGE, 2 * PAGE);
	close(fd);
	unlink(path);
}

CASE(stack_is_told_as_stack)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(
		0); /* not that of a local variable, which ASan may move to the heap */
	char text[256];

	assert_int_equal(pshm_maps_overlap(SELF, here, here + 1, text, sizeof(text)), 1);
	assert_contains(text, "[stack]");
}

CASE(beyond_three_mappings_are_counted)
{
	char text[512];

	for (uint64_t i = 0; i < 5; i++)
		map_at(RANGE + 2 * i * PAGE, PROT_READ, -1);
	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 5);
	assert_contains(text, " and 2 more");
	munmap((void *)(uintptr_t)RANGE, 16 * PAGE);
}

CASE(text_that_is_too_short_is_cut_and_ended)
{
	void *map = map_at(RANGE, PROT_READ, -1);
	char text[12];

	memset(text, 'x', sizeof(text));
	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, sizeof(text)), 1);
	assert_string_equal(text, "an anonymou");
	assert_int_equal(pshm_maps_overlap(SELF, RANGE, RANGE + LENGTH, text, 1), 1);
	assert_string_equal(text, "");
	munmap(map, PAGE);
}

CASE(missing_file_has_nothing_in_it)
{
	char text[16] = "poison";

	assert_int_equal(pshm_maps_overlap("/nowhere", 0, UINT64_MAX, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

CASE(lines_that_are_no_mappings_are_passed_over)
{
	static const char lines[] = "\nrubbish\n1000-\n1000-2000\n1000-2000 r--p 0 0:0 0 \n"
				    "5000-6000 r--p 00000000 08:01 77   /with space (deleted)\n";
	char path[] = "/tmp/peershm-unit-XXXXXX";
	int fd = mkstemp(path);
	char text[256];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
	assert_int_equal(pshm_maps_overlap(path, 0x4000, 0x9000, text, sizeof(text)), 1);
	assert_string_equal(text, "/with space (deleted) (0x5000-0x6000)");
	close(fd);
	unlink(path);
}
