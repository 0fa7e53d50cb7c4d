/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocation, command of the device and system call that a function of the library
 * makes fails once, one at a time: the first, the second, and so on until the function ends
 * without one left to fail. Whatever fails, the function succeeds all the same or gives an
 * error, in words, after which it works, and nothing is left open, mapped or allocated.
 *
 * Each run is a child of its own: what the library makes once in a process is not made yet.
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
#include "functions.h"
#include "sites.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_do_recoverable_leak_check() 0
#endif

#define MAX_SITES 100
#define DEADLINE 20 /* seconds */

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
