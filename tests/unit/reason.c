/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The message for each errno that each command can fail with. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "region.h"

#define GIB (1ULL << 30)

static struct peershm *reader;

static int open_reader(void)
{
	return peershm_open(&reader, "routes", "reader", PEERSHM_READ_ONLY | PEERSHM_DUMP, NULL);
}

static int teardown(void **state)
{
	peershm_close(reader);
	reader = NULL;
	return region_teardown(state);
}

#define READER_CASE(name) CASE_WITH(name, region_setup, teardown)

static int open_writer(void)
{
	struct peershm *handle;

	return peershm_open(&handle, "routes", "writer", 0, NULL);
}

static int make(enum peershm_backing backing)
{
	struct peershm_options options = { .capacity = GIB, .backing = backing };
	struct peershm *handle = NULL;

	return peershm_open(&handle, "new", "ann", PEERSHM_CREATE, &options);
}

static int make_small(void)
{
	return make(PEERSHM_SMALL);
}

static int make_thp(void)
{
	return make(PEERSHM_THP);
}

static int make_2m(void)
{
	return make(PEERSHM_HUGETLB_2M);
}

static int make_1g(void)
{
	return make(PEERSHM_HUGETLB_1G);
}

static int grow(void)
{
	return peershm_grow(client, 8192, NULL);
}

/* A report that was not zeroed. */
static struct peershm_report bad = { .peers = (struct peershm_peer *)4096, .max_peers = 7 };

static int grow_with_a_bad_report(void)
{
	return peershm_grow(client, 8192, &bad);
}

static int map_with_a_bad_report(void)
{
	return peershm_map_all(client, 0, 0, &bad);
}

static int shrink(void)
{
	return peershm_shrink_force(client, 0);
}

static int set_reserve(void)
{
	return peershm_set_reserve(client, 4096);
}

static int map_range(void)
{
	return peershm_map_all(client, 1, 1, NULL);
}

static int map_pid(void)
{
	return peershm_map_pid(client, 99, 0, 0, NULL);
}

static int map_name(void)
{
	return peershm_map_name(client, "zebra", 0, 0, NULL);
}

static int withdraw(void)
{
	return peershm_withdraw(client, "index", NULL);
}

static int look_up(void)
{
	errno = 0;
	return peershm_lookup(client, "index") ? 0 : -errno;
}

static int root(void)
{
	return peershm_set_root(client, NULL, client);
}

static int clients(void)
{
	return peershm_clients(client, NULL, 0);
}

static int root_of_a_region_that_is_gone(void)
{
	errno = 0;
	return peershm_root(administrator) ? 0 : -errno;
}

static int list(void)
{
	return peershm_regions(NULL, 0);
}

static int unlink_it(void)
{
	return peershm_unlink("routes");
}

static int resolve_pid(void)
{
	char name[PEERSHM_NAME_SIZE];

	return peershm_resolve_pid(client, 99, name);
}

static int resolve_name(void)
{
	pid_t pid;

	return peershm_resolve_name(client, "zebra", &pid);
}

