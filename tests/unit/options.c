/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arguments of CREATE: defaults, rounding and names. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "internal.h"

#define GIB (1ULL << 30)

CASE(defaults_are_64_gib_small_mode_600)
{
	struct peershm_create create;

	memset(&create, 0xa5, sizeof(create));
	assert_int_equal(pshm_options_fill(&create, "routes", NULL), 0);
	assert_int_equal(create.size, sizeof(create));
	assert_int_equal(create.flags, 0);
	assert_int_equal(create.reserved, 0);
	assert_string_equal(create.name, "routes");
	assert_int_equal(create.capacity, 64 * GIB);
	assert_int_equal(create.base, 0);
	assert_int_equal(create.backing, PEERSHM_SMALL);
	assert_int_equal(create.mode, 0600);
	assert_int_equal(create.max_clients, 0);
}

CASE(bytes_after_the_name_are_zero)
{
	static const char zeroes[PEERSHM_NAME_SIZE];
	struct peershm_create create;

	memset(&create, 0xa5, sizeof(create));
	assert_int_equal(pshm_options_fill(&create, "abc", NULL), 0);
	assert_memory_equal(create.name + 3, zeroes, PEERSHM_NAME_SIZE - 3);
}

static uint64_t capacity_of(uint32_t backing, uint64_t capacity)
{
	struct peershm_options options = { .capacity = capacity, .backing = backing };
	struct peershm_create create;

	assert_int_equal(pshm_options_fill(&create, "r", &options), 0);
	return create.capacity;
}

CASE(small_capacity_rounds_to_the_page)
{
	assert_int_equal(capacity_of(PEERSHM_SMALL, 1) % 4096, 0);
	assert_true(capacity_of(PEERSHM_SMALL, 1) < GIB);
	assert_int_equal(capacity_of(PEERSHM_SMALL, 5 * GIB), 5 * GIB);
}

CASE(thp_capacity_rounds_to_the_huge_page)
{
	assert_true(capacity_of(PEERSHM_THP, 1) >= 1 << 20);
	assert_int_equal(capacity_of(PEERSHM_THP, 5 * GIB), 5 * GIB);
}

CASE(hugetlb_capacity_rounds_to_a_gib)
{
	assert_int_equal(capacity_of(PEERSHM_HUGETLB_2M, 1), GIB);
	assert_int_equal(capacity_of(PEERSHM_HUGETLB_1G, GIB + 1), 2 * GIB);
	assert_int_equal(capacity_of(PEERSHM_HUGETLB_2M, 3 * GIB), 3 * GIB);
}

CASE(capacity_that_overflows_is_einval)
{
	struct peershm_options options = { .capacity = UINT64_MAX - 1 };
	struct peershm_create create;

	static const uint32_t backings[] = { PEERSHM_SMALL, PEERSHM_THP, PEERSHM_HUGETLB_2M,
					     PEERSHM_HUGETLB_1G };

	for (size_t i = 0; i < sizeof(backings) / sizeof(backings[0]); i++) {
		options.backing = backings[i];
		assert_int_equal(pshm_options_fill(&create, "r", &options), -EINVAL);
	}
}

CASE(size_beyond_capacity_is_enospc)
{
	struct peershm_options options = { .capacity = GIB, .size = GIB + 1 };
	struct peershm_create create;

	assert_int_equal(pshm_options_fill(&create, "r", &options), -ENOSPC);
	options.size = GIB;
	assert_int_equal(pshm_options_fill(&create, "r", &options), 0);
}

CASE(unknown_backing_is_einval)
{
	struct peershm_options options = { .backing = 4 };
	struct peershm_create create;

	assert_int_equal(pshm_options_fill(&create, "r", &options), -EINVAL);
	assert_contains(peershm_strerror(EINVAL), "no backing 4");
}

CASE(round_up_at_the_edges)
{
	uint64_t rounded = 77;

	assert_int_equal(pshm_round_up(0, 4096, &rounded), 0);
	assert_int_equal(rounded, 0);
	assert_int_equal(pshm_round_up(1, 4096, &rounded), 0);
	assert_int_equal(rounded, 4096);
	assert_int_equal(pshm_round_up(4096, 4096, &rounded), 0);
	assert_int_equal(rounded, 4096);
	assert_int_equal(pshm_round_up(UINT64_MAX - 4095, 4096, &rounded), 0);
	assert_true(rounded == UINT64_MAX - 4095);
	assert_int_equal(pshm_round_up(UINT64_MAX - 4094, 4096, &rounded), -EINVAL);
	assert_int_equal(pshm_round_up(1, 0, &rounded), -EINVAL);
	assert_true(rounded == UINT64_MAX - 4095);
}

CASE(name_of_63_bytes_is_taken)
{
	char name[PEERSHM_NAME_SIZE] = "";
	char copy[PEERSHM_NAME_SIZE];

	memset(name, 'n', PEERSHM_NAME_SIZE - 1);
	assert_int_equal(pshm_name_copy(copy, name, "region name"), 0);
	assert_string_equal(copy, name);
}

CASE(bad_names_are_einval)
{
	char name_of_64[PEERSHM_NAME_SIZE + 1] = "";
	const char *const names[] = { NULL, "", "a/b", "a\nb", "\x7f", name_of_64 };
	struct peershm_create create;
	char copy[PEERSHM_NAME_SIZE];

	memset(name_of_64, 'n', PEERSHM_NAME_SIZE);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(pshm_name_copy(copy, names[i], "region name"), -EINVAL);
		assert_int_equal(pshm_options_fill(&create, names[i], NULL), -EINVAL);
	}
}

CASE(name_in_utf8_is_taken)
{
	char copy[PEERSHM_NAME_SIZE];

	assert_int_equal(pshm_name_copy(copy, "größe", "region name"), 0);
}

CASE(backings_have_names)
{
	assert_string_equal(peershm_backing_name(PEERSHM_SMALL), "small");
	assert_string_equal(peershm_backing_name(PEERSHM_THP), "thp");
	assert_string_equal(peershm_backing_name(PEERSHM_HUGETLB_2M), "hugetlb-2m");
	assert_string_equal(peershm_backing_name(PEERSHM_HUGETLB_1G), "hugetlb-1g");
	assert_string_equal(peershm_backing_name(PEERSHM_HUGETLB(25)), "hugetlb-32m");
	assert_null(peershm_backing_name(4));
	assert_null(peershm_backing_name(UINT32_MAX));
}

CASE(backings_are_found_by_their_names)
{
	uint32_t backing = 0;

	assert_int_equal(peershm_backing_find("hugetlb-1g", &backing), 0);
	assert_int_equal(backing, PEERSHM_HUGETLB_1G);
	assert_int_equal(peershm_backing_find("small", &backing), 0);
	assert_int_equal(backing, PEERSHM_SMALL);
	assert_int_equal(peershm_backing_find("huge", &backing), -EINVAL);
	assert_string_equal(peershm_strerror(EINVAL), "there is no backing named huge");
	assert_int_equal(peershm_backing_find(NULL, &backing), -EINVAL);
}
