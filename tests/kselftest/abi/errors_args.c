/* SPDX-License-Identifier: GPL-2.0-only */
/* Structs too short, too long or at bad addresses; unknown flags; padding that is not zero. */
#include <sys/mman.h>
#include <unistd.h>

#include "support/fixture.h"
#include "support/harness.h"

/* Every ioctl with so many bytes more: zeroes, or (if it is to fail) one of them not zero. */
static void try_longer(size_t more, size_t other, int want, const char *how)
{
	struct fixture *f = fixture_new();

	for_each_ioctl(c)
	{
		union argument a;
		int fd = fixture_fill(f, c, &a);

		a.size += (uint32_t)more;
		if (want)
			a.bytes[c->size + other] = 1;
		fixture_expect(f, c, fd, &a, want, how);
	}
	fixture_end(f);
}

CASE(every_call_with_the_exact_struct_succeeds)
{
	try_longer(0, 0, 0, "the exact size");
}

CASE(every_call_with_a_longer_struct_of_zero_tail_succeeds)
{
	try_longer(64, 0, 0, "a longer struct with a tail of zeroes");
}

CASE(every_call_with_a_longer_struct_of_other_tail_is_e2big)
{
	try_longer(64, 0, -E2BIG, "a tail that is not zero");
	try_longer(64, 63, -E2BIG, "a tail whose last byte is not zero");
}

CASE(every_call_with_a_struct_too_short_is_einval)
{
	struct fixture *f = fixture_new();

	for_each_ioctl(c)
	{
		const size_t sizes[] = { 0, 1, 4, c->size / 2, c->size - 1 };
		union argument a;
		int fd = fixture_fill(f, c, &a);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			a.size = (uint32_t)sizes[i];
			fixture_expect(f, c, fd, &a, -EINVAL, "too short a struct");
		}
	}
}

CASE(every_call_with_an_unknown_flag_is_einval)
{
	struct fixture *f = fixture_new();

	for_each_ioctl(c)
	{
		for (int bit = 0; bit < 32; bit++) {
			union argument a;
			int fd;

			if (c->flags & 1u << bit)
				continue;
			fd = fixture_fill(f, c, &a);
			a.flags = 1u << bit;
			fixture_expect(f, c, fd, &a, -EINVAL, "an unknown flag");
			fixture_end(f);
		}
	}
}

CASE(every_call_with_a_bad_pointer_is_efault)
{
	struct fixture *f = fixture_new();
	char *memory;

	memory = mmap(NULL, 3 * SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + SYSTEM_PAGE, SYSTEM_PAGE), 0);
	for_each_ioctl(c)
	{
		union argument a;
		int fd = fixture_fill(f, c, &a);

		fixture_expect(f, c, fd, NULL, -EFAULT, "NULL");
		fixture_expect(f, c, fd, memory + SYSTEM_PAGE, -EFAULT, "an unmapped page");
		fixture_expect(f, c, fd, (void *)~0xfffUL, -EFAULT, "an address of the kernel");
		memcpy(memory + SYSTEM_PAGE - 8, &a, 8);
		if (c->size > 8)
			fixture_expect(f, c, fd, memory + SYSTEM_PAGE - 8, -EFAULT,
				       "a struct cut off");
		memcpy(memory, &a, sizeof(a));
		assert_int_equal(mprotect(memory, SYSTEM_PAGE, PROT_READ), 0);
		fixture_expect(f, c, fd, memory, -EFAULT, "a struct that cannot be written");
		assert_int_equal(mprotect(memory, SYSTEM_PAGE, PROT_READ | PROT_WRITE), 0);
	}
	munmap(memory, 3 * SYSTEM_PAGE);
}

CASE(arrays_that_cannot_be_written_are_efault)
{
	struct fixture *f = fixture_new();
	struct peershm_clients clients = { .size = sizeof(clients),
					   .nr_clients = 4,
					   .record_size = sizeof(struct peershm_client_info) };
	struct peershm_roots roots = { .size = sizeof(roots),
				       .nr_roots = 4,
				       .record_size = sizeof(struct peershm_root_info) };
	struct peershm_regions regions = { .size = sizeof(regions),
					   .nr_regions = 4,
					   .record_size = sizeof(struct peershm_region_info) };
	struct peershm_grow grow = { .size = sizeof(grow),
				     .length = SYSTEM_PAGE,
				     .report.nr_peers = 4,
				     .report.record_size = sizeof(struct peershm_peer) };
	struct peershm_peer_map map = { .size = sizeof(map),
					.report.nr_peers = 4,
					.report.record_size = sizeof(struct peershm_peer) };
	uint64_t bad[2];
	int fd = f->witness->fd;
	void *read_only;

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

CASE(a_length_of_records_without_an_array_is_einval)
{
	struct fixture *f = fixture_new();
	struct peershm_clients clients = { .size = sizeof(clients),
					   .nr_clients = 1,
					   .record_size = sizeof(struct peershm_client_info) };
	struct peershm_roots roots = { .size = sizeof(roots),
				       .nr_roots = 1,
				       .record_size = sizeof(struct peershm_root_info) };
	struct peershm_grow grow = { .size = sizeof(grow),
				     .length = SYSTEM_PAGE,
				     .report.nr_peers = 1,
				     .report.record_size = sizeof(struct peershm_peer) };

	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_CLIENTS, &clients), -EINVAL);
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_ROOTS, &roots), -EINVAL);
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_GROW, &grow), -EINVAL);
	fixture_unchanged(f);
}

CASE(padding_that_is_not_zero_is_einval)
{
	struct fixture *f = fixture_new();

	for_each_ioctl(c)
	{
		union argument a;
		int fd = fixture_fill(f, c, &a);

		if (!c->padding)
			continue;
		a.bytes[c->padding] = 1;
		fixture_expect(f, c, fd, &a, -EINVAL, "padding that is not zero");
	}
}

static bool known(unsigned int nr)
{
	for_each_ioctl(c)
	{
		if (_IOC_NR(c->ioctl) == nr)
			return true;
	}
	return false;
}

CASE(unknown_commands_are_enotty)
{
	struct fixture *f = fixture_new();
	union argument a = { .size = 16 };

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
