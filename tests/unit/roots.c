/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library passes to the device and returns to the caller for roots. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "fake_device.h"

static char things[4]; /* for roots to point to; the fake device accepts any address */

static struct peershm *open_region(void)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };
	struct peershm *handle = NULL;

	assert_int_equal(peershm_open(&handle, "routes", "bgpd", PEERSHM_CREATE, &options), 0);
	return handle;
}

DEVICE_CASE(published_root_is_looked_up)
{
	struct peershm *handle = open_region();
	struct peershm_root_info roots[2];

	assert_int_equal(peershm_publish(handle, "a", NULL, &things[0]), 0);
	assert_int_equal(peershm_publish(handle, "b", NULL, &things[1]), 0);
	assert_ptr_equal(peershm_lookup(handle, "a"), &things[0]);
	assert_ptr_equal(peershm_lookup(handle, "b"), &things[1]);
	assert_null(peershm_root(handle));
	assert_int_equal(peershm_roots(handle, NULL, 0), 2);
	assert_int_equal(peershm_roots(handle, roots, 1), 2);
	assert_string_equal(roots[0].name, "a");
	peershm_close(handle);
}

DEVICE_CASE(publish_over_another_value_is_eexist)
{
	struct peershm *handle = open_region();

	assert_int_equal(peershm_publish(handle, "a", NULL, &things[0]), 0);
	assert_int_equal(peershm_publish(handle, "a", NULL, &things[1]), -EEXIST);
	assert_non_null(strstr(peershm_strerror(EEXIST), "it has been changed"));
	assert_int_equal(peershm_publish(handle, "a", &things[0], &things[1]), 0);
	assert_ptr_equal(peershm_lookup(handle, "a"), &things[1]);
	peershm_close(handle);
}

DEVICE_CASE(withdrawn_root_is_enoent)
{
	struct peershm *handle = open_region();

	assert_int_equal(peershm_publish(handle, "a", NULL, &things[0]), 0);
	assert_int_equal(peershm_withdraw(handle, "a", &things[1]), -EEXIST);
	assert_int_equal(peershm_withdraw(handle, "a", &things[0]), 0);
	assert_int_equal(peershm_withdraw(handle, "a", NULL), -ENOENT);
	errno = 0;
	assert_null(peershm_lookup(handle, "a"));
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(peershm_strerror(ENOENT), "no root"));
	peershm_close(handle);
}

DEVICE_CASE(more_roots_than_there_is_room_for_is_enospc)
{
	struct peershm *handle = open_region();

	assert_int_equal(peershm_publish(handle, "a", NULL, things), 0);
	assert_int_equal(peershm_publish(handle, "b", NULL, things), 0);
	assert_int_equal(peershm_publish(handle, "c", NULL, things), -ENOSPC);
	assert_non_null(strstr(peershm_strerror(ENOSPC), "named roots"));
	peershm_close(handle);
}

DEVICE_CASE(root_that_was_changed_and_changed_back_is_not_replaced)
{
	static const char *const names[] = { NULL, "", "a" };
	struct peershm *handle = open_region();

	for (size_t i = 0; i < 3; i++) {
		struct peershm_root_info mine;
		struct peershm_root_info other;

		assert_int_equal(peershm_read_root(handle, names[i], &mine), 0);
		assert_int_equal(peershm_read_root(handle, names[i], &other), 0);
		assert_int_equal(peershm_replace_root(handle, &mine, &things[0]), 0);
		assert_int_equal(mine.root, (uintptr_t)&things[0]);
		assert_int_equal(peershm_replace_root(handle, &other, &things[1]), -EEXIST);

		assert_int_equal(peershm_read_root(handle, names[i], &other), 0);
		assert_int_equal(other.generation, mine.generation);
		assert_int_equal(peershm_replace_root(handle, &other, &things[1]), 0);
		assert_int_equal(peershm_replace_root(handle, &other, &things[0]), 0);
		assert_int_equal(other.root, mine.root);
		assert_int_equal(peershm_replace_root(handle, &mine, &things[2]), -EEXIST);
		assert_int_equal(peershm_replace_root(handle, &other, NULL), 0);
	}
	assert_null(peershm_lookup(handle, "a"));
	peershm_close(handle);
}

DEVICE_CASE(root_that_is_not_there_is_read_as_null)
{
	struct peershm_root_info info = { .root = 1, .generation = 1 };
	struct peershm *handle = open_region();

	assert_int_equal(peershm_read_root(handle, "a", &info), 0);
	assert_int_equal(info.root, 0);
	assert_int_equal(info.generation, 0);
	assert_string_equal(info.name, "a");
	peershm_close(handle);
}

DEVICE_CASE(roots_of_a_region_that_is_gone_are_enoent)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };
	struct peershm_root_info info = { .root = 1 };
	struct peershm *handle;

	assert_int_equal(peershm_open(&handle, "routes", NULL, PEERSHM_CREATE, &options), 0);
	assert_int_equal(peershm_unlink("routes"), 0);
	assert_int_equal(peershm_read_root(handle, "a", &info), -ENOENT);
	assert_int_equal(peershm_read_root(handle, NULL, &info), -ENOENT);
	assert_int_equal(info.root, 1);
	peershm_close(handle);
}

DEVICE_CASE(bad_arguments_are_einval_without_a_command)
{
	struct peershm *handle = open_region();
	struct peershm_root_info info = { .name = "a/b" };
	size_t commands = fake.nr_commands;

	assert_int_equal(peershm_publish(handle, "", NULL, things), -EINVAL);
	assert_int_equal(peershm_publish(handle, NULL, NULL, things), -EINVAL);
	assert_int_equal(peershm_publish(handle, "a/b", NULL, things), -EINVAL);
	assert_int_equal(peershm_publish(handle, "a", NULL, NULL), -EINVAL);
	assert_int_equal(peershm_publish(NULL, "a", NULL, things), -EINVAL);
	assert_int_equal(peershm_withdraw(handle, "", NULL), -EINVAL);
	assert_null(peershm_lookup(handle, ""));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(peershm_read_root(handle, "a", NULL), -EINVAL);
	assert_int_equal(peershm_read_root(handle, "a/b", &info), -EINVAL);
	assert_int_equal(peershm_replace_root(handle, NULL, things), -EINVAL);
	assert_int_equal(peershm_replace_root(handle, &info, things), -EINVAL);
	assert_int_equal(fake.nr_commands, commands);
	peershm_close(handle);
}
