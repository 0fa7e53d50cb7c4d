/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the workers going, and watches them and the kernel log for findings. */
#include <inttypes.h>

#include "calls.h"
#include "fuzz.h"

#define TICK_MS 100
#define REPORT_MS 10000
/* How long a call may take, in time that the host gave to the machine (pace.c). */
#define NUDGE_MS 300	   /* until its thread gets a signal; */
#define LAST_NUDGE_MS 3000 /* the same by the clock, in case the host gives no time at all; */
#define KILL_MS \
	20000 /* until it counts as a hang, or its process is killed if it waits for itself; */
#define HANG_MS 60000 /* until a killed process that is still there counts as a hang */

struct watch {
	pid_t pid;
	unsigned int restarts;
	bool killed;
};

/* When a thread was last seen to begin a call. */
struct progress {
	uint64_t ops;	/* at `since` */
	uint64_t since; /* by the clock */
	uint64_t paced; /* by pace_ms() */
};

static struct watch watches[NR_PROCESSES];
static struct progress progresses[NR_THREADS];
static uint64_t paced; /* what pace_ms() last returned */
static unsigned int unexpected;

static uint64_t ops_of(const struct shared *shared, unsigned int thread)
{
	return __atomic_load_n(&shared->threads[thread].ops, __ATOMIC_RELAXED);
}

static uint64_t all_ops(const struct shared *shared)
{
	uint64_t ops = 0;

	for (unsigned int i = 0; i < NR_THREADS; i++)
		ops += ops_of(shared, i);
	return ops;
}

static void progress_now(const struct shared *shared, unsigned int thread)
{
	progresses[thread] = (struct progress){ .ops = ops_of(shared, thread),
						.since = clock_ms(),
						.paced = paced };
}

static unsigned int nr_processes(const struct shared *shared)
{
	return process_of(shared->settings.threads - 1) + 1;
}

static void start(struct shared *shared, struct common *common, unsigned int process,
		  const int sockets[2])
{
	struct watch *watch = &watches[process];

	fflush(stdout);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		if (process_of(i) != process)
			continue;
		shared->threads[i].tid = 0;
		shared->threads[i].done = false;
		progress_now(shared, i);
	}
	watch->pid = fork();
	if (!watch->pid)
		worker_main(shared, process, common, sockets);
	watch->killed = false;
}

