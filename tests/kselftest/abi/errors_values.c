/* SPDX-License-Identifier: GPL-2.0-only */
/* Bad names, lengths, ranges and addresses are EINVAL, and nothing has changed. */
#include <sys/mman.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/harness.h"

#define STEP (1 * MIB)

/* STAT without a name means this file's region; there is a root without one. */
static bool may_be_empty(const struct command *c)
{
	return c->ioctl == PEERSHM_IOC_STAT || c->ioctl == PEERSHM_IOC_SET_ROOT ||
	       c->ioctl == PEERSHM_IOC_GET_ROOT;
}

CASE(bad_names_are_einval_everywhere)
{
	static const struct {
		char bytes[PEERSHM_NAME_SIZE + 1];
		const char *how;
	} bad[] = {
		{ "", "an empty name" },
		{ "a/b", "a slash in a name" },
		{ "a\nb", "a control byte in a name" },
		{ "a\001", "a control byte at the end of a name" },
		{ "a\177", "a delete byte in a name" },
		{ "a\0b", "a byte after the end of a name" },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		  "a name without an end" },
	};
	struct fixture *f = fixture_new();

	for_each_row(c)
	{
		for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
			size_t field = c->names[i & 1];
			union argument a;
			int fd;

			if (!field || (i / 2 == 0 && may_be_empty(c)))
				continue;
			fd = fixture_fill(f, c, &a);
			memcpy(a.bytes + field, bad[i / 2].bytes, PEERSHM_NAME_SIZE);
			fixture_expect(f, c, fd, &a, -EINVAL, bad[i / 2].how);
			fixture_end(f);
		}
	}
}

CASE(names_of_1_to_63_bytes_of_any_kind_are_good)
{
	static const char *const good[] = {
		"x",
		" ",
		".",
		"..",
		"\xc3\xa4\xff",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
	};
	struct fixture *f = fixture_new();
	int fd = fixture_file(f);

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct peershm_attach at;
		pid_t pid;

		assert_ok(do_create(fd, good[i], small, GIB, NULL));
		assert_ok(do_attach(fd, good[i], good[i], 0, &at));
		assert_ok(do_resolve_name(fd, 0, good[i], &pid));
		assert_int_equal(pid, getpid());
		assert_ok(do_detach(fd));
		assert_ok(do_unlink(fd, good[i]));
	}
}

CASE(lengths_that_make_no_sense_are_einval)
{
	const uint64_t bad[] = { 0,
				 1,
				 SYSTEM_PAGE - 1,
				 SYSTEM_PAGE + 1,
				 ~0ULL,
				 1ULL << 63 | 1,
				 (uint64_t)-SYSTEM_PAGE };
	struct fixture *f = fixture_new();
	int fd = f->witness->fd;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_error(do_grow(fd, 0, bad[i], NULL), -EINVAL);
		fixture_unchanged(f);
		if (bad[i] & (SYSTEM_PAGE - 1)) {
			assert_error(do_grow_to(fd, 0, bad[i], NULL), -EINVAL);
			assert_error(do_shrink(fd, 0, bad[i], NULL), -EINVAL);
		}
		fixture_unchanged(f);
	}
	assert_error(do_shrink(fd, 0, STEP + SYSTEM_PAGE, NULL), -EINVAL);
	assert_error(do_shrink(fd, 0, (uint64_t)-SYSTEM_PAGE, NULL), -EINVAL);
	fixture_unchanged(f);
}

CASES(lengths_of_half_a_huge_page_are_einval, ALL_BACKINGS)
{
	struct region *r = region_new(b, b->capacity);
	struct client *witness = client_new(r, "witness");
	struct snapshot *before = snapshot_take(witness);

	assert_error_changes_nothing(before, do_grow(r->fd, r->id, b->page / 2, NULL), -EINVAL);
	assert_error_changes_nothing(before, do_grow_to(r->fd, r->id, b->page * 3 / 2, NULL),
				     -EINVAL);
	assert_error_changes_nothing(before, do_shrink(r->fd, r->id, b->page / 2, NULL), -EINVAL);
}

