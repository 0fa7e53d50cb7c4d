/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The message of an error, and the cause that it names. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "fake_device.h"

CASE(sign_does_not_matter)
{
	assert_string_equal(peershm_strerror(ENOSPC), peershm_strerror(-ENOSPC));
	assert_contains(peershm_strerror(-ENOSPC), "capacity");
}

CASE(zero_is_success)
{
	pshm_fail(-EINVAL, "detail");
	assert_string_equal(peershm_strerror(0), "success");
}

CASE(every_error_of_the_abi_has_a_sentence_of_ours)
{
	static const int errors[] = { E2BIG,  EACCES, EADDRINUSE, EAGAIN, EALREADY, EBUSY,
				      EEXIST, EFAULT, EINTR,	  EINVAL, ENODEV,   ENOENT,
				      ENOMEM, ENOSPC, ENOTCONN,	  ENOTTY };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		assert_non_null(pshm_sentence(errors[i]));
		assert_string_not_equal(pshm_sentence(errors[i]), strerror(errors[i]));
	}
}

CASE(other_errors_are_the_systems)
{
	assert_string_equal(peershm_strerror(EPIPE), strerror(EPIPE));
	assert_non_null(peershm_strerror(123456));
	assert_non_null(peershm_strerror(INT_MIN));
	assert_non_null(peershm_strerror(INT_MAX));
}

CASE(detail_is_given_for_the_last_error_alone)
{
	assert_int_equal(pshm_fail(-EINVAL, "no backing %d", 9), -EINVAL);
	assert_string_equal(peershm_strerror(-EINVAL), "no backing 9");
	assert_string_equal(peershm_strerror(ENOENT), pshm_sentence(ENOENT));
	pshm_fail(-ENOENT, NULL);
	assert_string_equal(peershm_strerror(EINVAL), pshm_sentence(EINVAL));
}

static void *fail_elsewhere(void *argument)
{
	pshm_fail(-EINVAL, "of another thread");
	return argument;
}

CASE(detail_is_the_threads_own)
{
	pthread_t thread;

	pshm_fail(-EINVAL, "mine");
	assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
	pthread_join(thread, NULL);
	assert_string_equal(peershm_strerror(EINVAL), "mine");
}

CASE(long_detail_is_cut)
{
	char text[4096];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pshm_fail(-EINVAL, "%s", text);
	assert_in_range(strlen(peershm_strerror(EINVAL)), 100, sizeof(text) - 2);
}

/* Open a region while the command fails with `with`. */
static const char *open_failing(unsigned long command, int with, unsigned int flags,
				enum peershm_backing backing)
{
	struct peershm_options options = { .capacity = 1ULL << 30, .backing = backing };
	struct peershm *handle = (struct peershm *)&options;

	fake.fail_command = command;
	fake.fail_with = with;
	assert_int_equal(peershm_open(&handle, "routes", "bgpd", flags, &options), -with);
	assert_null(handle);
	return peershm_strerror(with);
}

DEVICE_CASE(hugetlb_without_the_page_size_names_it)
{
	assert_contains(open_failing(PEERSHM_IOC_CREATE, ENODEV, PEERSHM_CREATE,
				     PEERSHM_HUGETLB_1G),
			"no 1 GiB huge pages");
	assert_contains(open_failing(PEERSHM_IOC_CREATE, ENODEV, PEERSHM_CREATE,
				     PEERSHM_HUGETLB_2M),
			"no 2 MiB huge pages");
}

DEVICE_CASE(create_at_a_limit_that_is_not_seen_names_the_parameters)
{
	const char *text;

	text = open_failing(PEERSHM_IOC_CREATE, ENOSPC, PEERSHM_CREATE, PEERSHM_SMALL);
	assert_contains(text, "/sys/module/peershm/parameters/max_regions");
	assert_contains(text, "max_user_regions, max_user_capacity)");
	assert_contains(text, "1073741824 bytes");
}

static void make_region(const char *name, uint64_t base)
{
	struct peershm_options options = { .capacity = 1ULL << 30, .base = base };
	struct peershm *handle;

	assert_int_equal(peershm_open(&handle, name, NULL, PEERSHM_CREATE, &options), 0);
	peershm_close(handle);
}

static void set_parameter(const char *name, const char *value)
{
	int i = 0;

	while (fake.parameters[i].name && strcmp(fake.parameters[i].name, name) != 0)
		i++;
	fake.parameters[i].name = name;
	fake.parameters[i].value = value;
}

