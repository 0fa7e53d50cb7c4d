/* SPDX-License-Identifier: GPL-2.0-only */
/* Bad arguments get the errno value that the ABI says, and change nothing. */
#include <sys/mman.h>
#include <unistd.h>

#include "common/harness.h"

#define STEP (1 * MIB)

/* A region this process is a client of, and one that it is not. */
struct fixture {
	struct region *region, *other;
	struct client *witness;
	struct snapshot *before;
	struct peershm_region_info other_before;
	int files[64];
	unsigned int nr_files;
};

union argument {
	uint32_t size;
	struct peershm_create create;
	struct peershm_attach attach;
	struct peershm_detach detach;
	struct peershm_grow grow;
	struct peershm_peer_map peer_map;
	struct peershm_shrink shrink;
	struct peershm_set_root set_root;
	struct peershm_get_root get_root;
	struct peershm_roots roots;
	struct peershm_clients clients;
	struct peershm_resolve resolve;
	struct peershm_regions regions;
	struct peershm_stat stat;
	struct peershm_unlink unlink;
	struct peershm_set_reserve set_reserve;
	struct peershm_watch watch;
	char bytes[1024];
};

static struct fixture fixture;

static void fixture_end(void *arg)
{
	struct fixture *f = arg;

	while (f->nr_files > 0)
		close(f->files[--f->nr_files]);
}

static struct fixture *setup(void)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	test_cleanup(fixture_end, f);
	f->region = region_new(&backings[PEERSHM_SMALL], GIB);
	f->other = region_new(&backings[PEERSHM_SMALL], GIB);
	region_grow(f->region, STEP);
	region_grow(f->other, STEP);
	f->witness = client_new(f->region, "witness");
	f->before = snapshot_take(f->witness);
	assert_ok(do_stat(f->other->fd, f->other->id, NULL, &f->other_before));
	return f;
}

static int new_file(struct fixture *f)
{
	int fd = device_open(O_RDWR);

	assert_true(fd >= 0 && f->nr_files < 64);
	f->files[f->nr_files++] = fd;
	return fd;
}

static void nothing_changed(struct fixture *f)
{
	struct peershm_region_info now;

	snapshot_same(f->before);
	assert_ok(do_stat(f->other->fd, f->other->id, NULL, &now));
	assert_memory_equal(&f->other_before, &now, sizeof(now));
}

/* Arguments of a call that would succeed, and the file for it. */
static int fill_create(struct fixture *f, union argument *a)
{
	region_name(a->create.name);
	a->create.capacity = GIB;
	return new_file(f);
}

static int fill_attach(struct fixture *f, union argument *a)
{
	put_name(a->attach.region_name, f->other->name);
	put_name(a->attach.client_name, "client");
	return new_file(f);
}

static int fill_detach(struct fixture *f, union argument *a)
{
	(void)a;
	return f->witness->fd;
}

static int fill_grow(struct fixture *f, union argument *a)
{
	a->grow.length = SYSTEM_PAGE;
	return f->witness->fd;
}

static int fill_nothing(struct fixture *f, union argument *a)
{
	(void)a;
	return f->witness->fd;
}

static int fill_shrink(struct fixture *f, union argument *a)
{
	a->shrink.new_size = STEP - SYSTEM_PAGE;
	return f->witness->fd;
}

static int fill_set_root(struct fixture *f, union argument *a)
{
	a->set_root.root = f->region->base;
	return f->witness->fd;
}

static int fill_resolve(struct fixture *f, union argument *a)
{
	put_name(a->resolve.name, "witness");
	return f->witness->fd;
}

static int fill_unlink(struct fixture *f, union argument *a)
{
	put_name(a->unlink.name, f->other->name);
	return new_file(f);
}

static int fill_watch(struct fixture *f, union argument *a)
{
	a->watch.region = f->other->id;
	return new_file(f);
}