CASE(bad_ranges_of_peer_map_are_einval)
{
	const struct {
		uint64_t offset, length;
	} bad[] = {
		{ 1, SYSTEM_PAGE },
		{ 0, 1 },
		{ 0, STEP + SYSTEM_PAGE },
		{ STEP + SYSTEM_PAGE, 0 },
		{ STEP, SYSTEM_PAGE },
		{ SYSTEM_PAGE, STEP },
		{ (uint64_t)-SYSTEM_PAGE, SYSTEM_PAGE },
		{ SYSTEM_PAGE, (uint64_t)-SYSTEM_PAGE },
		{ 0, (uint64_t)-SYSTEM_PAGE },
	};
	struct fixture *f = fixture_new();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peershm_peer_map m = { .size = sizeof(m),
					      .offset = bad[i].offset,
					      .length = bad[i].length };

		assert_error(xioctl(f->witness->fd, PEERSHM_IOC_PEER_MAP, &m), -EINVAL);
		fixture_unchanged(f);
	}
}

CASE(bad_choices_of_peers_are_einval)
{
	struct fixture *f = fixture_new();
	struct peershm_peer_map maps[] = {
		{ .flags = PEERSHM_MAP_BY_PID | PEERSHM_MAP_BY_NAME, .pid = 1, .name = "a" },
		{ .flags = PEERSHM_MAP_BY_PID },
		{ .flags = PEERSHM_MAP_BY_PID, .pid = -1 },
		{ .report.timeout_ms = -3 },
		{ .report.reserved = 1 },
		{ .report.nr_peers = 1 },
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		maps[i].size = sizeof(maps[i]);
		assert_error(xioctl(f->witness->fd, PEERSHM_IOC_PEER_MAP, &maps[i]), -EINVAL);
		fixture_unchanged(f);
	}
}

CASE(bad_regions_are_not_created)
{
	const struct {
		struct peershm_create create;
		int want;
	} bad[] = {
		{ { .capacity = 0 }, -EINVAL },
		{ { .capacity = 100 }, -EINVAL },
		{ { .capacity = GIB + 1 }, -EINVAL },
		{ { .capacity = GIB, .backing = 4 }, -EINVAL },
		{ { .capacity = GIB, .backing = ~0u }, -EINVAL },
		{ { .capacity = GIB + SYSTEM_PAGE, .backing = PEERSHM_THP }, -EINVAL },
		{ { .capacity = GIB + SYSTEM_PAGE, .backing = PEERSHM_HUGETLB_2M }, -EINVAL },
		{ { .capacity = GIB + 2 * MIB, .backing = PEERSHM_HUGETLB_1G }, -EINVAL },
		{ { .capacity = GIB, .mode = 01000 }, -EINVAL },
		{ { .capacity = GIB, .base = 12345 }, -EINVAL },
		{ { .capacity = GIB, .base = (uint64_t)-SYSTEM_PAGE }, -EINVAL },
		{ { .capacity = GIB, .base = 1ULL << 62 }, -EINVAL },
		{ { .capacity = GIB, .base = MIB, .backing = PEERSHM_HUGETLB_2M }, -EINVAL },
		{ { .capacity = (uint64_t)-SYSTEM_PAGE }, -ENOSPC },
		{ { .capacity = 1ULL << 47 }, -ENOSPC },
		{ { .capacity = GIB, .max_clients = ~0u }, -ENOSPC },
	};
	struct fixture *f = fixture_new();
	char name[PEERSHM_NAME_SIZE];
	int fd = fixture_file(f);

	region_name(name);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peershm_create c = bad[i].create;
		int got;

		c.size = sizeof(c);
		memcpy(c.name, name, sizeof(name));
		got = xioctl(fd, PEERSHM_IOC_CREATE, &c);
		if (got != bad[i].want)
			print_error("bad region number %zu: ", i);
		assert_error(got, bad[i].want);
		assert_error(do_stat(fd, 0, name, NULL), -ENOENT);
	}
	fixture_unchanged(f);
}

CASE(a_root_outside_the_active_memory_is_einval)
{
	struct fixture *f = fixture_new();
	uint64_t base = f->region->base;
	int fd = f->witness->fd;

	assert_error(do_set_root(fd, 0, 0, base - 1), -EINVAL);
	assert_error(do_set_root(fd, 0, 0, base + STEP), -EINVAL);
	assert_error(do_set_root(fd, 0, 0, 1), -EINVAL);
	assert_error(do_set_root(fd, 0, 0, ~0ULL), -EINVAL);
	fixture_unchanged(f);
	assert_ok(do_set_root(fd, 0, 0, base + STEP - 1));
}
