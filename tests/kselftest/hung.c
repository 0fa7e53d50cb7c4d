/* SPDX-License-Identifier: GPL-2.0-only */
/* Peers that cannot be reached in time: nobody waits for them, and their pages follow. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define PEERS 16
#define STEP (1 * MIB)

/* What a grow is told to wait for its peers, and what it may take beside that. */
#define TIMEOUT_MS 5
#define SLACK_MS 1000
#define ZEROING_MS_PER_MIB 20 /* on a slow emulated machine */

#define HOLD_DEVICE "/dev/peershm_test_hold"
#define HELD "/sys/module/peershm_test_hold/parameters/held"

static const struct backing *const small = &backings[PEERSHM_SMALL];

/* The module lies beside the tests; it stays loaded. */
static void load_hold(void)
{
	char path[256];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	char *slash;
	int fd;

	if (access(HOLD_DEVICE, F_OK) == 0)
		return;
	assert_true(n > 0);
	path[n] = '\0';
	slash = strrchr(path, '/');
	assert_non_null(slash);
	snprintf(slash, sizeof(path) - (size_t)(slash - path), "/../modules/peershm_test_hold.ko");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip_because("%s is not there", path);
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST) {
		close(fd);
		skip_because("%s does not load: %s", path, strerror(errno));
	}
	close(fd);
}

static void unload_hold(void *arg)
{
	(void)arg;
	syscall(SYS_delete_module, "peershm_test_hold", O_NONBLOCK);
}

struct hold {
	pid_t pid;
	unsigned int ms;
};

/* Runs in a peer, until it is killed or the time is over. */
static long hold(void *arg)
{
	const struct hold *h = arg;
	char text[32];
	int fd = open(HOLD_DEVICE, O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof(text), "%d %u", h->pid, h->ms);
	long err = write(fd, text, (size_t)n) == n ? 0 : -errno;

	close(fd);
	return err;
}

static bool is_held(void *arg)
{
	(void)arg;
	return file_number(HELD) == 1;
}

static bool is_free(void *arg)
{
	(void)arg;
	return file_number(HELD) == 0;
}

/* A process that holds the peer's mmap lock, for a minute or until it is killed. */
static struct peer *hold_lock(const struct peer *victim)
{
	struct hold h = { .pid = victim->pid, .ms = 60000 };
	struct peer *holder;

	load_hold();
	test_cleanup(unload_hold, NULL);
	holder = peer_new();
	peer_start(holder, hold, &h, sizeof(h));
	assert_true(test_until(is_held, NULL, DEADLINE_MS));
	return holder;
}

static void release_lock(struct peer *holder)
{
	peer_kill(holder);
	assert_true(test_until(is_free, NULL, DEADLINE_MS));
}

/* Grow, and see that it takes no longer than it may; gives the milliseconds. */
static uint64_t grow_in_time(const struct region *r, uint64_t length, struct peershm_grow *g)
{
	uint64_t start = now_ms();
	uint64_t took;

	memset(g, 0, sizeof(*g));
	g->size = sizeof(*g);
	g->region = r->id;
	g->length = length;
	g->report.timeout_ms = TIMEOUT_MS;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, g));
	took = now_ms() - start;
	/* What it waits for, beside the zeroing. */
	assert_true(took < TIMEOUT_MS + SLACK_MS + ZEROING_MS_PER_MIB * (length / MIB));
	return took;
}

static struct peershm_client_info info_of(const struct region *r, const struct peer *p)
{
	struct peershm_client_info infos[PEERS + 2];
	int n = do_clients(r->fd, r->id, infos, PEERS + 2);

	for (int i = 0; i < n && i < PEERS + 2; i++) {
		if (infos[i].id == p->at.client)
			return infos[i];
	}
	fail_msg("the client is gone");
	return infos[0];
}

/* The next event of this type, about this client. */
static struct peershm_event await(int fd, enum peershm_event_type type, const struct peer *p)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	struct peershm_event e;

	do {
		assert_int_equal(poll(&wanted, 1, DEADLINE_MS), 1);
		assert_int_equal(read(fd, &e, sizeof(e)), sizeof(e));
	} while (e.type != type || e.client != p->at.client);
	return e;
}

static int watch(const struct region *r)
{
	int fd = device_open(O_RDONLY);

	assert_true(fd >= 0);
	assert_ok(do_watch(fd, r->id));
	return fd;
}

