/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocation, command of the device and system call that a function of the library
 * makes fails once, one at a time: the first, the second, and so on until the function ends
 * without one left to fail. Whatever fails, the function succeeds all the same or gives an
 * error, in words, after which it works, and nothing is left open, mapped or allocated.
 *
 * Each run is a child of its own: what the library makes once in a process is not made yet.
 * What the library calls itself is caught by the linker (--wrap, see the Makefile).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fake_device.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_do_recoverable_leak_check() 0
#endif

#define GIB (1ULL << 30)
#define MAX_SITES 100
#define DEADLINE 20 /* seconds */

/* How a site fails, and how many it has passed. */
static struct {
	int nth; /* which one fails, counted from 1; 0: none */
	int with;
	int passed;
	bool failed;
} site;

/* Within the stand-in for the device, nothing is a site of the library's. */
static int inside_device = 1;

static bool passes(void)
{
	if (inside_device || ++site.passed != site.nth)
		return true;
	site.failed = true;
	errno = site.with;
	return false;
}

static int site_open(const char *path, int flags)
{
	int fd = -1;

	if (!passes())
		return fd;
	inside_device++;
	fd = fake_open(path, flags);
	inside_device--;
	return fd;
}

/* DETACH fails for want of memory or after a signal; neither is for long. */
static bool may_fail(unsigned long command)
{
	return command != PEERSHM_IOC_DETACH || site.with == ENOMEM || site.with == EINTR;
}

static int site_ioctl(int fd, unsigned long command, void *argument)
{
	int ret = -1;

	if (may_fail(command) && !passes())
		return ret;
	inside_device++;
	ret = fake_ioctl(fd, command, argument);
	inside_device--;
	return ret;
}

static void *site_mmap(int fd, size_t length, int protection, off_t offset)
{
	return passes() ? fake_mmap(fd, length, protection, offset) : MAP_FAILED;
}

static int site_membarrier(int command)
{
	return passes() ? pshm_kernel.membarrier(command) : -1;
}

static ssize_t site_read(int fd, void *to, size_t n)
{
	return passes() ? fake_read(fd, to, n) : -1;
}

static int site_poll(int fd, int timeout_ms)
{
	return passes() ? fake_poll(fd, timeout_ms) : -1;
}

static void *site_alloc(size_t size)
{
	return passes() ? calloc(1, size) : NULL;
}

static const struct pshm_system site_system = {
	.open = site_open,
	.close = fake_close,
	.ioctl = site_ioctl,
	.mmap = site_mmap,
	.munmap = fake_munmap,
	.membarrier = site_membarrier,
	.read = site_read,
	.poll = site_poll,
	.alloc = site_alloc,
	.exempt = fake_exempt,
};

/* The names that the linker gives the library's calls and the C library's functions. */
#define WRAPPED(type, name, failure, parameters, arguments)            \
	type __real_##name parameters;                                 \
	type __wrap_##name parameters;                                 \
	type __wrap_##name parameters                                  \
	{                                                              \
		return passes() ? __real_##name arguments : (failure); \
	}

WRAPPED(void *, mmap, MAP_FAILED, (void *at, size_t n, int prot, int flags, int fd, off_t offset),
	(at, n, prot, flags, fd, offset))
WRAPPED(int, madvise, -1, (void *at, size_t n, int advice), (at, n, advice))
WRAPPED(int, pthread_atfork, site.with,
	(void (*before)(void), void (*parent)(void), void (*child)(void)), (before, parent, child))
WRAPPED(int, pthread_key_create, site.with, (pthread_key_t * key, void (*ends)(void *)),
	(key, ends))
WRAPPED(int, pthread_setspecific, site.with, (pthread_key_t key, const void *value), (key, value))
WRAPPED(FILE *, fopen, NULL, (const char *path, const char *mode), (path, mode))
WRAPPED(ssize_t, getline, -1, (char **line, size_t *n, FILE *file), (line, n, file))
WRAPPED(ssize_t, read, -1, (int fd, void *to, size_t n), (fd, to, n))
WRAPPED(int, stat, -1, (const char *path, struct stat *to), (path, to))
WRAPPED(int, getrlimit, -1, (__rlimit_resource_t which, struct rlimit *to), (which, to))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	return passes() ? __real_open(path, flags) : -1;
}

