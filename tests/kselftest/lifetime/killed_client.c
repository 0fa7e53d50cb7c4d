/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client that is killed or crashes makes room at once for the next one of its name, and
 * `peershmctl clients` is right soon.
 */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

CASE(a_name_is_free_as_soon_as_its_client_is_killed)
{
	struct region *r = region_new(small, GIB);
	unsigned int rounds = test_scale(200);

	for (unsigned int i = 0; i < rounds; i++) {
		struct peer *old = peer_new(), *young = peer_new();

		assert_ok(peer_attach(old, r->name, "daemon", 0));
		/* Not waited for: it may still be on its way out when the next one comes. */
		assert_int_equal(kill(old->pid, SIGKILL), 0);
		assert_ok(peer_attach(young, r->name, "daemon", 0));
		assert_true(young->at.client > old->at.client);
		peers_end();
	}
}

static long crash(void *arg)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	(void)arg;
	if (setrlimit(RLIMIT_CORE, &all) || chdir("/tmp"))
		return -errno;
	abort();
}

static bool has_ended(void *arg)
{
	const struct peer *p = arg;
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

/* If a core dump included the window, it would look at 64 GiB of pages, for minutes. */
CASE(a_client_that_dumps_core_is_back_soon)
{
	struct region *r = region_new(small, 64 * GIB);
	struct peer *old = peer_join(r, "daemon"), *young = peer_new();

	region_grow(r, MIB);
	peer_start(old, crash, NULL, 0);
	assert_true(test_until(has_ended, old, DEADLINE_MS));
	assert_ok(peer_attach(young, r->name, "daemon", 0));
	assert_int_equal(region_nr_clients(r), 1);
	unlink("/tmp/core");
}

CASE(a_live_name_is_still_eexist)
{
	struct region *r = region_new(small, GIB);
	struct peer *old = peer_join(r, "daemon"), *young = peer_new();

	peer_stop(old);
	assert_error(peer_attach(young, r->name, "daemon", 0), -EEXIST);
	peer_continue(old);
	assert_int_equal(region_nr_clients(r), 1);
}

/* `peershmctl clients` is asked while clients work and are killed. */
#define NR_WORKERS 16
#define RIGHT_WITHIN_MS 1000

/* Until it is killed. The argument is what to grow by; 0: clearing a page takes too long. */
static long work(void *arg)
{
	const uint64_t length = *(uint64_t *)arg;

	for (;;) {
		/* Commands may fail, as the others do the same at the same time. */
		if (length) {
			do_grow(self.fd, 0, length, NULL);
			do_shrink(self.fd, 0, 0, NULL);
		} else {
			poll(NULL, 0, 1);
		}
		do_peer_map(self.fd, 0, NULL);
		do_clients(self.fd, 0, NULL, 0);
	}
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* The PIDs in the list, sorted; how many, or -1 if there is no such program. */
static int list_with_peershmctl(const char *region, pid_t pids[NR_WORKERS + 1])
{
	int n = 0, status;
	char command[128], line[256], *pid;
	FILE *pipe;

	snprintf(command, sizeof(command), "peershmctl clients --json '%s'", region);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		pid = strstr(line, "\"pid\":");
		if (pid && n <= NR_WORKERS)
			pids[n++] = (pid_t)strtol(pid + strlen("\"pid\":"), NULL, 10);
	}
	status = pclose(pipe);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -1;
	assert_int_equal(status, 0);
	qsort(pids, (size_t)n, sizeof(*pids), compare_pids);
	return n;
}

static bool lists(const char *region, const pid_t *expected, int n)
{
	pid_t pids[NR_WORKERS + 1];

	return list_with_peershmctl(region, pids) == n &&
	       !memcmp(pids, expected, (size_t)n * sizeof(*pids));
}

static struct peer *worker(const struct region *r, int i)
{
	uint64_t length = r->backing->id == PEERSHM_HUGETLB_1G ? 0 : r->backing->page;
	struct peer *p = peer_new();
	char name[16];

	snprintf(name, sizeof(name), "worker-%d", i);
	assert_ok(peer_attach(p, r->name, name, 0));
	peer_start(p, work, &length, sizeof(length));
	return p;
}

/* Kill some clients, and ask until the answer is right. Gives how long that took. */
static uint64_t kill_and_ask(const struct region *r, struct peer *workers[NR_WORKERS],
			     const bool victim[NR_WORKERS])
{
	pid_t left[NR_WORKERS] = { 0 };
	int n = 0;
	uint64_t start, asked;

	for (int i = 0; i < NR_WORKERS; i++) {
		if (!victim[i])
			left[n++] = workers[i]->pid;
	}
	qsort(left, (size_t)n, sizeof(*left), compare_pids);
	start = now_ms();
	for (int i = 0; i < NR_WORKERS; i++) {
		if (victim[i])
			kill(workers[i]->pid, SIGKILL);
	}
	/* Whoever asks a second after the kill, or later, gets the right answer. */
	for (asked = now_ms(); !lists(r->name, left, n); asked = now_ms())
		assert_in_range(asked - start, 0, RIGHT_WITHIN_MS - 1);
	return asked - start;
}

CASES(peershmctl_is_right_within_a_second_of_any_kill, ALL_BACKINGS)
{
	/* The list is the same for all backings: one has more rounds. */
	unsigned int rounds = test_scale(b->id == PEERSHM_SMALL ? 12 : 4);
	uint32_t seed = test_seed();
	struct peer *workers[NR_WORKERS];
	pid_t pids[NR_WORKERS + 1];
	uint64_t longest = 0;
	struct region *r = region_with(b, 0, b->page);

	if (list_with_peershmctl(r->name, pids) < 0)
		skip_because("peershmctl is not here");
	for (int i = 0; i < NR_WORKERS; i++)
		workers[i] = worker(r, i);
	for (unsigned int round = 0; round < rounds; round++) {
		bool victim[NR_WORKERS] = { false };
		uint64_t took;

		for (int i = 0; i < 1 + (int)(round % 4); i++)
			victim[test_random(&seed) % NR_WORKERS] = true;
		usleep(test_random(&seed) % 20000);
		took = kill_and_ask(r, workers, victim);
		if (took > longest)
			longest = took;
		/* Others of the same names take their places. */
		for (int i = 0; i < NR_WORKERS; i++) {
			if (!victim[i])
				continue;
			peer_end(workers[i]);
			workers[i] = worker(r, i);
		}
	}
	print_message("# %u rounds; asked at most %llu ms after the kill it is right\n", rounds,
		      (unsigned long long)longest);
}