static void join_all(const struct region *r, struct peer **peers)
{
	for (int i = 0; i < PEERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		peers[i] = peer_join(r, name);
	}
}

static void a_thousand_grows_do_not_wait_for_a_held_peer(void **state)
{
	unsigned int rounds = test_scale(1000), late = 0;
	struct region *r = region_new(small, GIB);
	uint64_t before, worst = 0, start, size;
	struct peer *peers[PEERS], *holder;
	struct peershm_event e;
	struct peershm_grow g;
	int fd;

	(void)state;
	region_grow(r, STEP);
	join_all(r, peers);
	before = info_of(r, peers[3]).mapped;
	assert_int_equal(before, STEP);
	holder = hold_lock(peers[3]);
	start = now_ms();
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t took = grow_in_time(r, SYSTEM_PAGE, &g);

		assert_int_equal(g.report.mapped, PEERS - 1);
		assert_int_equal(g.report.deferred, 1);
		worst = took > worst ? took : worst;
		late += took > 2 * TIMEOUT_MS;
	}
	print_message("# %u grows in %llu ms, worst %llu ms, %u above %d ms\n", rounds,
		      (unsigned long long)(now_ms() - start), (unsigned long long)worst, late,
		      2 * TIMEOUT_MS);
	size = STEP + rounds * SYSTEM_PAGE;
	assert_int_equal(region_size(r), size);
	for (int i = 0; i < PEERS; i++) {
		if (i == 3)
			continue;
		assert_int_equal(info_of(r, peers[i]).mapped, size);
		assert_int_equal(peer_present(peers[i], r->base, size), size);
	}
	assert_int_equal(info_of(r, peers[3]).mapped, before);
	if (test_scale(10) >= 10) {
		while (now_ms() - start < 10000)
			poll(NULL, 0, 100);
		assert_int_equal(info_of(r, peers[3]).mapped, before);
	}
	fd = watch(r);
	release_lock(holder);
	/* Without another call. */
	e = await(fd, PEERSHM_EVENT_CAUGHT_UP, peers[3]);
	assert_int_equal(e.old_value, before);
	assert_int_equal(e.new_value, size);
	assert_int_equal(info_of(r, peers[3]).mapped, size);
	assert_int_equal(peer_present(peers[3], r->base, size), size);
	close(fd);
}

static void a_held_peer_catches_up_in_any_backing(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *held, *other, *holder;
	struct peershm_event e;
	struct peershm_grow g;
	struct region *r;
	int fd;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	held = peer_join(r, "held");
	other = peer_join(r, "other");
	fd = watch(r);
	holder = hold_lock(held);
	grow_in_time(r, b->step, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(g.report.deferred, 1);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	release_lock(holder);
	e = await(fd, PEERSHM_EVENT_CAUGHT_UP, held);
	assert_int_equal(e.new_value, b->step);
	assert_int_equal(peer_present(held, r->base, b->step), b->step);
	assert_int_equal(peer_write(held, r->base, b->step).minor, 0);
	close(fd);
}

static void what_is_shrunk_away_is_caught_up(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *held, *holder;
	struct peershm_event e;
	struct peershm_grow g;
	int fd;

	(void)state;
	held = peer_join(r, "held");
	fd = watch(r);
	holder = hold_lock(held);
	grow_in_time(r, STEP, &g);
	assert_int_equal(g.report.deferred, 1);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	e = await(fd, PEERSHM_EVENT_CAUGHT_UP, held);
	assert_int_equal(e.new_value, 0);
	release_lock(holder);
	close(fd);
}

static void a_peer_that_dies_while_held_is_no_straggler(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *held, *holder;
	struct peershm_grow g;
	int fd;

	(void)state;
	held = peer_join(r, "held");
	fd = watch(r);
	holder = hold_lock(held);
	grow_in_time(r, STEP, &g);
	assert_int_equal(g.report.deferred, 1);
	assert_int_equal(kill(held->pid, SIGKILL), 0);
	release_lock(holder);
	await(fd, PEERSHM_EVENT_DIED, held);
	assert_true(region_until_clients(r, 0, DEADLINE_MS));
	close(fd);
}

static long grow_own(void *arg)
{
	struct peershm_grow g = { .size = sizeof(g), .length = *(uint64_t *)arg };

	g.report.timeout_ms = 60000;
	return xioctl(self.fd, PEERSHM_IOC_GROW, &g);
}

static bool has_grown(void *arg)
{
	return region_size(arg) == STEP;
}

static void the_peers_of_a_killed_grower_catch_up(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *held, *grower, *holder;
	uint64_t length = STEP;
	struct peershm_event e;
	int fd;

	(void)state;
	held = peer_join(r, "held");
	grower = peer_join(r, "grower");
	fd = watch(r);
	holder = hold_lock(held);
	peer_start(grower, grow_own, &length, sizeof(length));
	assert_true(test_until(has_grown, r, DEADLINE_MS));
	peer_kill(grower);
	assert_int_equal(region_size(r), STEP);
	release_lock(holder);
	e = await(fd, PEERSHM_EVENT_CAUGHT_UP, held);
	assert_int_equal(e.new_value, STEP);
	assert_int_equal(peer_present(held, r->base, STEP), STEP);
	close(fd);
}

/* The longest that a process can do to itself, over and over. */
#define BIG (256 * MIB)

struct busy {
	unsigned int ms;
};

static long fork_again_and_again(void *arg)
{
	const struct busy *b = arg;
	char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t end = now_ms() + b->ms;

	if (big == MAP_FAILED)
		return -errno;
	madvise(big, BIG, MADV_NOHUGEPAGE);
	memset(big, 1, BIG);
	while (now_ms() < end) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child < 0)
			return -errno;
		waitpid(child, NULL, 0);
	}
	return munmap(big, BIG) ? -errno : 0;
}

