/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which commands each function sends to the device, and what it does with the answers. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>

#include "check.h"
#include "region.h"

#define GIB (1ULL << 30)

REGION_CASE(grow_rounds_up_to_the_page)
{
	assert_int_equal(peershm_grow(client, 4097, NULL), 0);
	assert_int_equal(fake.last_grow.length, 8192);
	assert_int_equal(fake.last_grow.flags, PEERSHM_GROW_TO);
	assert_int_equal(peershm_size(client), 8192);
}

REGION_CASE(grow_to_less_than_the_size_changes_nothing)
{
	assert_int_equal(peershm_grow(client, 8192, NULL), 0);
	assert_int_equal(peershm_grow(client, 4096, NULL), 0);
	assert_int_equal(peershm_size(client), 8192);
}

static int policy_of_this_thread(void)
{
	int mode = -1;

	return syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) ? -1 : mode;
}

static int policy_seen;

static void look_at_the_policy(unsigned long command)
{
	if (command == PEERSHM_IOC_GROW)
		policy_seen = policy_of_this_thread();
}

/* hugetlbfs follows the thread's NUMA policy, and the window's only in page faults. */
REGION_CASE(grow_of_pages_of_the_pool_goes_by_the_windows_numa_policy)
{
	static const enum peershm_backing backings[] = { PEERSHM_HUGETLB_2M, PEERSHM_SMALL };
	static const int seen[] = { MPOL_BIND, MPOL_DEFAULT };
	unsigned long nodes[16] = { 0 };

	if (syscall(SYS_get_mempolicy, NULL, nodes, 8 * sizeof(nodes), NULL, MPOL_F_MEMS_ALLOWED))
		skip_because("this kernel has no NUMA policies");
	fake.before = look_at_the_policy;
	for (int i = 0; i < 2; i++) {
		struct peershm_options options = { .capacity = GIB, .backing = backings[i] };
		struct peershm *handle = NULL;

		assert_int_equal(peershm_open(&handle, i ? "small" : "huge", "bgpd", PEERSHM_CREATE,
					      &options),
				 0);
		assert_int_equal(peershm_grow(handle, 4096, NULL), 0);
		assert_int_equal(policy_seen, MPOL_DEFAULT);
		assert_int_equal(syscall(SYS_mbind, peershm_base(handle), GIB, MPOL_BIND, nodes,
					 8 * sizeof(nodes), 0),
				 0);
		assert_int_equal(peershm_grow(handle, 4096, NULL), 0);
		assert_int_equal(policy_seen, seen[i]);
		assert_int_equal(policy_of_this_thread(), MPOL_DEFAULT);
		peershm_close(handle);
	}
	fake.before = NULL;
}

REGION_CASE(grow_that_overflows_is_einval)
{
	assert_int_equal(peershm_grow(client, UINT64_MAX, NULL), -EINVAL);
	assert_int_equal(fake_count(PEERSHM_IOC_GROW), 0);
}

REGION_CASE(grow_interrupted_goes_to_the_caller)
{
	fake.fail_command = PEERSHM_IOC_GROW;
	fake.fail_with = EINTR;
	assert_int_equal(peershm_grow(client, 4096, NULL), -EINTR);
	assert_int_equal(fake_count(PEERSHM_IOC_GROW), 1);
}

REGION_CASE(client_grows_the_region_of_its_file)
{
	assert_int_equal(peershm_grow(client, 4096, NULL), 0);
	assert_int_equal(fake.last_grow.region, 0);
}

REGION_CASE(administrator_grows_the_region_by_its_id)
{
	assert_int_equal(peershm_grow(administrator, 4096, NULL), 0);
	assert_int_equal(fake.last_grow.region, fake.last_region);
	assert_int_equal(peershm_size(client), 4096);
}

REGION_CASE(report_passes_the_callers_array_and_timeout)
{
	struct peershm_peer peers[3];
	struct peershm_report report = { .peers = peers, .max_peers = 3, .timeout_ms = 250 };

	assert_int_equal(peershm_grow(client, 4096, &report), 0);
	assert_int_equal(fake.last_grow.report.peers, (uintptr_t)peers);
	assert_int_equal(fake.last_grow.report.nr_peers, 3);
	assert_int_equal(fake.last_grow.report.timeout_ms, 250);
	assert_int_equal(report.nr_peers, 1);
	assert_int_equal(report.mapped, 1);
	assert_int_equal(report.deferred + report.gone + report.partial, 0);
}