/* What a run has at hand. */
static struct scene {
	struct peershm *client;
	struct peershm *administrator;
	struct peershm *opened; /* by the function */
} scene;

/* A function that gives 0 or more, or a negative errno value. */
struct function {
	const char *name;
	int (*call)(void);
	unsigned int least; /* sites that it has to have */
	int answer;	    /* when nothing fails but what it is about */
};

static int pointer(const void *p)
{
	return p ? 0 : -errno;
}

static int nonzero(uint64_t value)
{
	return value ? 0 : -errno;
}

static int open_as(const char *client, unsigned int flags, const struct peershm_options *options)
{
	return peershm_open(&scene.opened, "new", client, flags, options);
}

static int open_and_make(void)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };

	return open_as("ann", PEERSHM_CREATE, &options);
}

static int open_exclusively(void)
{
	struct peershm_options options = { .capacity = GIB, .size = 8192 };

	return open_as("ann", PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &options);
}

static int open_read_only(void)
{
	struct peershm_options options = { .backing = PEERSHM_THP, .size = 8192 };

	return open_as("ann", PEERSHM_CREATE | PEERSHM_READ_ONLY, &options);
}

static int open_to_administer(void)
{
	return open_as(NULL, PEERSHM_CREATE, NULL);
}

static int open_what_is_there(void)
{
	return peershm_open(&scene.opened, "there", "ann", PEERSHM_DUMP, NULL);
}

