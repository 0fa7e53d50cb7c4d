/* SPDX-License-Identifier: GPL-2.0-only */
/* The library on the real device. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/library.h"

static const struct peershm_options small_options = { .capacity = GIB };

CASE(open_makes_the_region_once)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *first = open_here(name, "first", NULL), *again = NULL;
	struct peershm_region_info info;

	assert_ok(peershm_open(&again, name, NULL, PEERSHM_CREATE, &small_options));
	peershm_close(again);
	assert_error(peershm_open(&again, name, NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE,
				  &small_options),
		     -EEXIST);
	assert_null(again);
	assert_ok(peershm_stat(first, &info));
	assert_int_equal(info.capacity, GIB);
	assert_int_equal(info.mode, 0600);
	assert_int_equal(info.nr_clients, 1);
	assert_string_equal(info.name, name);
}

CASE(open_of_what_is_not_there_is_enoent)
{
	struct peershm *handle = (void *)1;

	assert_error(peershm_open(&handle, "t-no-such-region", "a", 0, NULL), -ENOENT);
	assert_null(handle);
	assert_non_null(strstr(peershm_strerror(ENOENT), "region"));
}

CASES(what_a_handle_says_is_what_the_region_is, ALL_BACKINGS)
{
	struct peershm_options options = { .capacity = b->capacity,
					   .size = b->step,
					   .backing = b->id,
					   .mode = 0640,
					   .max_clients = 7 };
	char name[PEERSHM_NAME_SIZE];
	struct peershm_region_info info;

	backing_needs(b, b->step);
	open_here(name, "test", &options);
	assert_ok(peershm_stat(shm, &info));
	assert_int_equal(peershm_size(shm), b->step);
	assert_int_equal(peershm_capacity(shm), b->capacity);
	assert_int_equal(peershm_page_size(shm), b->page);
	assert_int_equal((uintptr_t)peershm_base(shm), info.base);
	assert_int_not_equal(peershm_client_id(shm), 0);
	assert_null(peershm_root(shm));
	assert_int_equal(info.backing, b->id);
	assert_int_equal(info.mode, 0640);
	assert_int_equal(info.max_clients, 7);
	assert_int_equal(pagemap_present(info.base, b->step), b->step);
}

static long extend_many(void *arg)
{
	uint64_t *starts = arg;
	unsigned int n = (unsigned int)starts[0];

	for (unsigned int i = 0; i < n; i++) {
		uint64_t *part = peershm_extend(shm, SYSTEM_PAGE);

		if (!part)
			return -errno;
		starts[i] = (uintptr_t)part;
		*part = starts[i];
	}
	return 0;
}

CASE(two_processes_that_extend_at_once_get_parts_of_their_own)
{
	enum {
		parts = 400
	};
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	struct peer *peers[2] = { library_peer(name, "a"), library_peer(name, "b") };
	uint64_t starts[2][parts] = { { parts }, { parts } };
	static bool taken[2 * parts];

	memset(taken, 0, sizeof(taken));
	for (int i = 0; i < 2; i++)
		peer_start(peers[i], extend_many, starts[i], sizeof(starts[i]));
	for (int i = 0; i < 2; i++)
		assert_ok(peer_finish(peers[i], starts[i], sizeof(starts[i])));
	assert_int_equal(peershm_size(handle), 2 * parts * SYSTEM_PAGE);
	for (int i = 0; i < 2 * parts; i++) {
		uint64_t start = starts[i / parts][i % parts];
		uint64_t page = (start - (uintptr_t)peershm_base(handle)) / SYSTEM_PAGE;

		assert_true(page < 2 * parts);
		assert_false(taken[page]);
		taken[page] = true;
		assert_int_equal(*(uint64_t *)at_address(start), start);
	}
}

CASE(grow_and_shrink_round_up_to_the_page_size)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	struct peershm_report report = { .peers = NULL };

	assert_ok(peershm_grow(handle, 2 * SYSTEM_PAGE + 1, &report));
	assert_int_equal(peershm_size(handle), 3 * SYSTEM_PAGE);
	assert_int_equal(report.nr_peers, 1);
	assert_int_equal(report.mapped, 1);
	assert_ok(peershm_shrink_force(handle, SYSTEM_PAGE + 1));
	assert_int_equal(peershm_size(handle), 2 * SYSTEM_PAGE);
	assert_non_null(peershm_extend(handle, 1));
	assert_int_equal(peershm_size(handle), 3 * SYSTEM_PAGE);
}

CASE(errors_of_grow_extend_and_shrink_leave_the_size_alone)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);

	assert_ok(peershm_grow(handle, MIB, NULL));
	assert_error(peershm_grow(handle, 2 * GIB, NULL), -ENOSPC);
	assert_null(peershm_extend(handle, GIB));
	assert_int_equal(errno, ENOSPC);
	assert_null(peershm_extend(handle, 0));
	assert_int_equal(errno, EINVAL);
	assert_error(peershm_shrink_force(handle, 2 * MIB), -EINVAL);
	assert_int_equal(peershm_size(handle), MIB);
}

CASE(a_root_is_set_once)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	char *part = peershm_extend(handle, SYSTEM_PAGE);

	assert_non_null(part);
	assert_ok(peershm_set_root(handle, NULL, part));
	assert_error(peershm_set_root(handle, NULL, part + 8), -EEXIST);
	assert_ptr_equal(peershm_root(handle), part);
	assert_error(peershm_set_root(handle, part, part + SYSTEM_PAGE), -EINVAL);
	assert_ok(peershm_set_root(handle, part, NULL));
	assert_null(peershm_root(handle));
}

CASE(find_gives_the_handle_of_an_address)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	char *base = peershm_base(handle);
	int here;

	assert_ptr_equal(peershm_find(base), handle);
	assert_ptr_equal(peershm_find(base + GIB - 1), handle);
	assert_null(peershm_find(base + GIB));
	assert_null(peershm_find(base - 1));
	assert_null(peershm_find(&here));
	assert_null(peershm_find(NULL));
	close_here();
	assert_null(peershm_find(base));
}

CASE(the_message_names_the_mapping_in_the_way)
{
	char name[PEERSHM_NAME_SIZE], address[32];
	struct peershm *handle = open_here(name, NULL, NULL), *client = NULL;
	struct peershm_region_info info;
	char *in_the_way;

	assert_ok(peershm_stat(handle, &info));
	in_the_way = mmap(at_address(info.base + 16 * MIB), SYSTEM_PAGE, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_int_equal((uintptr_t)in_the_way, info.base + 16 * MIB);
	assert_error(peershm_open(&client, name, "late", 0, NULL), -EADDRINUSE);
	assert_null(client);
	snprintf(address, sizeof(address), "%llx", (unsigned long long)(uintptr_t)in_the_way);
	print_message("# %s\n", peershm_strerror(EADDRINUSE));
	assert_non_null(strstr(peershm_strerror(EADDRINUSE), address));
	munmap(in_the_way, SYSTEM_PAGE);
}

CASE(the_message_names_the_client_whose_name_is_taken)
{
	char name[PEERSHM_NAME_SIZE];
	struct open_order o = { .client = "test" };
	struct peer *p = peer_new();

	open_here(name, "test", NULL);
	memcpy(o.region, name, sizeof(o.region));
	assert_error(peer_call(p, open_by_library, &o, sizeof(o)), -EEXIST);
}

struct denied {
	struct open_order order;
	char says[128];
};

static long open_is_denied_and_says(void *arg)
{
	struct denied *d = arg;
	long err = open_by_library(&d->order);

	if (err == -EACCES && strcmp(peershm_strerror(EACCES), d->says) != 0) {
		fprintf(stderr, "# %s\n", peershm_strerror(EACCES));
		return -ENOMSG;
	}
	return err;
}

static void put_mode_back(void *mode)
{
	chmod(PEERSHM_DEVICE, *(mode_t *)mode);
}

CASE(the_message_says_who_may_open_the_device)
{
	struct denied d = {
		.order = { .region = "any", .client = "any" },
		.says = PEERSHM_DEVICE " has mode 0620, owner 0 and group 0: this process may not "
				       "open it for reading and writing",
	};
	static mode_t mode;
	struct stat node;
	struct peer *p;

	if (geteuid() != 0)
		skip_because("not root");
	p = peer_new();
	peer_become(p, 1000, 1000);
	assert_ok(stat(PEERSHM_DEVICE, &node));
	mode = node.st_mode & 07777;
	test_cleanup(put_mode_back, &mode);
	assert_ok(chmod(PEERSHM_DEVICE, 0620));
	assert_error(peer_call(p, open_is_denied_and_says, &d, sizeof(d)), -EACCES);
	d.order.flags = PEERSHM_READ_ONLY;
	*strstr(d.says, " and writing") = '\0';
	assert_error(peer_call(p, open_is_denied_and_says, &d, sizeof(d)), -EACCES);
}

static long use_in_child(void *arg)
{
	int *results = arg, status, ends[2];
	pid_t child;

	if (pipe(ends))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		struct peershm_region_info info;

		results[0] = peershm_grow(shm, 64 * MIB, NULL);
		results[1] = peershm_shrink(shm, 0, 0);
		results[2] = peershm_map_all(shm, 0, 0, NULL);
		results[3] = peershm_set_root(shm, NULL, NULL);
		results[4] = peershm_stat(shm, &info);
		results[5] = peershm_extend(shm, SYSTEM_PAGE) ? 0 : -errno;
		results[6] = peershm_clients(shm, NULL, 0);
		peershm_close(shm);
		if (write(ends[1], results, 7 * sizeof(int)) < 0)
			_exit(1);
		_exit(0);
	}
	if (read(ends[0], results, 7 * sizeof(int)) != (ssize_t)(7 * sizeof(int)))
		return -EIO;
	close(ends[0]);
	close(ends[1]);
	if (waitpid(child, &status, 0) != child || status)
		return -ECHILD;
	/* The parent's client is as before. */
	return peershm_grow(shm, 128 * SYSTEM_PAGE, NULL);
}