static void own_region(const char *name, uint64_t base)
{
	make_region(name, base);
	fake_region_by(0, name)->info.uid = geteuid();
}

/* Create a fourth region, when this user has two of 1 GiB and another user has one. */
DEVICE_CASE(create_at_a_limit_names_it_and_what_counts)
{
	struct peershm_options options = { .capacity = 1ULL << 30, .max_clients = 300 };
	struct peershm *handle;

	own_region("one", 0);
	own_region("two", 0);
	make_region("three", 0);
	fake_region_by(0, "three")->info.uid = geteuid() + 1;
	fake.fail_command = PEERSHM_IOC_CREATE;
	fake.fail_with = ENOSPC;

	set_parameter("max_user_capacity", "3221225471");
	set_parameter("max_user_regions", "3");
	set_parameter("max_regions", "4");
	set_parameter("max_clients", "300");
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "regions of this user would have 3221225472");
	assert_contains(peershm_strerror(ENOSPC), "max_user_capacity is 3221225471");
	set_parameter("max_user_regions", "2");
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "this user has 2 regions");
	assert_contains(peershm_strerror(ENOSPC), "max_user_regions is 2");
	/* Neither limit applies to a process with CAP_SYS_RESOURCE. */
	fake.exempt = true;
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "no range of addresses is free");
	set_parameter("max_regions", "3");
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "there are 3 regions");
	assert_contains(peershm_strerror(ENOSPC), "max_regions is 3");
	set_parameter("max_clients", "299");
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "300 clients are more");
	assert_contains(peershm_strerror(ENOSPC), "max_clients is 299");
	/* The module allows no more than 1024, whatever the parameter is. */
	set_parameter("max_clients", "5000");
	options.max_clients = 1025;
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, &options), -ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "1025 clients are more");
}

static const char *create_refused(const struct peershm_options *options)
{
	struct peershm *handle;

	fake.fail_command = PEERSHM_IOC_CREATE;
	fake.fail_with = EINVAL;
	assert_int_equal(peershm_open(&handle, "new", NULL, PEERSHM_CREATE, options), -EINVAL);
	return peershm_strerror(EINVAL);
}

DEVICE_CASE(create_with_what_is_not_taken_names_it)
{
	struct peershm_options options = { .mode = 07777 };
	char multiple[64];

	snprintf(multiple, sizeof(multiple), "base 0x5000000000a0 is not a multiple of 0x%lx",
		 sysconf(_SC_PAGESIZE));
	assert_contains(create_refused(&options), "mode 07777");
	options.mode = 0777;
	options.base = 0xfff000;
	assert_contains(create_refused(&options), "base 0xfff000 is below 0x1000000");
	options.base = 0x5000000000a0;
	assert_contains(create_refused(&options), multiple);
	options.base = 0x500000200000;
	options.backing = PEERSHM_HUGETLB_2M;
	assert_contains(create_refused(&options),
			"base 0x500000200000 is not a multiple of 0x40000000");
	options.base = 0xffffffffc0000000;
	assert_contains(create_refused(&options), "beyond the address space of a process");
	options.base = 0;
	assert_contains(create_refused(&options), "refuses a capacity of 68719476736 bytes");
}

DEVICE_CASE(create_over_a_region_names_it)
{
	struct peershm_options options = { .capacity = 1ULL << 30, .base = 0x600000000000 };
	struct peershm *handle;

	make_region("other", 0x610000000000);
	make_region("taker", options.base);
	fake.fail_command = PEERSHM_IOC_CREATE;
	fake.fail_with = EADDRINUSE;
	assert_int_equal(peershm_open(&handle, "routes", NULL, PEERSHM_CREATE, &options),
			 -EADDRINUSE);
	assert_contains(peershm_strerror(EADDRINUSE),
			"range 0x600000000000-0x600040000000 is taken by region taker");
}