/* What follows fails by itself, and says why: that asks and allocates, too. */
static int open_over_a_mapping(void)
{
	void *taken = mmap((void *)(uintptr_t)fake.regions[0].info.base, 4096, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	int err = open_what_is_there();

	if (taken != MAP_FAILED)
		munmap(taken, 4096);
	return err;
}

static int open_with_a_failing(unsigned long command, int with)
{
	struct peershm_options options = { .capacity = GIB, .base = fake.regions[0].info.base };
	int err;

	fake.fail_command = command;
	fake.fail_with = with;
	err = open_as("ann", PEERSHM_CREATE, &options);
	fake.fail_command = 0;
	return err;
}

static int open_over_a_region(void)
{
	return open_with_a_failing(PEERSHM_IOC_CREATE, EADDRINUSE);
}

static int open_beyond_a_limit(void)
{
	fake.parameters[0].name = "max_regions";
	fake.parameters[0].value = "2";
	return open_with_a_failing(PEERSHM_IOC_CREATE, ENOSPC);
}

static int open_under_a_taken_name(void)
{
	return open_with_a_failing(PEERSHM_IOC_ATTACH, EEXIST);
}

static int open_without_address_space(void)
{
	return open_with_a_failing(PEERSHM_IOC_ATTACH, ENOMEM);
}

static int close_(void)
{
	peershm_close(scene.client);
	scene.client = NULL;
	return 0;
}

static int grow(void)
{
	struct peershm_peer peers[2];
	struct peershm_report report = { .peers = peers, .max_peers = 2 };

	return peershm_grow(scene.client, 3 * 4096, &report);
}

static int extend(void)
{
	return pointer(peershm_extend(scene.client, 4096));
}

static int shrink(void)
{
	return peershm_shrink(scene.client, 4096, 0);
}

static int shrink_force(void)
{
	return peershm_shrink_force(scene.client, 4096);
}

static int synchronize(void)
{
	return peershm_synchronize(scene.client, 0);
}

static int read_section(void)
{
	int err = peershm_read_lock(scene.client);

	if (!err)
		peershm_read_unlock(scene.client);
	return err;
}

static int set_reserve(void)
{
	return peershm_set_reserve(scene.client, 4096);
}

static int map_all(void)
{
	return peershm_map_all(scene.client, 0, 0, NULL);
}

static int map_pid(void)
{
	return peershm_map_pid(scene.client, 4242, 0, 0, NULL);
}

static int map_name(void)
{
	return peershm_map_name(scene.client, "bgpd", 0, 0, NULL);
}

static int root(void)
{
	errno = 0;
	return pointer(peershm_root(scene.client));
}

static int root_as_administrator(void)
{
	errno = 0;
	return pointer(peershm_root(scene.administrator));
}

static int set_root(void)
{
	const void *now = peershm_base(scene.client);

	return peershm_set_root(scene.client, now, now);
}

static int publish(void)
{
	return peershm_publish(scene.client, "b", NULL, peershm_base(scene.client));
}

static int withdraw(void)
{
	return peershm_withdraw(scene.client, "a", peershm_base(scene.client));
}

static int lookup(void)
{
	errno = 0;
	return pointer(peershm_lookup(scene.client, "a"));
}

static int roots(void)
{
	struct peershm_root_info infos[2];

	return peershm_roots(scene.client, infos, 2);
}

static int read_root(void)
{
	struct peershm_root_info info;

	return peershm_read_root(scene.client, "not there", &info);
}

static int replace_root(void)
{
	struct peershm_root_info info;
	int err = peershm_read_root(scene.client, NULL, &info);

	return err ? err : peershm_replace_root(scene.client, &info, NULL);
}

static int base(void)
{
	return pointer(peershm_base(scene.client));
}

static int size(void)
{
	return nonzero(peershm_size(scene.client));
}

static int size_as_administrator(void)
{
	return nonzero(peershm_size(scene.administrator));
}

static int capacity(void)
{
	return nonzero(peershm_capacity(scene.client));
}

static int page_size(void)
{
	return nonzero(peershm_page_size(scene.client));
}

static int client_id(void)
{
	return nonzero(peershm_client_id(scene.client));
}

static int generation(void)
{
	return nonzero(peershm_generation(scene.client));
}

static int client_name(void)
{
	return pointer(peershm_client_name(scene.client));
}

static int header(void)
{
	return pointer(peershm_header(scene.client));
}

static int header_clients(void)
{
	struct peershm_header_client clients[2];

	return peershm_header_clients(scene.client, clients, 2);
}

static int clients(void)
{
	struct peershm_client_info infos[2];

	return peershm_clients(scene.client, infos, 2);
}

static int resolve_name(void)
{
	pid_t pid;

	return peershm_resolve_name(scene.client, "bgpd", &pid);
}

static int event_fd(void)
{
	return peershm_event_fd(scene.client);
}

static int event_fd_of_administrator(void)
{
	return peershm_event_fd(scene.administrator);
}

static int next_event(void)
{
	struct peershm_event event;

	return peershm_next_event(scene.client, &event, 1000);
}

static int next_event_of_administrator(void)
{
	struct peershm_event event;

	return peershm_next_event(scene.administrator, &event, 1000);
}

static int event_name(void)
{
	return peershm_event_name(PEERSHM_EVENT_GREW) ? 0 : -EINVAL;
}

static int resolve_pid(void)
{
	char name[PEERSHM_NAME_SIZE];

	return peershm_resolve_pid(scene.client, 4242, name);
}

static int stat_(void)
{
	struct peershm_region_info info;

	return peershm_stat(scene.administrator, &info);
}

static int regions(void)
{
	struct peershm_region_info infos[2];

	return peershm_regions(infos, 2);
}

static int unlink_(void)
{
	return peershm_unlink("spare");
}

static int find(void)
{
	return pointer(peershm_find(peershm_base(scene.client)));
}

static int strerror_(void)
{
	return pointer(peershm_strerror(-ENOMEM));
}

static int backing_name(void)
{
	return pointer(peershm_backing_name(PEERSHM_THP));
}

static const struct function functions[] = {
	{ "peershm_open, as client, making", open_and_make, 8, 0 },
	{ "peershm_open, exclusively", open_exclusively, 8, 0 },
	{ "peershm_open, read-only, making", open_read_only, 8, 0 },
	{ "peershm_open, to administer", open_to_administer, 5, 0 },
	{ "peershm_open, what is there", open_what_is_there, 6, 0 },
	{ "peershm_open, over a mapping", open_over_a_mapping, 8, -EADDRINUSE },
	{ "peershm_open, over a region", open_over_a_region, 7, -EADDRINUSE },
	{ "peershm_open, beyond a limit", open_beyond_a_limit, 8, -ENOSPC },
	{ "peershm_open, under a taken name", open_under_a_taken_name, 6, -EEXIST },
	{ "peershm_open, without address space", open_without_address_space, 6, -ENOMEM },
	{ "peershm_close", close_, 0, 0 },
	{ "peershm_grow", grow, 1, 0 },
	{ "peershm_extend", extend, 1, 0 },
	{ "peershm_shrink", shrink, 6, 0 },
	{ "peershm_shrink_force", shrink_force, 1, 0 },
	{ "peershm_synchronize", synchronize, 4, 0 },
	{ "peershm_read_lock", read_section, 8, 0 },
	{ "peershm_set_reserve", set_reserve, 1, 0 },
	{ "peershm_map_all", map_all, 1, 0 },
	{ "peershm_map_pid", map_pid, 1, 0 },
	{ "peershm_map_name", map_name, 1, 0 },
	{ "peershm_root", root, 0, 0 },
	{ "peershm_root, as administrator", root_as_administrator, 1, 0 },
	{ "peershm_set_root", set_root, 1, 0 },
	{ "peershm_publish", publish, 1, 0 },
	{ "peershm_withdraw", withdraw, 1, 0 },
	{ "peershm_lookup", lookup, 1, 0 },
	{ "peershm_roots", roots, 1, 0 },
	{ "peershm_read_root", read_root, 2, 0 },
	{ "peershm_replace_root", replace_root, 2, 0 },
	{ "peershm_base", base, 0, 0 },
	{ "peershm_size", size, 0, 0 },
	{ "peershm_size, as administrator", size_as_administrator, 1, 0 },
	{ "peershm_capacity", capacity, 0, 0 },
	{ "peershm_page_size", page_size, 0, 0 },
	{ "peershm_client_id", client_id, 0, 0 },
	{ "peershm_client_name", client_name, 0, 0 },
	{ "peershm_generation", generation, 0, 0 },
	{ "peershm_header", header, 0, 0 },
	{ "peershm_header_clients", header_clients, 0, 0 },
	{ "peershm_clients", clients, 1, 0 },
	{ "peershm_resolve_name", resolve_name, 1, 0 },
	{ "peershm_resolve_pid", resolve_pid, 1, 0 },
	{ "peershm_event_fd", event_fd, 0, 0 },
	{ "peershm_event_fd, of an administrator", event_fd_of_administrator, 1, 0 },
	{ "peershm_next_event", next_event, 2, -ETIMEDOUT },
	{ "peershm_next_event, of an administrator", next_event_of_administrator, 4, -ETIMEDOUT },
	{ "peershm_event_name", event_name, 0, 0 },
	{ "peershm_stat", stat_, 1, 0 },
	{ "peershm_regions", regions, 2, 0 },
	{ "peershm_unlink", unlink_, 2, 0 },
	{ "peershm_find", find, 0, 0 },
	{ "peershm_strerror", strerror_, 0, 0 },
	{ "peershm_backing_name", backing_name, 0, 0 },
};

/* Whether the function opens by itself, and so makes what is made once in a process. */
static bool opens(const struct function *f)
{
	return !strncmp(f->name, "peershm_open", strlen("peershm_open"));
}

static void make_regions(void)
{
	static const char *const names[] = { "there", "spare" };

	for (int i = 0; i < 2; i++) {
		struct peershm_create create = { .capacity = GIB };

		memcpy(create.name, names[i], strlen(names[i]));
		fake_create(&create);
	}
}

static int set_scene(const struct function *f)
{
	fake_setup(NULL);
	pshm_system = &site_system;
	make_regions();
	if (opens(f))
		return 0;
	if (peershm_open(&scene.client, "there", "me", 0, NULL) ||
	    peershm_open(&scene.administrator, "there", NULL, 0, NULL) ||
	    peershm_grow(scene.client, 8192, NULL) ||
	    peershm_publish(scene.client, "a", NULL, peershm_base(scene.client)))
		return -1;
	return peershm_set_root(scene.client, NULL, peershm_base(scene.client));
}

/* Call it as the program would: with the library's sites counted. */
static int call(const struct function *f)
{
	int err;

	inside_device = 0;
	err = f->call();
	inside_device = 1;
	return err;
}

/* What a child tells of its run. */
enum verdict {
	FAILED_CLEANLY = 1,
	SUCCEEDED,
	NONE_LEFT,
	WRONG
};

static enum verdict wrong(const struct function *f, const char *what, int err)
{
	fprintf(stderr, "%s, site %d failing with %s: %s (%d: %s)\n", f->name, site.nth,
		strerrorname_np(site.with), what, err, peershm_strerror(err));
	return WRONG;
}

/* An answer in words, the library's own, for each errno of the ABI. */
static bool said(int err)
{
	const char *words = peershm_strerror(err);

	return words && words[0] && strcmp(words, strerror(-err)) != 0 &&
	       strcmp(words, peershm_strerror(0)) != 0;
}

static enum verdict run(const struct function *f)
{
	bool failed;
	int err;

	if (set_scene(f))
		return wrong(f, "the scene is not set", 0);
	err = call(f);
	failed = site.failed;
	if (!failed && (err < 0 ? err : 0) != f->answer)
		return wrong(f, "gives the wrong answer by itself", err);
	/* Its own, the one that was injected, or what that means where it happened. */
	if (err < 0 && err != f->answer && err != -site.with && err != -ENOMEM && err != -ENODEV)
		return wrong(f, "gives another error", err);
	if (err < 0 && !said(err))
		return wrong(f, "says nothing", err);
	if (err < 0 && scene.opened)
		return wrong(f, "fails, and gives a handle", err);
	site.nth = 0;
	if (err < 0 && (call(f) < 0) != (f->answer < 0))
		return wrong(f, "does not work again", err);
	peershm_close(scene.opened);
	peershm_close(scene.client);
	peershm_close(scene.administrator);
	if (fake.open_files || fake.header_maps || fake.windows)
		return wrong(f, "leaves something open", err);
	memset(&scene, 0, sizeof(scene));
	if (__lsan_do_recoverable_leak_check())
		return wrong(f, "leaks", err);
	return !failed ? NONE_LEFT : err < 0 ? FAILED_CLEANLY : SUCCEEDED;
}

static enum verdict run_in_child(const struct function *f, int nth, int with)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		alarm(DEADLINE);
		site.nth = nth;
		site.with = with;
		exit(run(f)); /* not _exit(): coverage is written at the end */
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void every_site_fails_cleanly(int with)
{
	unsigned int sites = 0, failures = 0;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		const struct function *f = &functions[i];
		enum verdict verdict;
		int nth = 0;

		do {
			assert_true(++nth < MAX_SITES);
			verdict = run_in_child(f, nth, with);
			assert_in_range(verdict, FAILED_CLEANLY, NONE_LEFT);
			failures += verdict == FAILED_CLEANLY;
		} while (verdict != NONE_LEFT);
		sites += (unsigned int)nth - 1;
		if ((unsigned int)nth - 1 < f->least)
			print_error("%s: %d sites\n", f->name, nth - 1);
		assert_true((unsigned int)nth - 1 >= f->least);
	}
	print_message("# %u sites, %u failures with %s\n", sites, failures, strerrorname_np(with));
}