/* A process that waits for a userfault that it asked for itself is no finding. */
static bool waits_for_itself(const struct shared *shared, unsigned int process)
{
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		if (process_of(i) == process &&
		    __atomic_load_n(&shared->threads[i].uffd, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

/* The kernel stack of a thread. */
static void print_stack(unsigned int thread, pid_t pid, pid_t tid)
{
	char path[64];
	char line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stack", (int)pid, (int)tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		printf("stack of thread %u: %s", thread, line);
	if (file)
		fclose(file);
}

/* Of all threads: the one that hangs may wait for another. */
static void print_stacks(const struct shared *shared)
{
	for (unsigned int i = 0; i < shared->settings.threads; i++)
		print_stack(i, watches[process_of(i)].pid, shared->threads[i].tid);
}

/* All threads of the process have run everything: what is left to do, and may hang, is to exit. */
static bool all_done(const struct shared *shared, unsigned int process)
{
	for (unsigned int i = 0; i < shared->settings.threads; i++)
		if (process_of(i) == process &&
		    !__atomic_load_n(&shared->threads[i].done, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/* A thread whose call takes too long gets a signal, then is killed. NULL, or what is wrong. */
static const char *watch_thread(struct shared *shared, unsigned int thread)
{
	static char text[128];
	const struct progress *progress = &progresses[thread];
	const struct thread *t = &shared->threads[thread];
	unsigned int process = process_of(thread);
	struct watch *watch = &watches[process];
	uint64_t ms;

	if (ops_of(shared, thread) != progress->ops ||
	    (__atomic_load_n(&t->done, __ATOMIC_ACQUIRE) && !all_done(shared, process))) {
		progress_now(shared, thread);
		return NULL;
	}
	ms = paced - progress->paced;
	if ((ms > NUDGE_MS || clock_ms() - progress->since > LAST_NUDGE_MS) && t->tid)
		syscall(SYS_tgkill, watch->pid, t->tid, SIGUSR1);
	if (ms > KILL_MS && !watch->killed) {
		if (!waits_for_itself(shared, process)) {
			print_stacks(shared);
			snprintf(text, sizeof(text),
				 "hang: thread %u is in one call for %" PRIu64 " s", thread,
				 ms / 1000);
			return text;
		}
		watch->killed = true;
		kill(watch->pid, SIGKILL);
	}
	if (ms > HANG_MS) {
		print_stacks(shared);
		snprintf(text, sizeof(text), "hang: process %u cannot be killed", process);
		return text;
	}
	return NULL;
}

/* A process has ended. Is it to be started again, as it had not run everything? */
static bool collect(struct shared *shared, unsigned int process, int status)
{
	struct watch *watch = &watches[process];

	watch->pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		if (shared->stop || shared->settings.replay || shared->settings.distil)
			return false;
	} else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		unexpected++;
		printf("process %u ended with %s %d\n", process,
		       WIFEXITED(status) ? "status" : "signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	watch->restarts++;
	return true;
}

/* SIGCHLD needs a handler to end the sleep of the supervisor. */
static void on_child(int signal)
{
	(void)signal;
}

static void report(const struct shared *shared, uint64_t ms, uint64_t last_ops, uint64_t last_ms)
{
	uint64_t ops = all_ops(shared);
	uint64_t programs = 0;
	unsigned int restarts = 0;

	for (unsigned int i = 0; i < NR_THREADS; i++)
		programs += shared->threads[i].programs;
	for (unsigned int i = 0; i < NR_PROCESSES; i++)
		restarts += watches[i].restarts;
	printf("%6" PRIu64 " s %9" PRIu64 " ops %6" PRIu64 " ops/s %8" PRIu64
	       " programs %5u edges %4u points %4u corpus %5u restarts"
	       " %3.0f %% of the time\n",
	       ms / 1000, ops, last_ms ? (ops - last_ops) * 1000 / last_ms : 0, programs,
	       shared->coverage.nr_edges, shared->coverage.nr_points, shared->corpus.nr, restarts,
	       100 * pace_part());
	fflush(stdout);
}

/* Prints the programs that were added to the corpus: the host has them even if the machine goes down. */
static void print_new(struct shared *shared, uint32_t *printed)
{
	uint32_t nr = __atomic_load_n(&shared->corpus.nr, __ATOMIC_ACQUIRE);

	for (; *printed < nr; ++*printed) {
		fputs("+ ", stdout);
		program_print(stdout, &shared->corpus.programs[*printed], "; ");
	}
}

void print_running(const struct shared *shared, const char *reason)
{
	printf("finding: %s\n", reason);
	for (unsigned int i = 0; i < shared->settings.threads; i++) {
		const struct thread *t = &shared->threads[i];
		uint64_t n = t->programs < HISTORY - 1 ? t->programs : HISTORY - 1;

		while (n--) {
			printf("--- thread %u, %s, at call %u\n", i, n ? "before" : "running",
			       t->at + 1);
			program_print(stdout, &t->history[(t->programs - n) % HISTORY], "\n");
		}
	}
	puts("--- end");
	fflush(stdout);
}

static void kill_all(void)
{
	for (unsigned int i = 0; i < NR_PROCESSES; i++)
		if (watches[i].pid > 0)
			kill(watches[i].pid, SIGKILL);
}

/* Kills all processes. NULL, or which one does not end. */
static const char *end_all(struct shared *shared)
{
	static char text[64];

	__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
	kill_all();
	for (unsigned int i = 0; i < NR_PROCESSES; i++) {
		uint64_t end = pace_ms() + HANG_MS;

		while (watches[i].pid > 0) {
			if (waitpid(watches[i].pid, NULL, WNOHANG) == watches[i].pid) {
				watches[i].pid = 0;
			} else if (pace_ms() > end) {
				print_stacks(shared);
				snprintf(text, sizeof(text), "hang: process %u does not end", i);
				return text;
			} else {
				usleep(10000);
			}
		}
	}
	return NULL;
}

static const char *tick(struct shared *shared, struct common *common, const int sockets[2],
			unsigned int *left)
{
	const char *finding = log_finding();
	int status;

	paced = pace_ms();
	for (unsigned int i = 0; !finding && i < nr_processes(shared); i++) {
		struct watch *watch = &watches[i];

		if (watch->pid <= 0)
			continue;
		kill(watch->pid, SIGCONT);
		if (waitpid(watch->pid, &status, WNOHANG) == watch->pid) {
			if (collect(shared, i, status) && !shared->stop)
				start(shared, common, i, sockets);
			else
				--*left;
			continue;
		}
		for (unsigned int j = 0; !finding && j < shared->settings.threads; j++)
			if (process_of(j) == i)
				finding = watch_thread(shared, j);
	}
	if (!finding && shared->failure[0])
		finding = shared->failure;
	return finding;
}

/* 0, or 1 with a finding, which is printed. */
int supervise(struct shared *shared, struct common *common)
{
	const struct settings *settings = &shared->settings;
	unsigned int left = nr_processes(shared);
	uint64_t begin = clock_ms();
	uint64_t reported = begin;
	uint64_t reported_ops = 0;
	uint32_t printed = shared->corpus.loaded;
	const char *finding = NULL;
	const char *stuck;
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets)) {
		perror("socketpair");
		return 2;
	}
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = on_child }, NULL);
	for (unsigned int i = 0; i < left; i++)
		start(shared, common, i, sockets);
	while (!finding && left) {
		usleep(TICK_MS * 1000);
		finding = tick(shared, common, sockets, &left);
		if (!settings->replay && !settings->distil) {
			print_new(shared, &printed);
			if (clock_ms() - reported >= REPORT_MS) {
				report(shared, clock_ms() - begin, reported_ops,
				       clock_ms() - reported);
				reported = clock_ms();
				reported_ops = all_ops(shared);
			}
			if (all_ops(shared) >= settings->ops)
				break;
		}
	}
	for (int i = 0; !finding && i < 3; i++)
		usleep(TICK_MS * 1000); /* the last calls may still write to the kernel log */
	if (!finding)
		finding = log_finding();
	if (finding)
		print_running(shared, finding);
	else
		print_new(shared, &printed);
	stuck = end_all(shared);
	close(sockets[0]);
	close(sockets[1]);
	if (!stuck && shared->failure[0])
		stuck = shared->failure; /* of the last calls */
	if (!finding && stuck)
		print_running(shared, finding = stuck);
	if (!settings->replay && !settings->distil)
		report(shared, clock_ms() - begin, 0, clock_ms() - begin);
	if (unexpected)
		printf("%u processes ended in an unexpected way\n", unexpected);
	return finding ? 1 : 0;
}

/*
 * A client exists as long as its window. If another process was mapping memory into the client
 * when it ended, then that process drops the last reference to its memory, which may be later
 * than waitpid() returns.
 */
#define TAKEN_DOWN_MS 10000

static bool has_clients(int fd, struct peershm_regions *list, unsigned int most)
{
	const struct peershm_region_info *infos = (const void *)(uintptr_t)list->regions;

	list->nr_regions = most;
	if (ioctl(fd, PEERSHM_IOC_REGIONS, list))
		return false;
	for (unsigned int i = 0; i < list->nr_regions && i < most; i++)
		if (infos[i].nr_clients)
			return true;
	return false;
}

/* Without any process, no region may have a client, and all can be unlinked. */
const char *registry_empties(void)
{
	static struct peershm_region_info infos[256];
	struct peershm_regions list = { .size = sizeof(list),
					.regions = (uint64_t)(uintptr_t)infos,
					.nr_regions = 256,
					.record_size = sizeof(infos[0]) };
	int fd = open(PEERSHM_DEVICE, O_RDWR | O_CLOEXEC);
	const char *wrong = NULL;

	for (int ms = 0; fd >= 0 && ms < TAKEN_DOWN_MS && has_clients(fd, &list, 256);
	     ms += TICK_MS) {
		if (!ms)
			puts("the end: some windows are still being taken down");
		usleep(TICK_MS * 1000);
	}
	list.nr_regions = 256;
	if (fd < 0 || ioctl(fd, PEERSHM_IOC_REGIONS, &list))
		return "the end: REGIONS fails";
	for (unsigned int i = 0; i < list.nr_regions && i < 256; i++) {
		struct peershm_unlink unlink = { .size = sizeof(unlink), .region = infos[i].id };

		if (infos[i].nr_clients)
			wrong = "the end: a region has a client, and nobody lives";
		if (ioctl(fd, PEERSHM_IOC_UNLINK, &unlink))
			wrong = "the end: UNLINK fails";
	}
	list.nr_regions = 0;
	list.regions = 0;
	if (ioctl(fd, PEERSHM_IOC_REGIONS, &list) || list.nr_regions)
		wrong = "the end: there is still a region";
	close(fd);
	return wrong;
}

/* The module can be removed. */
const char *module_goes(void)
{
	for (int i = 0; syscall(SYS_delete_module, "peershm", O_NONBLOCK); i++) {
		if (i == 50)
			return "the end: the module cannot be removed";
		usleep(100000);
	}
	return log_finding();
}

/* It has left no memory behind. */
const char *memory_leaks(void)
{
	int fd = open("/sys/kernel/debug/kmemleak", O_RDWR | O_CLOEXEC);
	char text[4096];
	ssize_t n;

	sleep(6); /* kmemleak looks at nothing younger than 5 s */
	for (int i = 0; i < 2; i++)
		if (write(fd, "scan", 4) != 4)
			return "the end: kmemleak does not scan";
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n) {
		text[n < 0 ? 0 : n] = '\0';
		fputs(text, stdout);
		return "the end: kmemleak has found something";
	}
	return log_finding();
}
