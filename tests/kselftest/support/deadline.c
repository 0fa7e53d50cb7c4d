/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each case runs in a process of its own, with a deadline. One that is late fails itself and
 * cleans up; where it cannot, because it hangs in the kernel, it is killed and this process
 * tells that it failed. In both ways the cases after it run.
 */
#include <err.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadline.h"
#include "device.h"
#include "test.h"

#define CASE_SECONDS 240

/* When the case that runs is late, in now_ms(): shared with its process. */
static uint64_t *deadline;

static unsigned int case_seconds(void)
{
	const char *text = getenv("PEERSHM_TEST_SECONDS");

	return text ? (unsigned int)strtoul(text, NULL, 0) : CASE_SECONDS;
}

static void fail_late(int signal)
{
	(void)signal;
	print_error("# out of time\n");
	_fail(__FILE__, __LINE__);
}

void test_goes_on(void)
{
	*deadline = now_ms() + 1000 * case_seconds();
	alarm(case_seconds());
}

/* What the process of a case prints: cmocka's report of a group that has one case. */
struct output {
	int fd;
	unsigned int number; /* of the case in this program */
	bool told;	     /* its verdict */
	size_t length;
	char text[4096];
};

/* The same as the report of a group of all cases. */
static void print_line(struct output *o, const char *line)
{
	bool failed = !strncmp(line, "not ", 4);
	const char *verdict = failed ? line + 4 : line;

	if (!strncmp(verdict, "ok 1 ", 5)) {
		printf("%sok %u %s\n", failed ? "not " : "", o->number, verdict + 5);
		o->told = true;
	} else if (strcmp(line, "1..1") != 0 && strncmp(line, "# ok - ", 7) != 0 &&
		   strncmp(line, "# not ok - ", 11) != 0) {
		printf("%s\n", line);
	}
}

/* Print the lines that are there; false if there was nothing to read. */
static bool print_output(struct output *o)
{
	size_t room = sizeof(o->text) - 1 - o->length;
	ssize_t n = read(o->fd, o->text + o->length, room);
	char *line = o->text, *end;

	if (n <= 0)
		return false;
	o->length += (size_t)n;
	o->text[o->length] = '\0';
	while ((end = strchr(line, '\n')) || (line == o->text && (size_t)n == room)) {
		if (end)
			*end = '\0';
		print_line(o, line);
		line = end ? end + 1 : o->text + o->length;
	}
	o->length -= (size_t)(line - o->text);
	memmove(o->text, line, o->length);
	return true;
}

/* Print what the case prints until its process has ended; false if it has not in time. */
static bool follow(struct output *o, int process)
{
	unsigned int grace_ms = 1000 + case_seconds() * 125;
	struct pollfd fds[] = { { o->fd, POLLIN, 0 }, { process, POLLIN, 0 } };

	do {
		poll(fds, 2, 1000);
		if (fds[0].revents)
			print_output(o);
	} while (!fds[1].revents && now_ms() < *deadline + grace_ms);
	while (print_output(o))
		;
	return fds[1].revents;
}

static void print_kernel_stack(pid_t pid)
{
	char path[32], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stack", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		printf("# %s", line);
	if (file)
		fclose(file);
}

/* Wait for the process, which has ended or is killed now; gives its status, or -1. */
static int end_case(pid_t pid, int process)
{
	struct pollfd fd = { process, POLLIN, 0 };
	int status = -1;

	kill(pid, SIGKILL);
	if (poll(&fd, 1, 5000) != 1 || waitpid(pid, &status, 0) != pid)
		printf("# PID %d cannot be killed\n", (int)pid);
	return status;
}

static _Noreturn void be_the_case(const struct CMUnitTest *test, int fd)
{
	struct sigaction late = { .sa_handler = fail_late, .sa_flags = SA_NODEFER };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGALRM, &late, NULL);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	exit(_cmocka_run_group_tests("case", test, 1, NULL, NULL) ? 1 : 0);
}

static bool run_case(const struct CMUnitTest *test, unsigned int number)
{
	struct output o = { .number = number };
	int ends[2], process, status, left;
	const char *why = "ended before its verdict";
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) || fcntl(ends[0], F_SETFL, O_NONBLOCK))
		err(1, "pipe");
	*deadline = now_ms() + 1000 * case_seconds();
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		be_the_case(test, ends[1]);
	close(ends[1]);
	o.fd = ends[0];
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process < 0)
		err(1, "pidfd_open");
	if (!follow(&o, process)) {
		why = "hangs";
		print_kernel_stack(pid);
	}
	status = end_case(pid, process);
	if (!o.told)
		printf("not ok %u - %s\n# %s, status %#x\n", number, test->name, why, status);
	left = regions_unlink(pid);
	if (left > 0)
		printf("# %s: %d regions are left behind\n", test->name, left);
	close(process);
	close(ends[0]);
	return o.told && status == 0 && left <= 0;
}

static bool is_wanted(const struct CMUnitTest *test)
{
	const char *filter = getenv("PEERSHM_TEST_FILTER");

	return !filter || !fnmatch(filter, test->name, 0);
}

int run_with_deadlines(const struct CMUnitTest *tests, size_t n)
{
	unsigned int number = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	deadline = mmap(NULL, sizeof(*deadline), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (deadline == MAP_FAILED)
		err(1, "mmap");
	for (size_t i = 0; i < n; i++)
		number += is_wanted(&tests[i]);
	printf("1..%u\n", number);
	number = 0;
	for (size_t i = 0; i < n; i++)
		failed += is_wanted(&tests[i]) && !run_case(&tests[i], ++number);
	return failed ? 1 : 0;
}