REGION_CASE(report_without_array_passes_no_length)
{
	struct peershm_report report = { .max_peers = 99 };

	assert_int_equal(peershm_grow(client, 4096, &report), 0);
	assert_int_equal(fake.last_grow.report.nr_peers, 0);
	assert_int_equal(report.nr_peers, 1);
}

REGION_CASE(failed_grow_leaves_the_report)
{
	struct peershm_report report = { .nr_peers = 7, .mapped = 7 };

	assert_int_equal(peershm_grow(client, 2 * GIB, &report), -ENOSPC);
	assert_int_equal(report.nr_peers, 7);
	assert_int_equal(report.mapped, 7);
}

REGION_CASE(extend_gives_the_new_parts_address)
{
	char *base = peershm_base(client);

	assert_ptr_equal(peershm_extend(client, 1), base);
	assert_ptr_equal(peershm_extend(client, 8192), base + 4096);
	assert_int_equal(fake.last_grow.flags, 0);
	assert_int_equal(peershm_size(client), 4096 + 8192);
}

REGION_CASE(extend_beyond_capacity_is_null_and_enospc)
{
	errno = 0;
	assert_null(peershm_extend(client, GIB + 1));
	assert_int_equal(errno, ENOSPC);
	assert_contains(peershm_strerror(ENOSPC), "capacity of 1073741824");
	assert_null(peershm_extend(client, UINT64_MAX));
	assert_int_equal(errno, EINVAL);
}

REGION_CASE(extend_without_window_is_enotconn_and_grows_nothing)
{
	errno = 0;
	assert_null(peershm_extend(administrator, 4096));
	assert_int_equal(errno, ENOTCONN);
	assert_contains(peershm_strerror(ENOTCONN), "peershm_grow()");
	assert_int_equal(peershm_size(client), 0);
	assert_int_equal(fake_count(PEERSHM_IOC_GROW), 0);
}

REGION_CASE(extend_by_nothing_is_einval)
{
	assert_null(peershm_extend(client, 0));
	assert_int_equal(errno, EINVAL);
}

REGION_CASE(shrink_rounds_up_to_the_page)
{
	assert_int_equal(peershm_grow(client, 65536, NULL), 0);
	assert_int_equal(peershm_shrink_force(client, 4097), 0);
	assert_int_equal(fake.last_shrink.new_size, 8192);
	assert_int_equal(peershm_shrink_force(client, 0), 0);
	assert_int_equal(fake.last_shrink.new_size, 0);
	assert_int_equal(peershm_shrink_force(client, UINT64_MAX), -EINVAL);
}

REGION_CASE(map_all_names_no_client)
{
	assert_int_equal(peershm_map_all(client, 4096, 8192, NULL), 0);
	assert_int_equal(fake.last_map.flags, 0);
	assert_int_equal(fake.last_map.offset, 4096);
	assert_int_equal(fake.last_map.length, 8192);
}

REGION_CASE(map_pid_names_the_process)
{
	assert_int_equal(peershm_map_pid(client, 4242, 0, 0, NULL), 0);
	assert_int_equal(fake.last_map.flags, PEERSHM_MAP_BY_PID);
	assert_int_equal(fake.last_map.pid, 4242);
	assert_string_equal(fake.last_map.name, "");
}

REGION_CASE(map_name_names_the_client)
{
	assert_int_equal(peershm_map_name(administrator, "ospfd", 0, 0, NULL), 0);
	assert_int_equal(fake.last_map.flags, PEERSHM_MAP_BY_NAME);
	assert_string_equal(fake.last_map.name, "ospfd");
	assert_int_equal(fake.last_map.region, fake.last_region);
	assert_int_equal(peershm_map_name(client, NULL, 0, 0, NULL), -EINVAL);
}

REGION_CASE(map_of_no_such_client_is_enoent)
{
	fake.fail_command = PEERSHM_IOC_PEER_MAP;
	fake.fail_with = ENOENT;
	assert_int_equal(peershm_map_pid(client, 1, 0, 0, NULL), -ENOENT);
	assert_contains(peershm_strerror(ENOENT), "process 1 is not a client");
}

REGION_CASE(size_and_root_of_a_client_do_not_enter_the_kernel)
{
	int steps = fake.steps;

	peershm_size(client);
	peershm_root(client);
	peershm_header_clients(client, NULL, 0);
	assert_int_equal(fake.steps, steps);
}