DEVICE_CASE(attach_over_a_mapping_names_it)
{
	uint64_t base = 0x5e0000000000;
	void *way = (void *)(uintptr_t)(base + (1 << 20));
	struct peershm *handle;

	make_region("routes", base);
	assert_ptr_equal(mmap(way, 1 << 16, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
			 way);
	assert_int_equal(peershm_open(&handle, "routes", "bgpd", 0, NULL), -EADDRINUSE);
	assert_contains(peershm_strerror(EADDRINUSE),
			"range 0x5e0000000000-0x5e0040000000 is taken by an anonymous mapping "
			"(0x5e0000100000-0x5e0000110000)");
	munmap(way, 1 << 16);
}

DEVICE_CASE(locked_memory_limit_says_what_to_do)
{
	const char *text;

	make_region("routes", 0);
	text = open_failing(PEERSHM_IOC_ATTACH, EAGAIN, 0, PEERSHM_SMALL);
	assert_contains(text, "RLIMIT_MEMLOCK");
	assert_contains(text, "CAP_IPC_LOCK");
	assert_contains(text, "mlockall(MCL_FUTURE)");
	assert_contains(text, "1073741824 bytes");
}

DEVICE_CASE(address_space_limit_is_named)
{
	struct rlimit limit;
	struct rlimit low;
	const char *text;

	make_region("routes", 0);
	getrlimit(RLIMIT_AS, &limit);
	low = limit;
	low.rlim_cur = 1 << 29; /* less than the capacity; while it is set, the test maps nothing */
	setrlimit(RLIMIT_AS, &low);
	text = open_failing(PEERSHM_IOC_ATTACH, ENOMEM, 0, PEERSHM_SMALL);
	setrlimit(RLIMIT_AS, &limit);
	assert_contains(text, "RLIMIT_AS");
	assert_contains(text, "536870912");
}

DEVICE_CASE(live_client_name_names_the_process)
{
	make_region("routes", 0);
	assert_contains(open_failing(PEERSHM_IOC_ATTACH, EEXIST, 0, PEERSHM_SMALL), "PID 4242");
}

DEVICE_CASE(denied_attach_names_mode_and_owner)
{
	make_region("routes", 0);
	assert_contains(open_failing(PEERSHM_IOC_ATTACH, EACCES, 0, PEERSHM_SMALL),
			"mode 0600, owner 0 and group 0; this process may read it");
}

static void fail_all(unsigned long command)
{
	fake.fail_command = command;
}

DEVICE_CASE(denied_attach_to_what_cannot_be_read_is_the_plain_sentence)
{
	struct peershm *handle;

	make_region("routes", 0);
	fake.before = fail_all;
	fake.fail_with = EACCES;
	assert_int_equal(peershm_open(&handle, "routes", "bgpd", 0, NULL), -EACCES);
	assert_string_equal(peershm_strerror(EACCES), pshm_sentence(EACCES));
}

DEVICE_CASE(full_region_names_its_clients)
{
	make_region("routes", 0);
	assert_contains(open_failing(PEERSHM_IOC_ATTACH, ENOSPC, 0, PEERSHM_SMALL),
			"its 4 clients");
}

static const char *grow_failing(enum peershm_backing backing, uint64_t size, int with)
{
	struct peershm_options options = { .capacity = 1ULL << 30, .backing = backing };
	struct peershm *handle;

	assert_int_equal(peershm_open(&handle, "routes", NULL, PEERSHM_CREATE, &options), 0);
	fake.fail_command = PEERSHM_IOC_GROW;
	fake.fail_with = with;
	assert_int_equal(peershm_grow(handle, size, NULL), -with);
	peershm_close(handle);
	return peershm_strerror(with);
}

DEVICE_CASE(grow_with_an_empty_pool_names_its_file)
{
	assert_contains(grow_failing(PEERSHM_HUGETLB_2M, 1 << 21, ENOMEM),
			"hugepages-2048kB/nr_hugepages");
}

DEVICE_CASE(grow_beyond_capacity_names_it)
{
	assert_contains(grow_failing(PEERSHM_SMALL, (1ULL << 30) + 1, ENOSPC), "1073741824 bytes");
}

DEVICE_CASE(grow_beyond_the_modules_limit_names_the_parameter)
{
	assert_contains(grow_failing(PEERSHM_SMALL, 4096, ENOSPC), "parameters/max_bytes");
}

/* Its EAGAIN is not that of a window that may not be locked. */
DEVICE_CASE(no_key_for_a_reading_thread_says_so)
{
	pthread_key_t keys[PTHREAD_KEYS_MAX];
	struct peershm *handle;
	int n = 0;

	make_region("routes", 0);
	assert_int_equal(peershm_open(&handle, "routes", "bgpd", 0, NULL), 0);
	while (!pthread_key_create(&keys[n], NULL))
		n++;
	assert_int_equal(peershm_read_lock(handle), -EAGAIN);
	assert_contains(peershm_strerror(EAGAIN), "PTHREAD_KEYS_MAX");
	while (n--)
		pthread_key_delete(keys[n]);
	assert_int_equal(peershm_read_lock(handle), 0);
	peershm_close(handle);
}