static const struct call {
	const char *name;
	unsigned long command;
	size_t size;
	int (*fill)(struct fixture *f, union argument *a);
} calls[] = {
	{ "CREATE", PEERSHM_IOC_CREATE, sizeof(struct peershm_create), fill_create },
	{ "ATTACH", PEERSHM_IOC_ATTACH, sizeof(struct peershm_attach), fill_attach },
	{ "GROW", PEERSHM_IOC_GROW, sizeof(struct peershm_grow), fill_grow },
	{ "PEER_MAP", PEERSHM_IOC_PEER_MAP, sizeof(struct peershm_peer_map), fill_nothing },
	{ "SHRINK", PEERSHM_IOC_SHRINK, sizeof(struct peershm_shrink), fill_shrink },
	{ "SET_ROOT", PEERSHM_IOC_SET_ROOT, sizeof(struct peershm_set_root), fill_set_root },
	{ "SET_RESERVE", PEERSHM_IOC_SET_RESERVE, sizeof(struct peershm_set_reserve),
	  fill_nothing },
	{ "GET_ROOT", PEERSHM_IOC_GET_ROOT, sizeof(struct peershm_get_root), fill_nothing },
	{ "ROOTS", PEERSHM_IOC_ROOTS, sizeof(struct peershm_roots), fill_nothing },
	{ "CLIENTS", PEERSHM_IOC_CLIENTS, sizeof(struct peershm_clients), fill_nothing },
	{ "RESOLVE", PEERSHM_IOC_RESOLVE, sizeof(struct peershm_resolve), fill_resolve },
	{ "REGIONS", PEERSHM_IOC_REGIONS, sizeof(struct peershm_regions), fill_nothing },
	{ "STAT", PEERSHM_IOC_STAT, sizeof(struct peershm_stat), fill_nothing },
	{ "WATCH", PEERSHM_IOC_WATCH, sizeof(struct peershm_watch), fill_watch },
	{ "UNLINK", PEERSHM_IOC_UNLINK, sizeof(struct peershm_unlink), fill_unlink },
	{ "DETACH", PEERSHM_IOC_DETACH, sizeof(struct peershm_detach), fill_detach },
};

#define for_each_call(c) \
	for (const struct call *c = calls; c < calls + sizeof(calls) / sizeof(calls[0]); c++)

static int prepare(struct fixture *f, const struct call *c, union argument *a)
{
	memset(a, 0, sizeof(*a));
	a->size = (uint32_t)c->size;
	return c->fill(f, a);
}

/* What a call with these arguments gives; with its name if it is not `want`. */
static void expect(struct fixture *f, const struct call *c, int fd, void *arg, int want,
		   const char *how)
{
	int got = xioctl(fd, c->command, arg);

	if (got != want) {
		print_error("with %s: ", how);
		test_error(got, want, c->name, __FILE__, __LINE__);
	}
	if (want)
		nothing_changed(f);
}

/* In the order of the table every call can be made once in a fixture. */
static void every_call_with_the_exact_struct_succeeds(void **state)
{
	struct fixture *f = setup();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = prepare(f, c, &a);

		expect(f, c, fd, &a, 0, "the exact size");
		if (c->command == PEERSHM_IOC_CREATE)
			assert_ok(do_unlink(fd, a.create.name));
	}
}

static void every_call_with_a_longer_struct_of_zero_tail_succeeds(void **state)
{
	struct fixture *f = setup();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = prepare(f, c, &a);

		a.size = (uint32_t)c->size + 64;
		expect(f, c, fd, &a, 0, "a longer struct with a tail of zeroes");
		if (c->command == PEERSHM_IOC_CREATE)
			assert_ok(do_unlink(fd, a.create.name));
	}
}

static void every_call_with_a_longer_struct_of_other_tail_is_e2big(void **state)
{
	struct fixture *f = setup();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = prepare(f, c, &a);

		a.size = (uint32_t)c->size + 64;
		a.bytes[c->size] = 1;
		expect(f, c, fd, &a, -E2BIG, "a tail that is not zero");
		a.bytes[c->size] = 0;
		a.bytes[c->size + 63] = 1;
		expect(f, c, fd, &a, -E2BIG, "a tail whose last byte is not zero");
	}
}

static void every_call_with_a_struct_too_short_is_einval(void **state)
{
	struct fixture *f = setup();

	(void)state;
	for_each_call(c)
	{
		const size_t sizes[] = { 0, 1, 4, c->size / 2, c->size - 1 };
		union argument a;
		int fd = prepare(f, c, &a);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			a.size = (uint32_t)sizes[i];
			expect(f, c, fd, &a, -EINVAL, "too short a struct");
		}
	}
}

static void every_call_with_an_unknown_flag_is_einval(void **state)
{
	struct fixture *f = setup();

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
			fd = prepare(f, c, &a);
			a.create.flags = flag; /* the second word of every struct */
			expect(f, c, fd, &a, -EINVAL, "an unknown flag");
			fixture_end(f);
		}
	}
}