static const struct {
	int (*call)(void);
	unsigned long command; /* the one that fails */
	int with;
	const char *says;
} reasons[] = {
	{ make_small, PEERSHM_IOC_CREATE, EINVAL, "the module refuses a capacity of" },
	{ make_small, PEERSHM_IOC_CREATE, EACCES, "permission denied" },
	{ make_small, PEERSHM_IOC_CREATE, EADDRINUSE, "is taken by" },
	{ make_small, PEERSHM_IOC_CREATE, ENOSPC, "max_user_capacity" },
	{ make_small, PEERSHM_IOC_CREATE, ENOMEM, "no memory left" },
	{ make_small, PEERSHM_IOC_CREATE, ENFILE, "fs.file-max" },
	{ make_small, PEERSHM_IOC_CREATE, ENODEV, "the backing asked for" },
	{ make_small, PEERSHM_IOC_CREATE, EPERM, "hugetlb_group" },
	{ make_thp, PEERSHM_IOC_CREATE, ENODEV, "no transparent huge pages" },
	{ make_2m, PEERSHM_IOC_CREATE, ENODEV, "no 2 MiB huge pages" },
	{ make_1g, PEERSHM_IOC_CREATE, ENODEV, "no 1 GiB huge pages" },
	{ make_2m, PEERSHM_IOC_CREATE, ENOMEM, "hugepages-2048kB" },
	{ make_1g, PEERSHM_IOC_CREATE, ENOMEM, "hugepages-1048576kB" },
	{ open_reader, PEERSHM_IOC_ATTACH, ENOENT, "no region of this name" },
	{ open_reader, PEERSHM_IOC_ATTACH, EACCES, "the region has mode" },
	{ open_writer, PEERSHM_IOC_ATTACH, EACCES, "with PEERSHM_READ_ONLY" },
	{ open_reader, PEERSHM_IOC_ATTACH, EADDRINUSE, "is taken by" },
	{ open_reader, PEERSHM_IOC_ATTACH, EAGAIN, "RLIMIT_MEMLOCK" },
	{ open_reader, PEERSHM_IOC_ATTACH, EEXIST, "is taken by a live process" },
	{ open_reader, PEERSHM_IOC_ATTACH, ENOSPC, "the region has its 4 clients" },
	{ open_reader, PEERSHM_IOC_ATTACH, EALREADY, "a client of the region already" },
	{ open_reader, PEERSHM_IOC_ATTACH, EINTR, "interrupted" },
	{ grow, PEERSHM_IOC_GROW, ENOMEM, "no memory left" },
	{ grow, PEERSHM_IOC_GROW, ENOSPC, "max_bytes" },
	{ grow, PEERSHM_IOC_GROW, EINTR, "interrupted" },
	{ grow, PEERSHM_IOC_GROW, EACCES, "with PEERSHM_READ_ONLY" },
	{ grow, PEERSHM_IOC_GROW, EFAULT, "bad address" },
	{ grow_with_a_bad_report, PEERSHM_IOC_GROW, EFAULT, "its peers does not point" },
	{ map_with_a_bad_report, PEERSHM_IOC_PEER_MAP, EFAULT, "its peers does not point" },
	{ shrink, PEERSHM_IOC_SHRINK, EINVAL, "the region is smaller" },
	{ shrink, PEERSHM_IOC_SHRINK, EINTR, "interrupted" },
	{ shrink, PEERSHM_IOC_SHRINK, EBUSY, "another client has announced" },
	{ set_reserve, PEERSHM_IOC_SET_RESERVE, EPERM, "hugetlb_group" },
	{ map_range, PEERSHM_IOC_PEER_MAP, EINVAL, "whole pages" },
	{ map_range, PEERSHM_IOC_PEER_MAP, ENOENT, "the region is gone" },
	{ map_pid, PEERSHM_IOC_PEER_MAP, ENOENT, "process 99 is not a client" },
	{ map_pid, PEERSHM_IOC_PEER_MAP, EACCES, "the region has mode 0600" },
	{ map_name, PEERSHM_IOC_PEER_MAP, ENOENT, "no client named zebra" },
	{ root, PEERSHM_IOC_SET_ROOT, EINVAL, "the root must be" },
	{ root, PEERSHM_IOC_SET_ROOT, EEXIST, "not the expected one" },
	{ root, PEERSHM_IOC_SET_ROOT, ENOTCONN, "not a client" },
	{ root_of_a_region_that_is_gone, PEERSHM_IOC_STAT, ENOENT, "the region is gone" },
	{ clients, PEERSHM_IOC_CLIENTS, ENOENT, "the region is gone" },
	{ list, PEERSHM_IOC_REGIONS, ENOMEM, "out of memory" },
	{ unlink_it, PEERSHM_IOC_UNLINK, EACCES, "only the owner, user 0," },
	{ unlink_it, PEERSHM_IOC_UNLINK, EINTR, "interrupted" },
	{ unlink_it, PEERSHM_IOC_UNLINK, ENOENT, "no region of this name" },
	{ resolve_pid, PEERSHM_IOC_RESOLVE, ENOENT, "process 99 is not a client" },
	{ resolve_name, PEERSHM_IOC_RESOLVE, ENOENT, "no client named zebra" },
	{ withdraw, PEERSHM_IOC_SET_ROOT, ENOENT, "no root named index" },
	{ look_up, PEERSHM_IOC_GET_ROOT, ENOENT, "no root named index" },
	{ resolve_pid, PEERSHM_IOC_RESOLVE, ENOTTY, "does not know this command" },
};