CASE(a_handle_in_a_child_of_fork_is_enotconn)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, NULL, NULL);
	struct peer *p = library_peer(name, "parent");
	int results[7] = { 0 };

	assert_ok(peer_call(p, use_in_child, results, sizeof(results)));
	for (int i = 0; i < 7; i++)
		assert_error(results[i], -ENOTCONN);
	assert_int_equal(peershm_clients(handle, NULL, 0), 1);
	assert_int_equal(peershm_size(handle), 128 * SYSTEM_PAGE);
}

CASE(a_handle_without_client_administers)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, NULL, NULL);
	struct peer *p = library_peer(name, "peer");
	struct peershm_peer peers[2];
	struct peershm_report report = { .peers = peers, .max_peers = 2 };

	assert_null(peershm_base(handle));
	assert_null(peershm_header(handle));
	assert_int_equal(peershm_client_id(handle), 0);
	assert_ok(peershm_grow(handle, MIB, &report));
	assert_int_equal(report.nr_peers, 1);
	assert_int_equal(report.mapped, 1);
	assert_int_equal(peers[0].pid, p->pid);
	assert_string_equal(peers[0].name, "peer");
}

CASE(the_header_of_a_handle_lists_all_clients)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	struct peershm_header_client clients[3];
	struct peer *p = library_peer(name, "peer");
	bool seen = false;

	assert_int_equal(peershm_header(handle)->magic, PEERSHM_HEADER_MAGIC);
	assert_int_equal(peershm_header_clients(handle, clients, 3), 2);
	for (int i = 0; i < 2; i++)
		seen |= clients[i].pid == p->pid && strcmp(clients[i].name, "peer") == 0;
	assert_true(seen);
	assert_int_equal(peershm_header_clients(handle, clients, 1), 2);
}

