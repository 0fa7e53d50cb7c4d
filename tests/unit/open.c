/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening, creating and closing regions, also while others do so, and when a step fails. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "fake_device.h"

#define GIB (1ULL << 30)

static const struct peershm_options small = { .capacity = GIB };

static struct peershm *open_region(const char *client, unsigned int flags,
				   const struct peershm_options *options)
{
	struct peershm *handle = NULL;
	int err = peershm_open(&handle, "routes", client, flags, options);

	if (err)
		fail_msg("peershm_open: %s", peershm_strerror(err));
	assert_non_null(handle);
	return handle;
}

static void open_fails(int err, const char *client, unsigned int flags,
		       const struct peershm_options *options)
{
	struct peershm *handle = (struct peershm *)&fake;

	assert_int_equal(peershm_open(&handle, "routes", client, flags, options), err);
	assert_null(handle);
}

static struct fake_region *routes(void)
{
	return fake_region_by(0, "routes");
}

CASE(without_the_module_is_enodev_and_says_how_to_load_it)
{
	struct peershm *handle = (struct peershm *)&fake;

	if (!access(PEERSHM_DEVICE, F_OK))
		skip_because("the module is loaded");
	assert_int_equal(peershm_open(&handle, "routes", "bgpd", 0, NULL), -ENODEV);
	assert_null(handle);
	assert_contains(peershm_strerror(-ENODEV), "modprobe peershm");
	assert_int_equal(peershm_regions(NULL, 0), -ENODEV);
	assert_int_equal(peershm_unlink("routes"), -ENODEV);
}

DEVICE_CASE(bad_arguments_are_einval_before_the_device_is_touched)
{
	char long_name[PEERSHM_NAME_SIZE + 1] = "";
	struct peershm *handle;

	memset(long_name, 'x', PEERSHM_NAME_SIZE);
	assert_int_equal(peershm_open(NULL, "routes", "bgpd", 0, NULL), -EINVAL);
	assert_int_equal(peershm_open(&handle, NULL, "bgpd", 0, NULL), -EINVAL);
	assert_int_equal(peershm_open(&handle, "", "bgpd", 0, NULL), -EINVAL);
	assert_int_equal(peershm_open(&handle, long_name, "bgpd", 0, NULL), -EINVAL);
	assert_int_equal(peershm_open(&handle, "routes", "", 0, NULL), -EINVAL);
	assert_int_equal(peershm_open(&handle, "routes", "a/b", 0, NULL), -EINVAL);
	open_fails(-EINVAL, "bgpd", 1u << 31, NULL);
	open_fails(-EINVAL, "bgpd", PEERSHM_EXCLUSIVE, NULL);
	assert_int_equal(fake.steps, 0);
}

DEVICE_CASE(flags_of_the_attach_command_are_einval)
{
	static const unsigned int theirs[] = { PEERSHM_ATTACH_READ_ONLY, PEERSHM_ATTACH_DUMP };

	for (int i = 0; i < 2; i++) {
		open_fails(-EINVAL, "bgpd", theirs[i], NULL);
		assert_contains(peershm_strerror(EINVAL), "PEERSHM_ATTACH_");
		open_fails(-EINVAL, "bgpd", PEERSHM_CREATE | theirs[i], &small);
		assert_contains(peershm_strerror(EINVAL), "PEERSHM_ATTACH_");
	}
	open_fails(-EINVAL, "bgpd", PEERSHM_ATTACH_READ_ONLY << 2, NULL);
	assert_contains(peershm_strerror(EINVAL), "unknown flags 0x4");
	assert_int_equal(fake.steps, 0);
}

DEVICE_CASE(missing_region_is_enoent)
{
	open_fails(-ENOENT, "bgpd", 0, NULL);
	assert_contains(peershm_strerror(ENOENT), "no region of this name");
	open_fails(-ENOENT, NULL, 0, NULL);
}