static void every_call_with_a_bad_pointer_is_efault(void **state)
{
	struct fixture *f = setup();
	char *memory;

	(void)state;
	memory = mmap(NULL, 3 * SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + SYSTEM_PAGE, SYSTEM_PAGE), 0);
	for_each_call(c)
	{
		union argument a;
		int fd = prepare(f, c, &a);

		expect(f, c, fd, NULL, -EFAULT, "NULL");
		expect(f, c, fd, memory + SYSTEM_PAGE, -EFAULT, "an unmapped page");
		expect(f, c, fd, (void *)~0xfffUL, -EFAULT, "an address of the kernel");
		memcpy(memory + SYSTEM_PAGE - 8, &a, 8);
		if (c->size > 8)
			expect(f, c, fd, memory + SYSTEM_PAGE - 8, -EFAULT, "a struct cut off");
		memcpy(memory, &a, sizeof(a));
		assert_int_equal(mprotect(memory, SYSTEM_PAGE, PROT_READ), 0);
		expect(f, c, fd, memory, -EFAULT, "a struct that cannot be written");
		assert_int_equal(mprotect(memory, SYSTEM_PAGE, PROT_READ | PROT_WRITE), 0);
	}
	munmap(memory, 3 * SYSTEM_PAGE);
}

static void arrays_that_cannot_be_written_are_efault(void **state)
{
	struct fixture *f = setup();
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
		nothing_changed(f);
	}
	munmap(read_only, SYSTEM_PAGE);
}

static void a_length_of_records_without_an_array_is_einval(void **state)
{
	struct fixture *f = setup();
	struct peershm_clients clients = { .size = sizeof(clients), .nr_clients = 1 };
	struct peershm_roots roots = { .size = sizeof(roots), .nr_roots = 1 };
	struct peershm_grow grow = { .size = sizeof(grow),
				     .length = SYSTEM_PAGE,
				     .report.nr_peers = 1 };

	(void)state;
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_CLIENTS, &clients), -EINVAL);
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_ROOTS, &roots), -EINVAL);
	assert_error(xioctl(f->witness->fd, PEERSHM_IOC_GROW, &grow), -EINVAL);
	nothing_changed(f);
}

static void padding_that_is_not_zero_is_einval(void **state)
{
	struct fixture *f = setup();

	(void)state;
	for_each_call(c)
	{
		union argument a;
		int fd = prepare(f, c, &a);

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
		expect(f, c, fd, &a, -EINVAL, "padding that is not zero");
	}
}

/* Where a call takes a name; NULL if it takes none. */
static char *name_in(const struct call *c, union argument *a, bool second)
{
	switch (c->command) {
	case PEERSHM_IOC_CREATE:
		return a->create.name;
	case PEERSHM_IOC_ATTACH:
		return second ? a->attach.client_name : a->attach.region_name;
	case PEERSHM_IOC_PEER_MAP:
		a->peer_map.flags = PEERSHM_MAP_BY_NAME;
		return a->peer_map.name;
	case PEERSHM_IOC_RESOLVE:
		return a->resolve.name;
	case PEERSHM_IOC_STAT:
		return a->stat.name;
	case PEERSHM_IOC_UNLINK:
		return a->unlink.name;
	case PEERSHM_IOC_SET_ROOT:
		return a->set_root.name;
	case PEERSHM_IOC_GET_ROOT:
		return a->get_root.info.name;
	default:
		return NULL;
	}
}

/* STAT without a name means this file's region; there is a root without one. */
static bool may_be_empty(const struct call *c)
{
	return c->command == PEERSHM_IOC_STAT || c->command == PEERSHM_IOC_SET_ROOT ||
	       c->command == PEERSHM_IOC_GET_ROOT;
}

static void bad_names_are_einval_everywhere(void **state)
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
	struct fixture *f = setup();

	(void)state;
	for_each_call(c)
	{
		for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
			bool second = i & 1;
			union argument a;
			int fd = prepare(f, c, &a);
			char *name = name_in(c, &a, second);

			if (name && !(i / 2 == 0 && may_be_empty(c))) {
				memcpy(name, bad[i / 2].bytes, PEERSHM_NAME_SIZE);
				expect(f, c, fd, &a, -EINVAL, bad[i / 2].how);
			}
			if (fd != f->witness->fd)
				fixture_end(f);
		}
	}
}

static void names_of_1_to_63_bytes_of_any_kind_are_good(void **state)
{
	static const char *const good[] = {
		"x",
		" ",
		".",
		"..",
		"\xc3\xa4\xff",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
	};
	struct fixture *f = setup();
	int fd = new_file(f);

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct peershm_attach at;
		pid_t pid;

		assert_ok(do_create(fd, good[i], &backings[PEERSHM_SMALL], GIB, NULL));
		assert_ok(do_attach(fd, good[i], good[i], 0, &at));
		assert_ok(do_resolve_name(fd, 0, good[i], &pid));
		assert_int_equal(pid, getpid());
		assert_ok(do_detach(fd));
		assert_ok(do_unlink(fd, good[i]));
	}
}