CASE(map_by_pid_by_name_and_of_all_reach_the_peer)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	struct peer *p = library_peer(name, "peer");
	uint64_t base = (uintptr_t)peershm_base(handle);

	assert_ok(peershm_grow(handle, MIB, NULL));
	for (int i = 0; i < 3; i++) {
		struct peershm_report report = { .peers = NULL };

		peer_forget(p, base, MIB);
		assert_int_equal(peer_present(p, base, MIB), 0);
		if (i == 0)
			assert_ok(peershm_map_all(handle, 0, 0, &report));
		else if (i == 1)
			assert_ok(peershm_map_pid(handle, p->pid, 0, MIB, &report));
		else
			assert_ok(peershm_map_name(handle, "peer", 0, MIB, &report));
		assert_int_equal(report.mapped, i == 0 ? 2 : 1);
		assert_int_equal(peer_present(p, base, MIB), MIB);
	}
	assert_error(peershm_map_name(handle, "nobody", 0, 0, NULL), -ENOENT);
	assert_error(peershm_map_pid(handle, 1, 0, 0, NULL), -ENOENT);
}

CASE(regions_lists_the_region)
{
	static struct peershm_region_info infos[256];
	char name[PEERSHM_NAME_SIZE];
	int n, seen = 0;

	open_here(name, NULL, NULL);
	n = peershm_regions(infos, 256);
	assert_true(n >= 1 && n <= 256);
	for (int i = 0; i < n; i++)
		seen += strcmp(infos[i].name, name) == 0;
	assert_int_equal(seen, 1);
	assert_int_equal(peershm_regions(NULL, 0), n);
}

CASE(close_leaves_the_region_to_the_others)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, "test", NULL);
	struct peer *p = library_peer(name, "peer");
	uint64_t base = (uintptr_t)peershm_base(handle);

	assert_ok(peershm_grow(handle, SYSTEM_PAGE, NULL));
	*(uint64_t *)at_address(base) = 31337;
	close_here();
	assert_int_equal(touch(base, false), SIGSEGV);
	assert_int_equal(peer_load(p, base), 31337);
}

static void *open_and_close(void *arg)
{
	struct peershm *handle;
	char client[32];
	long err = 0;

	snprintf(client, sizeof(client), "thread %d", (int)gettid());
	for (int i = 0; i < 200 && !err; i++) {
		err = peershm_open(&handle, arg, client, 0, NULL);
		if (!err) {
			if (peershm_find(peershm_base(handle)) != handle)
				err = -EPROTO;
			peershm_close(handle);
		} else if (err == -EALREADY || err == -EADDRINUSE) {
			err = 0; /* another thread has it open */
		}
	}
	return (void *)err;
}

CASE(threads_open_and_close_one_region)
{
	char name[PEERSHM_NAME_SIZE];
	struct peershm *handle = open_here(name, NULL, NULL);
	pthread_t threads[4];
	void *result;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, name), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_error((long)result, 0);
	}
	assert_int_equal(peershm_clients(handle, NULL, 0), 0);
}