DEVICE_CASE(create_makes_it_and_attaches)
{
	struct peershm *handle = open_region("bgpd", PEERSHM_CREATE, &small);

	assert_ptr_equal(peershm_base(handle), (void *)(uintptr_t)routes()->info.base);
	assert_int_equal(peershm_capacity(handle), GIB);
	assert_int_equal(peershm_page_size(handle), 4096);
	assert_int_equal(peershm_client_id(handle), fake.last_client);
	assert_int_equal(peershm_size(handle), 0);
	assert_ptr_equal(peershm_find((char *)peershm_base(handle) + GIB - 1), handle);
	peershm_close(handle);
}

DEVICE_CASE(region_opened_again_gives_another_client_id)
{
	struct peershm *handle = open_region("bgpd", PEERSHM_CREATE, &small);
	uint64_t first = peershm_client_id(handle);

	peershm_close(handle);
	handle = open_region("bgpd", 0, NULL);
	assert_true(peershm_client_id(handle) > first);
	peershm_close(handle);
}

DEVICE_CASE(create_takes_the_one_there_is)
{
	struct peershm_options other = { .capacity = 2 * GIB, .mode = 0666 };
	struct peershm *handle;

	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	handle = open_region("bgpd", PEERSHM_CREATE, &other);
	assert_int_equal(peershm_capacity(handle), GIB);
	assert_int_equal(fake_count(PEERSHM_IOC_CREATE), 1);
	peershm_close(handle);
}

/* The size is rounded up to the page size of the region that exists. */
DEVICE_CASE(size_that_overflows_in_the_one_there_is_is_einval)
{
	struct peershm_options options = {
		.capacity = -(1ULL << 20),
		.size = -(1ULL << 20),
	};

	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	routes()->info.page_size = 2 << 20;
	open_fails(-EINVAL, "bgpd", PEERSHM_CREATE, &options);
	assert_int_equal(fake_count(PEERSHM_IOC_ATTACH), 1);
	assert_int_equal(fake_count(PEERSHM_IOC_GROW), 0);
}

DEVICE_CASE(header_that_never_rests_is_eagain)
{
	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	routes()->header->seq = 1;
	open_fails(-EAGAIN, "bgpd", 0, NULL);
}

DEVICE_CASE(exclusive_on_one_there_is_is_eexist)
{
	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	open_fails(-EEXIST, "bgpd", PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &small);
	assert_contains(peershm_strerror(EEXIST), "region of this name");
	assert_non_null(routes());
}

static void somebody_makes_it_first(unsigned long command)
{
	struct peershm_create create = { .size = sizeof(create), .name = "routes" };

	create.capacity = 4 * GIB;
	if (command == PEERSHM_IOC_CREATE)
		fake_create(&create);
}

DEVICE_CASE(region_made_by_somebody_meanwhile_is_attached_to)
{
	struct peershm *handle;

	fake.before = somebody_makes_it_first;
	handle = open_region("bgpd", PEERSHM_CREATE, &small);
	assert_int_equal(peershm_capacity(handle), 4 * GIB);
	assert_int_equal(fake_count(PEERSHM_IOC_CREATE), 1);
	assert_int_equal(fake_count(PEERSHM_IOC_ATTACH), 2);
	peershm_close(handle);
}

DEVICE_CASE(exclusive_loses_to_somebody_who_was_first)
{
	fake.before = somebody_makes_it_first;
	open_fails(-EEXIST, "bgpd", PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &small);
	assert_non_null(routes());
}

static void somebody_makes_and_unlinks(unsigned long command)
{
	struct peershm_unlink unlink = { .size = sizeof(unlink), .name = "routes" };

	somebody_makes_it_first(command);
	if (command == PEERSHM_IOC_ATTACH)
		fake_unlink(&unlink);
}

DEVICE_CASE(endless_making_and_unlinking_ends_with_enoent)
{
	fake.before = somebody_makes_and_unlinks;
	open_fails(-ENOENT, "bgpd", PEERSHM_CREATE, &small);
	assert_in_range(fake_count(PEERSHM_IOC_CREATE), 2, 100);
	assert_contains(peershm_strerror(ENOENT), "other processes");
}

