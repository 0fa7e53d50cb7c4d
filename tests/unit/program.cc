/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program in C++ that uses every function of the library, without a device. */
#include <cerrno>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <peershm.h>

extern "C" {
#include <cmocka.h>
}

static void the_fields_of_structures_are_what_functions_take(void **)
{
	struct peershm_region_info region = {};
	struct peershm_options options = {};
	struct peershm_event event = {};

	options.backing = PEERSHM_THP;
	assert_string_equal(peershm_backing_name(options.backing), "thp");
	assert_int_equal(peershm_backing_find("thp", &options.backing), 0);
	region.backing = PEERSHM_HUGETLB_2M;
	assert_string_equal(peershm_backing_name(region.backing), "hugetlb-2m");
	options.backing = region.backing;
	assert_string_equal(peershm_backing_name(options.backing), "hugetlb-2m");
	event.type = PEERSHM_EVENT_GREW;
	assert_string_equal(peershm_event_name(event.type), "grew");
	assert_string_equal(peershm_event_name(PEERSHM_EVENT_DIED), "died");
}

static void a_region_without_a_name_is_not_opened(void **)
{
	struct peershm_options options = {};
	struct peershm *handle;

	assert_int_equal(peershm_open(&handle, "", "me", PEERSHM_CREATE, &options), -EINVAL);
	assert_null(handle);
	assert_string_equal(peershm_strerror(-EINVAL),
			    "the region name must be 1 to 63 bytes long");
	assert_int_equal(peershm_unlink(""), -EINVAL);
	assert_true(peershm_regions(nullptr, 0) >= -ENODEV); /* the module may be there */
	peershm_close(handle);
}

static void without_a_handle_there_is_no_region(void **)
{
	assert_null(peershm_base(nullptr));
	assert_null(peershm_client_name(nullptr));
	assert_null(peershm_extend(nullptr, 4096));
	assert_null(peershm_find(nullptr));
	assert_null(peershm_header(nullptr));
	assert_null(peershm_lookup(nullptr, "table"));
	assert_null(peershm_root(nullptr));
	assert_int_equal(peershm_capacity(nullptr), 0);
	assert_int_equal(peershm_client_id(nullptr), 0);
	assert_int_equal(peershm_page_size(nullptr), 0);
	assert_int_equal(peershm_size(nullptr), 0);
}

static void without_a_handle_calls_are_einval(void **)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm_header_client entry;
	struct peershm_region_info region;
	struct peershm_client_info client;
	struct peershm_report report = {};
	struct peershm_root_info root = {};
	struct peershm_event event;
	pid_t pid;
	const int answers[] = {
		peershm_clients(nullptr, &client, 1),
		peershm_event_fd(nullptr),
		peershm_grow(nullptr, 4096, &report),
		peershm_header_clients(nullptr, &entry, 1),
		peershm_map_all(nullptr, 0, 0, &report),
		peershm_map_name(nullptr, "me", 0, 0, &report),
		peershm_map_pid(nullptr, 1, 0, 0, &report),
		peershm_next_event(nullptr, &event, 0),
		peershm_publish(nullptr, "table", nullptr, nullptr),
		peershm_read_lock(nullptr),
		peershm_read_root(nullptr, "table", &root),
		peershm_replace_root(nullptr, &root, nullptr),
		peershm_resolve_name(nullptr, "me", &pid),
		peershm_resolve_pid(nullptr, 1, name),
		peershm_roots(nullptr, &root, 1),
		peershm_set_reserve(nullptr, 4096),
		peershm_set_root(nullptr, nullptr, nullptr),
		peershm_shrink(nullptr, 4096, 0),
		peershm_shrink_force(nullptr, 4096),
		peershm_stat(nullptr, &region),
		peershm_synchronize(nullptr, 0),
		peershm_withdraw(nullptr, "table", nullptr),
	};

	for (int answer : answers)
		assert_int_equal(answer, -EINVAL);
	peershm_read_unlock(nullptr);
}

/* The symbols that this program looks for in libraries. */
static std::set<std::string> undefined_symbols()
{
	std::string nm = "nm -D --undefined-only " +
			 std::filesystem::read_symlink("/proc/self/exe").string();
	std::set<std::string> names;
	char name[256];
	FILE *output = popen(nm.c_str(), "r");

	while (output && std::fscanf(output, " %*c %255[^@\n]%*[^\n]", name) == 1)
		names.insert(name);
	if (output)
		pclose(output);
	return names;
}

/* How many of the library's symbols are not used here. */
static int unused()
{
	const std::set<std::string> used = undefined_symbols();
	std::ifstream map("libpeershm/libpeershm.map");
	std::string line;
	int n = 0, exported = 0;

	while (std::getline(map, line)) {
		if (line.rfind("\tpeershm_", 0))
			continue;
		std::string name = line.substr(1, line.find(';') - 1);

		exported++;
		if (used.count(name))
			continue;
		print_error("%s is not used\n", name.c_str());
		n++;
	}
	return exported ? n : -1;
}

static void every_function_is_used(void **)
{
	assert_int_equal(unused(), 0);
}

int main()
{
	const struct CMUnitTest program[] = {
		cmocka_unit_test(the_fields_of_structures_are_what_functions_take),
		cmocka_unit_test(a_region_without_a_name_is_not_opened),
		cmocka_unit_test(without_a_handle_there_is_no_region),
		cmocka_unit_test(without_a_handle_calls_are_einval),
		cmocka_unit_test(every_function_is_used),
	};

	return cmocka_run_group_tests(program, nullptr, nullptr);
}