static void lengths_that_make_no_sense_are_einval(void **state)
{
	const uint64_t bad[] = { 0,
				 1,
				 SYSTEM_PAGE - 1,
				 SYSTEM_PAGE + 1,
				 ~0ULL,
				 1ULL << 63 | 1,
				 (uint64_t)-SYSTEM_PAGE };
	struct fixture *f = setup();
	int fd = f->witness->fd;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_error(do_grow(fd, 0, bad[i], NULL), -EINVAL);
		nothing_changed(f);
		if (bad[i] & (SYSTEM_PAGE - 1)) {
			assert_error(do_grow_to(fd, 0, bad[i], NULL), -EINVAL);
			assert_error(do_shrink(fd, 0, bad[i], NULL), -EINVAL);
		}
		nothing_changed(f);
	}
	assert_error(do_shrink(fd, 0, STEP + SYSTEM_PAGE, NULL), -EINVAL);
	assert_error(do_shrink(fd, 0, (uint64_t)-SYSTEM_PAGE, NULL), -EINVAL);
	nothing_changed(f);
}

static void lengths_of_half_a_huge_page_are_einval(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r = region_new(b, b->capacity);
	struct client *witness = client_new(r, "witness");
	struct snapshot *before = snapshot_take(witness);

	assert_error_changes_nothing(before, do_grow(r->fd, r->id, b->page / 2, NULL), -EINVAL);
	assert_error_changes_nothing(before, do_grow_to(r->fd, r->id, b->page * 3 / 2, NULL),
				     -EINVAL);
	assert_error_changes_nothing(before, do_shrink(r->fd, r->id, b->page / 2, NULL), -EINVAL);
}

static void bad_ranges_of_peer_map_are_einval(void **state)
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
	struct fixture *f = setup();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct peershm_peer_map m = { .size = sizeof(m),
					      .offset = bad[i].offset,
					      .length = bad[i].length };

		assert_error(xioctl(f->witness->fd, PEERSHM_IOC_PEER_MAP, &m), -EINVAL);
		nothing_changed(f);
	}
}

static void bad_choices_of_peers_are_einval(void **state)
{
	struct fixture *f = setup();
	struct peershm_peer_map maps[] = {
		{ .flags = PEERSHM_MAP_BY_PID | PEERSHM_MAP_BY_NAME, .pid = 1, .name = "a" },
		{ .flags = PEERSHM_MAP_BY_PID },
		{ .flags = PEERSHM_MAP_BY_PID, .pid = -1 },
		{ .report.timeout_ms = 60001 },
		{ .report.nr_peers = 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		maps[i].size = sizeof(maps[i]);
		assert_error(xioctl(f->witness->fd, PEERSHM_IOC_PEER_MAP, &maps[i]), -EINVAL);
		nothing_changed(f);
	}
}

static void bad_regions_are_not_created(void **state)
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
	struct fixture *f = setup();
	char name[PEERSHM_NAME_SIZE];
	int fd = new_file(f);

	(void)state;
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
	nothing_changed(f);
}

static void a_root_outside_the_active_memory_is_einval(void **state)
{
	struct fixture *f = setup();
	uint64_t base = f->region->base;
	int fd = f->witness->fd;

	(void)state;
	assert_error(do_set_root(fd, 0, 0, base - 1), -EINVAL);
	assert_error(do_set_root(fd, 0, 0, base + STEP), -EINVAL);
	assert_error(do_set_root(fd, 0, 0, 1), -EINVAL);
	assert_error(do_set_root(fd, 0, 0, ~0ULL), -EINVAL);
	nothing_changed(f);
	assert_ok(do_set_root(fd, 0, 0, base + STEP - 1));
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
	struct fixture *f = setup();
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
	nothing_changed(f);
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
		TEST(bad_names_are_einval_everywhere),
		TEST(names_of_1_to_63_bytes_of_any_kind_are_good),
		TEST(lengths_that_make_no_sense_are_einval),
		TEST_BACKINGS(lengths_of_half_a_huge_page_are_einval),
		TEST(bad_ranges_of_peer_map_are_einval),
		TEST(bad_choices_of_peers_are_einval),
		TEST(bad_regions_are_not_created),
		TEST(a_root_outside_the_active_memory_is_einval),
		TEST(unknown_commands_are_enotty),
	};

	return test_run(tests);
}