DEVICE_CASE(size_is_there_when_made)
{
	struct peershm_options options = { .capacity = GIB, .size = 10000 };
	struct peershm *handle = open_region("bgpd", PEERSHM_CREATE, &options);

	assert_int_equal(peershm_size(handle), 12288);
	peershm_close(handle);
}

DEVICE_CASE(size_is_there_when_the_maker_died_before_growing)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };
	struct peershm *handle;

	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	handle = open_region("bgpd", PEERSHM_CREATE, &options);
	assert_int_equal(peershm_size(handle), 8192);
	peershm_close(handle);
}

DEVICE_CASE(larger_size_stays)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };
	struct peershm *handle;

	peershm_close(open_region(NULL, PEERSHM_CREATE, &options));
	options.size = 4096;
	handle = open_region("bgpd", PEERSHM_CREATE, &options);
	assert_int_equal(peershm_size(handle), 8192);
	assert_int_equal(fake_count(PEERSHM_IOC_GROW), 1);
	peershm_close(handle);
}

DEVICE_CASE(size_without_create_is_ignored)
{
	struct peershm_options options = { .size = 8192 };
	struct peershm *handle;

	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	handle = open_region("bgpd", 0, &options);
	assert_int_equal(peershm_size(handle), 0);
	peershm_close(handle);
}

DEVICE_CASE(read_only_administration_opens_the_device_for_reading)
{
	struct peershm *handle;

	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	handle = open_region(NULL, PEERSHM_READ_ONLY, NULL);
	assert_int_equal(fake.files[0].flags & O_ACCMODE, O_RDONLY);
	assert_true(fake.files[0].flags & O_CLOEXEC);
	peershm_close(handle);
}

DEVICE_CASE(a_read_only_client_may_only_write_its_control_page)
{
	struct peershm *handle;

	peershm_close(open_region(NULL, PEERSHM_CREATE, &small));
	handle = open_region("bgpd", PEERSHM_READ_ONLY, NULL);
	assert_int_equal(fake.files[0].flags & O_ACCMODE, O_RDWR);
	assert_int_equal(peershm_grow(handle, 4096, NULL), -EACCES);
	assert_contains(peershm_strerror(EACCES), "read-only");
	peershm_close(handle);
}

DEVICE_CASE(read_only_with_create_makes_and_grows_it)
{
	struct peershm_options options = { .capacity = GIB, .size = 4096 };
	struct peershm *handle;

	handle = open_region("bgpd", PEERSHM_CREATE | PEERSHM_READ_ONLY, &options);
	assert_int_equal(peershm_size(handle), 4096);
	assert_int_equal(fake.open_files, 1);
	peershm_close(handle);
}

DEVICE_CASE(exclusive_unlinks_what_it_made_if_attaching_fails)
{
	fake.fail_command = PEERSHM_IOC_ATTACH;
	fake.fail_with = EAGAIN;
	open_fails(-EAGAIN, "bgpd", PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &small);
	assert_null(routes());
	assert_contains(peershm_strerror(EAGAIN), "mlockall");
}

DEVICE_CASE(plain_create_leaves_what_it_made_if_attaching_fails)
{
	fake.fail_command = PEERSHM_IOC_ATTACH;
	fake.fail_with = ENOENT;
	open_fails(-ENOENT, "bgpd", PEERSHM_CREATE, &small);
	fake.fail_with = EAGAIN;
	open_fails(-EAGAIN, "bgpd", PEERSHM_CREATE, &small);
	assert_non_null(routes());
}

static void interrupt_if_it_is_there(unsigned long command)
{
	fake.fail_command = command == PEERSHM_IOC_ATTACH && routes() ? command : 0;
}

/* The text for EINTR must not say that nothing was changed. */
DEVICE_CASE(plain_create_leaves_what_it_made_if_attaching_is_interrupted)
{
	fake.before = interrupt_if_it_is_there;
	fake.fail_with = EINTR;
	open_fails(-EINTR, "bgpd", PEERSHM_CREATE, &small);
	assert_string_equal(peershm_strerror(EINTR), "interrupted by a signal handler");
	assert_non_null(routes());
}