REGION_CASE(size_beyond_capacity_in_the_header_is_cut)
{
	fake.regions[0].header->size = UINT64_MAX;
	assert_int_equal(peershm_size(client), GIB);
}

REGION_CASE(size_and_root_of_an_administrator_ask_the_kernel)
{
	assert_int_equal(peershm_grow(client, 4096, NULL), 0);
	assert_int_equal(peershm_set_root(client, NULL, peershm_base(client)), 0);
	assert_int_equal(peershm_size(administrator), 4096);
	assert_ptr_equal(peershm_root(administrator), peershm_base(client));
	fake.fail_command = PEERSHM_IOC_STAT;
	fake.fail_with = ENOENT;
	errno = 0;
	assert_int_equal(peershm_size(administrator), 0);
	assert_int_equal(errno, ENOENT);
}

REGION_CASE(root_is_set_once)
{
	char *base = peershm_base(client);

	assert_null(peershm_root(client));
	assert_int_equal(peershm_set_root(client, NULL, base), 0);
	assert_ptr_equal(peershm_root(client), base);
	assert_int_equal(peershm_set_root(client, NULL, base), -EEXIST);
	assert_contains(peershm_strerror(EEXIST), "it has been changed");
}

REGION_CASE(resolve_goes_both_ways)
{
	char name[PEERSHM_NAME_SIZE];
	pid_t pid = -1;

	memset(name, 'x', sizeof(name));
	assert_int_equal(peershm_resolve_name(client, "bgpd", &pid), 0);
	assert_int_equal(pid, 4242);
	assert_int_equal(peershm_resolve_pid(client, 4242, name), 0);
	assert_string_equal(name, "bgpd");
}

REGION_CASE(resolve_of_nobody_is_enoent_and_leaves_the_output)
{
	char name[PEERSHM_NAME_SIZE] = "poison";
	pid_t pid = -1;

	assert_int_equal(peershm_resolve_name(client, "nobody", &pid), -ENOENT);
	assert_int_equal(pid, -1);
	assert_int_equal(peershm_resolve_pid(client, 1, name), -ENOENT);
	assert_string_equal(name, "poison");
}

REGION_CASE(clients_counts_without_an_array)
{
	assert_int_equal(peershm_clients(client, NULL, 77), 1);
	assert_int_equal(peershm_header_clients(client, NULL, 77), 1);
	assert_int_equal(peershm_regions(NULL, 77), 1);
}

REGION_CASE(header_clients_without_window_is_enotconn)
{
	assert_int_equal(peershm_header_clients(administrator, NULL, 0), -ENOTCONN);
	assert_null(peershm_header(administrator));
	assert_int_equal(errno, ENOTCONN);
}

REGION_CASE(header_clients_of_a_header_that_never_rests_is_eagain)
{
	fake.regions[0].header->seq = 1;
	assert_int_equal(peershm_header_clients(client, NULL, 0), -EAGAIN);
	assert_contains(peershm_strerror(EAGAIN), "peershm_clients()");
	fake.regions[0].header->seq = 2;
	assert_int_equal(peershm_header_clients(client, NULL, 0), 1);
}

REGION_CASE(stat_gives_what_the_kernel_says)
{
	struct peershm_region_info info;

	memset(&info, 0xa5, sizeof(info));
	assert_int_equal(peershm_stat(administrator, &info), 0);
	assert_string_equal(info.name, "routes");
	assert_int_equal(info.capacity, GIB);
	assert_int_equal(peershm_stat(client, NULL), -EINVAL);
}

REGION_CASE(unlink_takes_the_name_and_closes_its_file)
{
	int files = fake.open_files;

	assert_int_equal(peershm_unlink("routes"), 0);
	assert_int_equal(peershm_unlink("routes"), -ENOENT);
	assert_int_equal(peershm_unlink(""), -EINVAL);
	assert_int_equal(fake.open_files, files);
}

REGION_CASE(regions_lists_and_closes_its_file)
{
	struct peershm_region_info regions[2];
	int files = fake.open_files;

	assert_int_equal(peershm_regions(regions, 2), 1);
	assert_string_equal(regions[0].name, "routes");
	assert_int_equal(fake.open_files, files);
	fake.fail_command = PEERSHM_IOC_REGIONS;
	fake.fail_with = ENOMEM;
	assert_int_equal(peershm_regions(regions, 2), -ENOMEM);
	assert_int_equal(fake.open_files, files);
}