READER_CASE(every_error_says_what_was_in_the_way)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		fake.fail_command = reasons[i].command;
		fake.fail_with = reasons[i].with;
		assert_int_equal(reasons[i].call(), -reasons[i].with);
		assert_contains(peershm_strerror(-reasons[i].with), reasons[i].says);
		fake.fail_command = 0;
	}
}

static int fail_open(const char *path, int flags)
{
	(void)path;
	(void)flags;
	errno = fake.fail_with;
	return -1;
}

READER_CASE(a_device_that_cannot_be_opened_says_why)
{
	struct pshm_system system = fake_system;
	struct stat node;

	system.open = fail_open;
	pshm_system = &system;
	fake.fail_with = EACCES;
	assert_int_equal(list(), -EACCES);
	/* The message depends on whether this machine has the device. */
	assert_contains(peershm_strerror(EACCES),
			stat(PEERSHM_DEVICE, &node) ? "cannot be opened" : "for reading");
	assert_int_equal(unlink_it(), -EACCES);
	fake.fail_with = ENOENT;
	assert_int_equal(list(), -ENODEV);
	assert_contains(peershm_strerror(ENODEV), "not loaded");
	fake.fail_with = EMFILE;
	assert_int_equal(list(), -EMFILE);
	assert_contains(peershm_strerror(EMFILE), "RLIMIT_NOFILE");
	pshm_system = &fake_system;
}

READER_CASE(a_read_only_handle_is_told_so)
{
	struct peershm_options options = { .capacity = GIB, .base = 0x570000000000 };

	assert_int_equal(peershm_open(&reader, "mine", "reader", PEERSHM_CREATE | PEERSHM_READ_ONLY,
				      &options),
			 0);
	fake.fail_command = PEERSHM_IOC_GROW;
	fake.fail_with = EACCES;
	assert_int_equal(peershm_grow(reader, 4096, NULL), -EACCES);
	assert_contains(peershm_strerror(EACCES), "opened read-only");
}

static int deny(int fd, unsigned long command, void *argument)
{
	(void)fd;
	(void)command;
	(void)argument;
	errno = EACCES;
	return -1;
}

/* A caller that may not even read the region is not told its permissions. */
READER_CASE(what_cannot_be_looked_at_is_not_described)
{
	struct pshm_system system = fake_system;

	system.ioctl = deny;
	pshm_system = &system;
	assert_int_equal(unlink_it(), -EACCES);
	assert_string_equal(peershm_strerror(EACCES),
			    "denied: only the owner may remove the region");
	assert_int_equal(grow(), -EACCES);
	assert_string_equal(peershm_strerror(EACCES), pshm_sentence(EACCES));
	pshm_system = &fake_system;
}

READER_CASE(of_a_region_that_is_gone_no_client_or_root_is_missed)
{
	struct peershm *watcher = NULL;
	pid_t pid;

	assert_int_equal(peershm_open(&watcher, "routes", NULL, 0, NULL), 0);
	peershm_close(client);
	client = NULL;
	assert_int_equal(unlink_it(), 0);
	fake.fail_command = PEERSHM_IOC_RESOLVE;
	fake.fail_with = ENOENT;
	assert_int_equal(peershm_resolve_name(watcher, "zebra", &pid), -ENOENT);
	assert_contains(peershm_strerror(ENOENT), "the region is gone");
	fake.fail_command = 0;
	assert_null(peershm_lookup(watcher, "index"));
	assert_contains(peershm_strerror(ENOENT), "the region is gone");
	peershm_close(watcher);
}

READER_CASE(timeout_above_a_minute_is_einval_and_named)
{
	struct peershm_report report = { .timeout_ms = 60001 };
	size_t commands = fake.nr_commands;

	assert_int_equal(peershm_grow(client, 4096, &report), -EINVAL);
	assert_contains(peershm_strerror(EINVAL), "timeout_ms is 60001, and at most 60000");
	assert_int_equal(peershm_map_all(client, 0, 0, &report), -EINVAL);
	assert_contains(peershm_strerror(EINVAL), "timeout_ms");
	assert_int_equal(fake.nr_commands, commands);
	report.timeout_ms = 60000;
	assert_int_equal(peershm_grow(client, 4096, &report), 0);
}