DEVICE_CASE(header_of_another_region_is_eio)
{
	fake.break_header = true;
	open_fails(-EIO, "bgpd", PEERSHM_CREATE, &small);
	assert_int_equal(fake_count(PEERSHM_IOC_DETACH), 1);
}

/* Each step fails once: the error is returned; nothing stays open, mapped or created. */
static void each_step_failing(const char *client, unsigned int flags)
{
	struct peershm_options options = { .capacity = GIB, .size = 4096 };
	struct peershm *handle;
	bool failed;
	int step = 0;
	int err;

	do {
		fake_setup(NULL);
		fake.fail_at = ++step;
		fake.fail_with = ENOMEM;
		handle = (struct peershm *)&fake;
		err = peershm_open(&handle, "routes", client, flags, &options);
		failed = fake.steps >= step;
		fake.fail_at = 0; /* closing must not fail */
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_null(handle);
		} else {
			peershm_close(handle);
		}
		assert_int_equal(fake.open_files, 0);
		assert_int_equal(fake.header_maps, 0);
		assert_int_equal(fake.windows, 0);
		if (err && flags & PEERSHM_EXCLUSIVE)
			assert_null(routes());
		assert_true(step < 50);
	} while (failed);
	assert_int_equal(err, 0);
	assert_true(step > 4);
}

DEVICE_CASE(every_step_failing_leaves_nothing_of_a_client)
{
	each_step_failing("bgpd", PEERSHM_CREATE);
}

DEVICE_CASE(every_step_failing_leaves_nothing_of_an_exclusive_client)
{
	each_step_failing("bgpd", PEERSHM_CREATE | PEERSHM_EXCLUSIVE);
}

DEVICE_CASE(every_step_failing_leaves_nothing_of_a_reader)
{
	each_step_failing("bgpd", PEERSHM_CREATE | PEERSHM_READ_ONLY);
	each_step_failing("bgpd", PEERSHM_CREATE | PEERSHM_READ_ONLY | PEERSHM_EXCLUSIVE);
}

DEVICE_CASE(every_step_failing_leaves_nothing_of_an_administrator)
{
	each_step_failing(NULL, PEERSHM_CREATE);
	each_step_failing(NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE);
}

DEVICE_CASE(close_leaves_the_registry_and_the_region)
{
	struct peershm *handle = open_region("bgpd", PEERSHM_CREATE, &small);
	void *base = peershm_base(handle);

	peershm_close(handle);
	assert_int_equal(fake_count(PEERSHM_IOC_DETACH), 1);
	assert_int_equal(fake.open_files + fake.header_maps + fake.windows, 0);
	assert_non_null(routes());
	assert_null(peershm_find(base));
}

DEVICE_CASE(close_of_nothing_is_allowed)
{
	peershm_close(NULL);
	assert_int_equal(fake.steps, 0);
}

DEVICE_CASE(close_interrupted_by_a_signal_still_detaches_and_keeps_errno)
{
	struct peershm *handle = open_region("bgpd", PEERSHM_CREATE, &small);

	fake.fail_at = fake.steps + 1;
	fake.fail_with = EINTR;
	errno = ENOMSG;
	peershm_close(handle);
	assert_int_equal(errno, ENOMSG);
	assert_int_equal(fake.windows, 0);
}

DEVICE_CASE(administrator_does_not_attach)
{
	struct peershm *handle = open_region(NULL, PEERSHM_CREATE, &small);

	assert_int_equal(fake_count(PEERSHM_IOC_ATTACH), 0);
	assert_int_equal(peershm_client_id(handle), 0);
	assert_null(peershm_base(handle));
	assert_int_equal(errno, ENOTCONN);
	assert_null(peershm_header(handle));
	peershm_close(handle);
	assert_int_equal(fake_count(PEERSHM_IOC_DETACH), 0);
}
