/* SPDX-License-Identifier: GPL-2.0-only */
/* Structs that are too short, too long or not to be reached, and flags that are unknown. */
#include <sys/mman.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/harness.h"

static void every_call_with_the_exact_struct_succeeds(void **state)
{
	struct fixture *f = fixture_new();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = call_prepare(f, c, &a);

		call_expect(f, c, fd, &a, 0, "the exact size");
		if (c->command == PEERSHM_IOC_CREATE)
			assert_ok(do_unlink(fd, a.create.name));
	}
}

static void every_call_with_a_longer_struct_of_zero_tail_succeeds(void **state)
{
	struct fixture *f = fixture_new();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = call_prepare(f, c, &a);

		a.size = (uint32_t)c->size + 64;
		call_expect(f, c, fd, &a, 0, "a longer struct with a tail of zeroes");
		if (c->command == PEERSHM_IOC_CREATE)
			assert_ok(do_unlink(fd, a.create.name));
	}
}

static void every_call_with_a_longer_struct_of_other_tail_is_e2big(void **state)
{
	struct fixture *f = fixture_new();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = call_prepare(f, c, &a);

		a.size = (uint32_t)c->size + 64;
		a.bytes[c->size] = 1;
		call_expect(f, c, fd, &a, -E2BIG, "a tail that is not zero");
		a.bytes[c->size] = 0;
		a.bytes[c->size + 63] = 1;
		call_expect(f, c, fd, &a, -E2BIG, "a tail whose last byte is not zero");
	}
}

static void every_call_with_a_struct_too_short_is_einval(void **state)
{
	struct fixture *f = fixture_new();

	(void)state;
	for_each_call(c)
	{
		const size_t sizes[] = { 0, 1, 4, c->size / 2, c->size - 1 };
		union argument a;
		int fd = call_prepare(f, c, &a);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			a.size = (uint32_t)sizes[i];
			call_expect(f, c, fd, &a, -EINVAL, "too short a struct");
		}
	}
}

static void every_call_with_an_unknown_flag_is_einval(void **state)
{
	struct fixture *f = fixture_new();

	(void)state;
	for_each_call(c)
	{
		for (int bit = 0; bit < 32; bit++) {
			union argument a;
			uint32_t flag = 1u << bit;
			int fd;

			if ((c->command == PEERSHM_IOC_ATTACH && flag <= PEERSHM_ATTACH_DUMP) ||
			    (c->command == PEERSHM_IOC_GROW && flag == PEERSHM_GROW_TO) ||
			    (c->command == PEERSHM_IOC_PEER_MAP && flag <= PEERSHM_MAP_BY_NAME) ||
			    (c->command == PEERSHM_IOC_SET_ROOT &&
			     flag == PEERSHM_ROOT_GENERATION) ||
			    (c->command == PEERSHM_IOC_SHRINK &&
			     flag <= PEERSHM_SHRINK_ANNOUNCED) ||
			    (c->command == PEERSHM_IOC_RESOLVE && flag == PEERSHM_RESOLVE_BY_PID))
				continue;
			fd = call_prepare(f, c, &a);
			a.create.flags = flag; /* the second word of every struct */
			call_expect(f, c, fd, &a, -EINVAL, "an unknown flag");
			fixture_end(f);
		}
	}
}

static void every_call_with_a_bad_pointer_is_efault(void **state)
{
	struct fixture *f = fixture_new();
	char *memory;

	(void)state;
	memory = mmap(NULL, 3 * SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + SYSTEM_PAGE, SYSTEM_PAGE), 0);
	for_each_call(c)
	{
		union argument a;
		int fd = call_prepare(f, c, &a);

		call_expect(f, c, fd, NULL, -EFAULT, "NULL");
		call_expect(f, c, fd, memory + SYSTEM_PAGE, -EFAULT, "an unmapped page");
		call_expect(f, c, fd, (void *)~0xfffUL, -EFAULT, "an address of the kernel");
		memcpy(memory + SYSTEM_PAGE - 8, &a, 8);
		if (c->size > 8)
			call_expect(f, c, fd, memory + SYSTEM_PAGE - 8, -EFAULT,
				    "a struct cut off");
		memcpy(memory, &a, sizeof(a));
		assert_int_equal(mprotect(memory, SYSTEM_PAGE, PROT_READ), 0);
		call_expect(f, c, fd, memory, -EFAULT, "a struct that cannot be written");
		assert_int_equal(mprotect(memory, SYSTEM_PAGE, PROT_READ | PROT_WRITE), 0);
	}
	munmap(memory, 3 * SYSTEM_PAGE);
}