READER_CASE(nothing_to_grow_by_is_einval_and_says_so)
{
	size_t commands = fake.nr_commands;

	assert_int_equal(peershm_grow(client, 0, NULL), -EINVAL);
	assert_contains(peershm_strerror(EINVAL), "peershm_shrink()");
	assert_null(peershm_extend(client, 0));
	assert_int_equal(errno, EINVAL);
	assert_contains(peershm_strerror(EINVAL), "0 bytes");
	assert_int_equal(fake.nr_commands, commands);
}

READER_CASE(what_a_call_is_not_given_is_einval)
{
	pid_t pid;

	assert_int_equal(peershm_open(NULL, "routes", NULL, 0, NULL), -EINVAL);
	assert_contains(peershm_strerror(EINVAL), "pointer for the handle");
	assert_int_equal(peershm_stat(client, NULL), -EINVAL);
	assert_contains(peershm_strerror(EINVAL), "pointer for the answer");
	assert_int_equal(peershm_stat(NULL, NULL), -EINVAL);
	assert_int_equal(peershm_resolve_name(client, "x", NULL), -EINVAL);
	assert_int_equal(peershm_resolve_name(client, "", &pid), -EINVAL);
	assert_int_equal(peershm_resolve_pid(client, 1, NULL), -EINVAL);
	assert_int_equal(peershm_resolve_pid(NULL, 1, NULL), -EINVAL);
	assert_int_equal(peershm_clients(NULL, NULL, 0), -EINVAL);
	assert_int_equal(peershm_header_clients(NULL, NULL, 0), -EINVAL);
	assert_int_equal(peershm_header_clients(administrator, NULL, 0), -ENOTCONN);
	assert_int_equal(peershm_shrink_force(client, UINT64_MAX), -EINVAL);
	assert_int_equal(peershm_shrink_force(NULL, 0), -EINVAL);
	assert_int_equal(peershm_set_root(NULL, NULL, NULL), -EINVAL);
	assert_int_equal(peershm_set_reserve(NULL, 0), -EINVAL);
	assert_int_equal(peershm_set_reserve(client, UINT64_MAX), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "reserve");
	assert_null(peershm_root(NULL));
	assert_null(peershm_base(NULL));
	assert_null(peershm_base(administrator));
	assert_int_equal(peershm_size(NULL), 0);
}

READER_CASE(a_reserve_beyond_the_capacity_is_enospc)
{
	struct peershm_options options = { .capacity = GIB, .reserve = 2 * GIB };
	struct peershm *handle;

	assert_int_equal(peershm_open(&handle, "new", "ann", PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "the reserve");
}

READER_CASE(reader_of_a_region_that_is_made_by_another_is_not_grown)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };

	peershm_close(client);
	client = NULL;
	assert_int_equal(peershm_open(&reader, "routes", "reader",
				      PEERSHM_CREATE | PEERSHM_READ_ONLY, &options),
			 0);
	assert_int_equal(peershm_size(reader), 0);
}

READER_CASE(what_is_no_file_cannot_be_commanded_or_mapped)
{
	const struct peershm_header *header = NULL;

	pshm_system = &pshm_kernel;
	assert_int_equal(pshm_device_command(-1, PEERSHM_IOC_STAT, NULL), -EBADF);
	assert_int_equal(pshm_device_map_header(-1, 4096, &header), -EBADF);
	pshm_device_unmap_header(header, 4096);
	pshm_device_close(-1);
	pshm_system = &fake_system;
}

READER_CASE(who_is_exempt_from_limits_is_known)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long long effective = 0;
	char line[256];
	int found = 0;

	assert_non_null(status);
	while (!found && fgets(line, sizeof(line), status))
		found = sscanf(line, "CapEff: %llx", &effective);
	fclose(status);
	assert_int_equal(found, 1);
	assert_int_equal(pshm_kernel.exempt(), effective >> CAP_SYS_RESOURCE & 1);
}