static void no_memory_anywhere(void **state)
{
	(void)state;
	every_site_fails_cleanly(ENOMEM);
}

static void a_signal_anywhere(void **state)
{
	(void)state;
	every_site_fails_cleanly(EINTR);
}

static void no_permission_anywhere(void **state)
{
	(void)state;
	every_site_fails_cleanly(EACCES);
}

static void no_device_anywhere(void **state)
{
	(void)state;
	every_site_fails_cleanly(ENODEV);
}

static void no_file_left_anywhere(void **state)
{
	(void)state;
	every_site_fails_cleanly(ENFILE);
}

static void every_function_of_the_library_is_in_the_table(void **state)
{
	FILE *map = fopen("libpeershm/libpeershm.map", "re");
	char line[128], name[128];
	bool all = true;

	(void)state;
	if (!map)
		skip_because("the table of symbols is in the source tree");
	while (fgets(line, sizeof(line), map)) {
		bool found = false;

		if (sscanf(line, "\tpeershm_%100[a-z_];", name) != 1)
			continue;
		if (name[strlen(name) - 1] == '_') /* for what the header inlines */
			continue;
		for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
			const char *has = functions[i].name + strlen("peershm_");

			found |= strcspn(has, ",") == strlen(name) &&
				 !strncmp(has, name, strlen(name));
		}
		if (!found)
			print_error("peershm_%s is not in the table\n", name);
		all &= found;
	}
	fclose(map);
	assert_true(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_memory_anywhere),
		cmocka_unit_test(a_signal_anywhere),
		cmocka_unit_test(no_permission_anywhere),
		cmocka_unit_test(no_device_anywhere),
		cmocka_unit_test(no_file_left_anywhere),
		cmocka_unit_test(every_function_of_the_library_is_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