static void arrays_that_cannot_be_written_are_efault(void **state)
{
	struct fixture *f = fixture_new();
	struct peershm_clients clients = { .size = sizeof(clients), .nr_clients = 4 };
	struct peershm_roots roots = { .size = sizeof(roots), .nr_roots = 4 };
	struct peershm_regions regions = { .size = sizeof(regions), .nr_regions = 4 };
	struct peershm_grow grow = { .size = sizeof(grow),
				     .length = SYSTEM_PAGE,
				     .report.nr_peers = 4 };
	struct peershm_peer_map map = { .size = sizeof(map), .report.nr_peers = 4 };
	uint64_t bad[2];
	int fd = f->witness->fd;
	void *read_only;

	(void)state;
	read_only = mmap(NULL, SYSTEM_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(read_only, MAP_FAILED);
	assert_ok(do_publish(fd, 0, "one", 0, f->region->base));
	snapshot_again(f->before);
	bad[0] = 8;
	bad[1] = (uintptr_t)read_only;
	for (int i = 0; i < 2; i++) {
		clients.clients = bad[i];
		regions.regions = bad[i];
		roots.roots = bad[i];
		grow.report.peers = bad[i];
		map.report.peers = bad[i];
		assert_error(xioctl(fd, PEERSHM_IOC_CLIENTS, &clients), -EFAULT);
		assert_error(xioctl(fd, PEERSHM_IOC_REGIONS, &regions), -EFAULT);
		assert_error(xioctl(fd, PEERSHM_IOC_ROOTS, &roots), -EFAULT);
		assert_error(xioctl(fd, PEERSHM_IOC_GROW, &grow), -EFAULT);
		assert_error(xioctl(fd, PEERSHM_IOC_PEER_MAP, &map), -EFAULT);
		fixture_unchanged(f);
	}
	munmap(read_only, SYSTEM_PAGE);
}

static void a_length_of_records_without_an_array_is_einval(void **state)
{
	struct fixture *f = fixture_new();
	struct peershm_clients clients = { .size = sizeof(clients), .nr_clients = 1 };
	struct peershm_roots roots = { .size = sizeof(roots), .nr_roots = 1 };
	struct peershm_grow grow = { .size = sizeof(grow),
				     .length = SYSTEM_PAGE,
				     .report.nr_peers = 1 };

	(void)state;
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_CLIENTS, &clients), -EINVAL);
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_ROOTS, &roots), -EINVAL);
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_GROW, &grow), -EINVAL);
	fixture_unchanged(f);
}

static void padding_that_is_not_zero_is_einval(void **state)
{
	struct fixture *f = fixture_new();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = call_prepare(f, c, &a);

		switch (c->command) {
		case PEERSHM_IOC_CREATE:
			a.create.reserved = 1;
			break;
		case PEERSHM_IOC_PEER_MAP:
			a.peer_map.reserved = 1;
			break;
		case PEERSHM_IOC_CLIENTS:
			a.clients.reserved = 1;
			break;
		case PEERSHM_IOC_RESOLVE:
			a.resolve.reserved = 1;
			break;
		case PEERSHM_IOC_REGIONS:
			a.regions.reserved = 1;
			break;
		case PEERSHM_IOC_SET_ROOT:
			a.set_root.expected_generation = 1;
			break;
		case PEERSHM_IOC_ROOTS:
			a.roots.reserved = 1;
			break;
		default:
			continue;
		}
		call_expect(f, c, fd, &a, -EINVAL, "padding that is not zero");
	}
}

static bool known(unsigned int nr)
{
	for_each_call(c)
	{
		if (_IOC_NR(c->command) == nr)
			return true;
	}
	return false;
}

static void unknown_commands_are_enotty(void **state)
{
	struct fixture *f = fixture_new();
	union argument a = { 0 };

	(void)state;
	a.size = 16;
	for (unsigned int nr = 0; nr < 256; nr++) {
		if (known(nr))
			continue;
		assert_error(xioctl(f->witness->fd, _IO(PEERSHM_IOC_TYPE, nr), &a), -ENOTTY);
	}
	assert_error(xioctl(f->witness->fd, _IOWR(PEERSHM_IOC_TYPE, 0x13, struct peershm_grow), &a),
		     -ENOTTY);
	assert_error(xioctl(f->witness->fd, _IO('x', 0x13), &a), -ENOTTY);
	fixture_unchanged(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_call_with_the_exact_struct_succeeds),
		TEST(every_call_with_a_longer_struct_of_zero_tail_succeeds),
		TEST(every_call_with_a_longer_struct_of_other_tail_is_e2big),
		TEST(every_call_with_a_struct_too_short_is_einval),
		TEST(every_call_with_an_unknown_flag_is_einval),
		TEST(every_call_with_a_bad_pointer_is_efault),
		TEST(arrays_that_cannot_be_written_are_efault),
		TEST(a_length_of_records_without_an_array_is_einval),
		TEST(padding_that_is_not_zero_is_einval),
		TEST(unknown_commands_are_enotty),
	};

	return test_run(tests);
}
