/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocation, every command of the device and every system call that a function of
 * the library makes fails once: in the first run the first of them, in the second run the
 * second, and so on until the function ends before its turn has come. In each run the function
 * must succeed all the same, or return an error that peershm_strerror() explains and work when
 * it is called again, and nothing may be left open, mapped or allocated.
 *
 * Each run is a process of its own, so that it also makes what the library makes once in a
 * process. A function's runs follow each other. JOBS functions are tested side by side,
 * because a run mostly waits for the leak check at its exit.
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

#define MAX_SITES 100
#define DEADLINE 20 /* seconds for one run */
#define JOBS 8

/* Call it with its sites counted. */
static int call(const struct function *f)
{
	int err;

	inside_device = 0;
	err = f->call();
	inside_device = 1;
	return err;
}

/* A run's exit status. A sanitizer that finds something, such as a leak, exits with another one. */
enum verdict {
	FAILED_CLEANLY = 50,
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

/* Whether the library has a message of its own for the error. */
static bool said(int err)
{
	const char *words = peershm_strerror(err);

	return words && words[0] && strcmp(words, strerror(-err)) != 0 &&
	       strcmp(words, peershm_strerror(0)) != 0;
}

/* The number that the next file gets. */
static int next_file(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static enum verdict run(const struct function *f)
{
	int next = next_file();
	bool failed;
	int err;

	if (set_scene(f))
		return wrong(f, "the scene is not set", 0);
	pshm_system = &site_system;
	err = call(f);
	failed = site.failed;
	if (!failed && (err < 0 ? err : 0) != f->answer)
		return wrong(f, "gives the wrong answer by itself", err);
	/* The function's own error, the injected one, or what the injected one means there. */
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
	if (fake.open_files || fake.header_maps || fake.windows || next_file() != next)
		return wrong(f, "leaves something open", err);
	memset(&scene, 0, sizeof(scene));
	return !failed ? NONE_LEFT : err < 0 ? FAILED_CLEANLY : SUCCEEDED;
}

static int run_in_child(const struct function *f, int nth, int with)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		alarm(DEADLINE);
		site.nth = nth;
		site.with = with;
		exit(run(f)); /* not _exit(): the leak check and coverage are at exit */
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return WRONG;
	return WIFEXITED(status) ? WEXITSTATUS(status) : WRONG;
}

/* What the runs of one function came to, in memory that the processes share. */
struct outcome {
	bool complete; /* every site has failed, and every verdict was a good one */
	unsigned int sites, failures;
};

static void fail_every_site(const struct function *f, int with, struct outcome *outcome)
{
	for (int nth = 1; nth < MAX_SITES; nth++) {
		int verdict = run_in_child(f, nth, with);

		if (verdict == NONE_LEFT) {
			outcome->complete = outcome->sites >= f->least;
			if (!outcome->complete)
				fprintf(stderr, "%s: %u sites\n", f->name, outcome->sites);
			return;
		}
		if (verdict != FAILED_CLEANLY && verdict != SUCCEEDED) {
			fprintf(stderr, "%s, site %d failing with %s: exit status %d\n", f->name,
				nth, strerrorname_np(with), verdict);
			return;
		}
		outcome->sites++;
		outcome->failures += verdict == FAILED_CLEANLY;
	}
	fprintf(stderr, "%s: more than %d sites\n", f->name, MAX_SITES);
}

static void start_job(const struct function *f, int with, struct outcome *outcome)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		fail_every_site(f, with, outcome);
		_exit(0);
	}
	assert_true(pid > 0);
}

static void every_site_fails_cleanly(int with)
{
	enum {
		FUNCTIONS = sizeof(functions) / sizeof(functions[0])
	};
	struct outcome *outcomes = mmap(NULL, FUNCTIONS * sizeof(*outcomes), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int sites = 0, failures = 0, complete = 0;

	assert_ptr_not_equal(outcomes, MAP_FAILED);
	for (int i = 0; i < FUNCTIONS; i++) {
		if (i >= JOBS)
			assert_true(wait(NULL) > 0);
		start_job(&functions[i], with, &outcomes[i]);
	}
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < FUNCTIONS; i++) {
		sites += outcomes[i].sites;
		failures += outcomes[i].failures;
		complete += outcomes[i].complete;
	}
	munmap(outcomes, FUNCTIONS * sizeof(*outcomes));
	print_message("# %u sites, %u failures with %s\n", sites, failures, strerrorname_np(with));
	assert_int_equal(complete, FUNCTIONS);
}

CASE(no_memory_anywhere)
{
	every_site_fails_cleanly(ENOMEM);
}

CASE(a_signal_anywhere)
{
	every_site_fails_cleanly(EINTR);
}

CASE(no_permission_anywhere)
{
	every_site_fails_cleanly(EACCES);
}

CASE(no_device_anywhere)
{
	every_site_fails_cleanly(ENODEV);
}

CASE(no_file_left_anywhere)
{
	every_site_fails_cleanly(ENFILE);
}

CASE(every_function_of_the_library_is_in_the_table)
{
	FILE *map = fopen("libpeershm/libpeershm.map", "re");
	char line[128], name[128];
	bool all = true;

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
