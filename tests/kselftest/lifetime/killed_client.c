/* SPDX-License-Identifier: GPL-2.0-only */
/* A client that is killed, crashes or execs makes room for the next of its name at once. */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

#define ROUNDS 200

static void a_name_is_free_as_soon_as_its_client_is_killed(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	unsigned int rounds = test_scale(ROUNDS);

	(void)state;
	for (unsigned int i = 0; i < rounds; i++) {
		struct peer *old = peer_new(), *young = peer_new();

		assert_ok(peer_attach(old, r->name, "daemon", 0));
		/* Not waited for: it may still be on its way out. */
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

/* With the window in it, a dump would look at 64 GiB of pages first: minutes. */
static void a_client_that_dumps_core_is_back_soon(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], 64 * GIB);
	struct peer *old = peer_join(r, "daemon"), *young = peer_new();

	(void)state;
	region_grow(r, MIB);
	peer_start(old, crash, NULL, 0);
	assert_true(test_until(has_ended, old, DEADLINE_MS));
	assert_ok(peer_attach(young, r->name, "daemon", 0));
	assert_int_equal(region_nr_clients(r), 1);
	unlink("/tmp/core");
}

static void a_live_name_is_still_eexist(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct peer *old = peer_join(r, "daemon"), *young = peer_new();

	(void)state;
	peer_stop(old);
	assert_error(peer_attach(young, r->name, "daemon", 0), -EEXIST);
	peer_continue(old);
	assert_int_equal(region_nr_clients(r), 1);
}

static void a_root_that_a_shrink_cuts_off_is_null(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_region_info info;
	struct region *r;

	backing_needs(b, 2 * b->page);
	r = region_new(b, b->capacity);
	region_grow(r, 2 * b->page);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->page));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.root, 0);
	assert_ok(do_set_root(r->fd, r->id, 0, r->base + b->page - 8));
	assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.root, r->base + b->page - 8);
}

/* What `peershmctl clients` says of who is there, while they work and are killed. */
#define NR_WORKERS 16
#define RIGHT_WITHIN_MS 1000

struct work {
	uint64_t page; /* to grow by and shrink again; 0: that takes too long */
};

/* Until it is killed. What the others do at the same time may be in its way. */
static long work(void *arg)
{
	const struct work *w = arg;

	for (;;) {
		if (w->page) {
			do_grow(self.fd, 0, w->page, NULL);
			do_shrink(self.fd, 0, 0, NULL);
		} else {
			poll(NULL, 0, 1); /* the others wait for each other */
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
	char command[128], line[256], *pid;
	int n = 0, status;
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
	struct work w = { r->backing->id == PEERSHM_HUGETLB_1G ? 0 : r->backing->page };
	struct peer *p = peer_new();
	char name[16];

	snprintf(name, sizeof(name), "worker-%d", i);
	assert_ok(peer_attach(p, r->name, name, 0));
	peer_start(p, work, &w, sizeof(w));
	return p;
}

/* Kill some, and ask until the answer is right; gives how long that took. */
static uint64_t kill_and_ask(const struct region *r, struct peer *workers[NR_WORKERS],
			     const bool victim[NR_WORKERS])
{
	pid_t left[NR_WORKERS] = { 0 };
	uint64_t start, asked;
	int n = 0;

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
	/* Who asks a second after the kill, or later, gets the right answer. */
	for (asked = now_ms(); !lists(r->name, left, n); asked = now_ms())
		assert_in_range(asked - start, 0, RIGHT_WITHIN_MS - 1);
	return asked - start;
}

static void peershmctl_is_right_within_a_second_of_any_kill(void **state)
{
	const struct backing *b = param_of(state)->backing;
	/* What the clients are busy with differs; the list is the same. */
	unsigned int rounds = test_scale(b->id == PEERSHM_SMALL ? 12 : 4);
	uint32_t seed = test_seed();
	struct peer *workers[NR_WORKERS];
	pid_t pids[NR_WORKERS + 1];
	uint64_t longest = 0;
	struct region *r;

	backing_needs(b, b->page);
	r = region_new(b, b->capacity);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_is_free_as_soon_as_its_client_is_killed),
		TEST(a_client_that_dumps_core_is_back_soon),
		TEST(a_live_name_is_still_eexist),
		TEST_BACKINGS(a_root_that_a_shrink_cuts_off_is_null),
		TEST_BACKINGS(peershmctl_is_right_within_a_second_of_any_kill),
	};

	return test_run(tests);
}