static long map_and_unmap(void *arg)
{
	const struct busy *b = arg;
	uint64_t end = now_ms() + b->ms;

	while (now_ms() < end) {
		char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (big == MAP_FAILED || mlock(big, BIG) || munmap(big, BIG))
			return -errno;
	}
	return 0;
}

static void grows_go_on_beside(peer_function f)
{
	struct busy b = { .ms = test_scale(4000) };
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy"), *other = peer_join(r, "other");
	uint64_t start = now_ms(), size;
	unsigned int rounds = 0, deferred = 0;
	struct peershm_grow g;

	peer_start(p, f, &b, sizeof(b));
	while (now_ms() - start < b.ms) {
		grow_in_time(r, SYSTEM_PAGE, &g);
		assert_int_equal(g.report.mapped + g.report.deferred, 2);
		deferred += g.report.deferred;
		rounds++;
	}
	assert_ok(peer_finish(p, NULL, 0));
	print_message("# %u grows, %u deferred\n", rounds, deferred);
	size = region_size(r);
	for (start = now_ms(); info_of(r, p).mapped < size && now_ms() - start < DEADLINE_MS;)
		poll(NULL, 0, 10);
	assert_int_equal(info_of(r, p).mapped, size);
	assert_int_equal(peer_present(p, r->base, size), size);
	assert_int_equal(peer_present(other, r->base, size), size);
}

static void grows_do_not_wait_for_a_huge_fork(void **state)
{
	(void)state;
	grows_go_on_beside(fork_again_and_again);
}

static void grows_do_not_wait_for_a_huge_munmap_or_mlock(void **state)
{
	(void)state;
	grows_go_on_beside(map_and_unmap);
}

static void a_stopped_peer_is_mapped(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	struct peershm_grow g;

	(void)state;
	peer_stop(p);
	grow_in_time(r, STEP, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(info_of(r, p).mapped, STEP);
	peer_continue(p);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
}

static void a_traced_peer_is_mapped(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "p");
	struct peershm_grow g;
	int status;

	(void)state;
	assert_int_equal(ptrace(PTRACE_ATTACH, p->pid, NULL, NULL), 0);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	grow_in_time(r, STEP, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(info_of(r, p).mapped, STEP);
	assert_int_equal(ptrace(PTRACE_DETACH, p->pid, NULL, NULL), 0);
	assert_int_equal(peer_present(p, r->base, STEP), STEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thousand_grows_do_not_wait_for_a_held_peer),
		TEST_BACKINGS(a_held_peer_catches_up_in_any_backing),
		TEST(what_is_shrunk_away_is_caught_up),
		TEST(a_peer_that_dies_while_held_is_no_straggler),
		TEST(the_peers_of_a_killed_grower_catch_up),
		TEST(grows_do_not_wait_for_a_huge_fork),
		TEST(grows_do_not_wait_for_a_huge_munmap_or_mlock),
		TEST(a_stopped_peer_is_mapped),
		TEST(a_traced_peer_is_mapped),
	};

	return test_run(tests);
}
