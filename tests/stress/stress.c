/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stress: a seed decides which worker process attaches, grows, shrinks, is killed, stopped or
 * started next. The region holds a list with one node in each page, and each node has a checksum.
 * Workers walk the list all the time, inside read sections. The parent unlinks the nodes that a
 * shrink will take away before it orders the shrink. After every round it checks that the list is
 * whole, that no worker is stuck in D state, and that registry, header and /proc agree on who the
 * clients are.
 *
 *   stress [ROUNDS [SEED]]     the same seed gives the same decisions
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <peershm.h>

#include "support/harness.h"

#define WORKERS 32
#define MAX_PAGES 512
#define REGISTRY_MS 1000 /* for the registry to notice who has come or was killed */
#define D_STATE_MS 30000 /* for a worker that waits in the kernel to go on, on a slow machine */
#define ANSWER_MS 60000
#define SHRINK_MS 50

struct node {
	struct node *next;
	uint64_t number;
	uint64_t round; /* when it was written */
	uint64_t checksum;
};

static struct worker {
	struct peer *peer; /* NULL: not running */
	bool stopped;
} workers[WORKERS];

/*
 * What happens in a round. All of it is drawn in each round, whether it is used or not, so that no
 * outcome changes the decisions of later rounds.
 */
struct decision {
	struct worker *worker;
	uint32_t what; /* of 100 */
	uint64_t pages;
	uint32_t delay_us; /* until a kill */
};

static char region[64];
static struct peershm *shm;
static uint64_t page;
static uint64_t seed;
static uint64_t round_now;

/* xorshift64*. Only decisions draw from it. */
static uint32_t pick(uint32_t below)
{
	static uint64_t state;

	if (!state)
		state = seed * 0x9e3779b97f4a7c15ULL + 1;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

static uint64_t checksum(const struct node *node)
{
	return (uint64_t)(uintptr_t)node->next ^ node->number * 0x9e3779b97f4a7c15ULL ^
	       node->round << 7;
}

static struct node *node_at(uint64_t number)
{
	return (struct node *)((char *)peershm_base(shm) + number * page);
}

__attribute__((noreturn)) static void end_failed(void)
{
	printf("\nnot ok 1 stress\n# Totals: pass:0 fail:1 xfail:0 xpass:0 skip:0 error:0\n");
	exit(1);
}

#define broken(...)                                                                 \
	do {                                                                        \
		printf("# seed %" PRIu64 ", round %" PRIu64 ": ", seed, round_now); \
		printf(__VA_ARGS__);                                                \
		end_failed();                                                       \
	} while (0)

/*
 * Walk the list. Returns the number of nodes, or -1 if the list is broken. While the writer links
 * or unlinks a node, the checksum and `next` of the node before it do not match for a moment. So
 * only the writer checks checksums; readers check what never changes.
 */
static long walk(bool writer)
{
	long n = 0;

	for (struct node *node = __atomic_load_n(&node_at(0)->next, __ATOMIC_ACQUIRE); node;
	     node = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE)) {
		if (((uintptr_t)node - (uintptr_t)node_at(0)) % page ||
		    node != node_at(node->number) || ++n > MAX_PAGES ||
		    (writer && node->checksum != checksum(node)))
			return -1;
	}
	return n;
}

/* Worker. */

struct order {
	char what; /* 'g'row or 's'hrink */
	uint64_t size;
};

static long obey(void *arg)
{
	const struct order *order = arg;

	return order->what == 'g' ? peershm_grow(shm, order->size, NULL) :
				    peershm_shrink(shm, order->size, SHRINK_MS);
}

static void read_list(void)
{
	if (peershm_read_lock(shm))
		_exit(2);
	if (walk(false) < 0)
		_exit(3);
	peershm_read_unlock(shm);
}

static long open_region(void *name)
{
	int err;

	shm = NULL;
	err = peershm_open(&shm, region, name, 0, NULL);
	if (!err)
		peer_idle = read_list;
	return err;
}

/* The parent, which decides. */

static long answer_of(const struct worker *w)
{
	long answer = peer_finish_within(w->peer, NULL, 0, ANSWER_MS);
	int status = 0;

	if (answer == -ESRCH) {
		waitpid(w->peer->pid, &status, 0);
		broken("worker %d ended: status 0x%x (0x200: no section, 0x300: list broken)",
		       (int)(w - workers), status);
	}
	if (w->peer->busy)
		broken("worker %d does not answer", (int)(w - workers));
	return answer;
}

static void start(struct worker *w)
{
	char name[32];
	long err;

	snprintf(name, sizeof(name), "worker-%d", (int)(w - workers));
	w->peer = peer_new();
	w->stopped = false;
	peer_start(w->peer, open_region, name, sizeof(name));
	err = answer_of(w);
	if (err)
		broken("worker %d cannot open: %s", (int)(w - workers), strerror((int)-err));
}

static void end(struct worker *w)
{
	peer_end(w->peer);
	w->peer = NULL;
}

static void stop_or_go_on(struct worker *w)
{
	w->stopped = !w->stopped;
	kill(w->peer->pid, w->stopped ? SIGSTOP : SIGCONT);
}

/* Link a node for each page that has none yet. */
static void link_all(void)
{
	uint64_t pages = peershm_size(shm) / page;
	uint64_t linked = (uint64_t)walk(true);

	for (uint64_t i = linked + 1; i < pages; i++) {
		struct node *node = node_at(i);
		struct node *last = node_at(i - 1);

		node->next = NULL;
		node->number = i;
		node->round = round_now;
		node->checksum = checksum(node);
		__atomic_store_n(&last->next, node, __ATOMIC_RELEASE);
		last->checksum = checksum(last);
	}
}

static void unlink_from(uint64_t pages)
{
	struct node *last = node_at(pages - 1);

	__atomic_store_n(&last->next, NULL, __ATOMIC_RELEASE);
	last->checksum = checksum(last);
}

/*
 * Grow or shrink, by order to a worker, or by the parent if the worker does not run. If the worker
 * is killed on the way, the size is either the old or the new one afterwards.
 */
static void resize(const struct decision *d, struct worker *w, bool kill_it)
{
	uint64_t old = peershm_size(shm) / page;
	uint64_t pages = d->pages;
	struct order order = { .what = pages > old ? 'g' : 's', .size = pages * page };
	uint64_t now;
	long err;

	if (pages == old)
		return;
	if (order.what == 's')
		unlink_from(pages);
	if (!w || w->stopped) {
		err = obey(&order);
	} else {
		peer_start(w->peer, obey, &order, sizeof(order));
		if (kill_it) {
			usleep(d->delay_us);
			end(w);
			err = 0;
		} else {
			err = answer_of(w);
		}
	}
	now = peershm_size(shm) / page;
	if (now != old && now != pages)
		broken("size is %" PRIu64 " pages, neither %" PRIu64 " nor %" PRIu64, now, old,
		       pages);
	if (err && (err != -ETIMEDOUT || now != old))
		broken("%s to %" PRIu64 " pages: %s", order.what == 'g' ? "growing" : "shrinking",
		       pages, strerror((int)-err));
	link_all();
}

static bool runs(pid_t pid)
{
	for (int i = 0; i < WORKERS; i++) {
		if (workers[i].peer && workers[i].peer->pid == pid)
			return true;
	}
	return pid == getpid();
}

/* State and start time (in clock ticks) of a process, from /proc. */
static bool read_stat(pid_t pid, char *state, uint64_t *start)
{
	char path[64];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fscanf(file,
		   "%*d (%*[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
		   "%*d %*d %*d %" SCNu64,
		   state, start);
	fclose(file);
	return n == 2;
}

/* Does /proc/PID/maps show a window of the region at its base? */
static bool has_window(pid_t pid, uint64_t base)
{
	char path[64], line[256], name[80];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	snprintf(name, sizeof(name), "peershm:%s", region);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strtoull(line, NULL, 16) == base && strstr(line, name);
	if (file)
		fclose(file);
	return found;
}

/* Is a client of the registry in the header, too, and one of our processes? */
static bool client_agrees(const struct peershm_client_info *info,
			  const struct peershm_header_client *clients, int n)
{
	uint64_t ticks = info->start_time / (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	uint64_t start;
	char state;

	if (!runs(info->pid) || !read_stat(info->pid, &state, &start) || start != ticks)
		return false;
	for (int i = 0; i < n; i++) {
		if (clients[i].id == info->id)
			return clients[i].pid == info->pid && clients[i].base == info->base &&
			       clients[i].start_time == info->start_time &&
			       clients[i].mapped == info->mapped &&
			       strcmp(clients[i].name, info->name) == 0;
	}
	return false;
}

static bool registry_agrees(void)
{
	struct peershm_client_info infos[WORKERS + 8];
	struct peershm_header_client clients[WORKERS + 8];
	int expected = 1;
	int n = peershm_clients(shm, infos, WORKERS + 8);

	for (int i = 0; i < WORKERS; i++)
		expected += workers[i].peer != NULL;
	if (n != expected || peershm_header_clients(shm, clients, WORKERS + 8) != expected)
		return false;
	for (int i = 0; i < n; i++) {
		if (!client_agrees(&infos[i], clients, n))
			return false;
	}
	return true;
}

static void check(const struct worker *w)
{
	uint64_t deadline = now_ms() + REGISTRY_MS;
	uint64_t pages = peershm_size(shm) / page;
	long nodes = walk(true);

	if (nodes != (long)pages - 1)
		broken("the list has %ld nodes in %" PRIu64 " pages", nodes, pages);
	while (!registry_agrees()) {
		if (now_ms() > deadline)
			broken("registry, header and /proc do not agree on the clients");
		usleep(1000);
	}
	if (w && w->peer && !has_window(w->peer->pid, (uintptr_t)peershm_base(shm)))
		broken("/proc shows no window in worker %d", (int)(w - workers));
}

/* A worker that is in D state leaves it before the deadline. */
static void nobody_hangs(void)
{
	for (int i = 0; i < WORKERS; i++) {
		uint64_t deadline = now_ms() + D_STATE_MS;
		uint64_t started;
		char state = 0;

		if (!workers[i].peer)
			continue;
		do {
			if (!read_stat(workers[i].peer->pid, &state, &started))
				broken("worker %d is not in /proc", i);
		} while (state == 'D' && now_ms() < deadline);
		if (state == 'D')
			broken("worker %d is in D state", i);
	}
}

static struct decision decide(void)
{
	struct decision d = { .worker = &workers[pick(WORKERS)] };

	d.what = pick(100);
	d.pages = 2 + pick(MAX_PAGES - 2);
	d.delay_us = pick(3000);
	return d;
}

static void one_round(void)
{
	struct decision d = decide();
	struct worker *w = d.worker;

	if (!w->peer)
		start(w);
	else if (d.what < 15)
		end(w);
	else if (d.what < 30)
		stop_or_go_on(w);
	else if (d.what < 45)
		resize(&d, w, true);
	else if (d.what < 80)
		resize(&d, w, false);
	else
		resize(&d, NULL, false);
	check(w);
	nobody_hangs();
}

static void give_up(int signal)
{
	static const char text[] = "# stress: out of time\nnot ok 1 stress\n";

	(void)signal;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

int main(int argc, char **argv)
{
	struct peershm_options options = { .capacity = 1ULL << 30 };
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 200;
	int err;

	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..1\n# %" PRIu64 " rounds, SEED=%" PRIu64 "\n", rounds, seed);
	if (access(PEERSHM_DEVICE, F_OK)) {
		printf("ok 1 stress # SKIP no " PEERSHM_DEVICE "\n");
		return 4;
	}
	signal(SIGALRM, give_up);
	signal(SIGPIPE, SIG_IGN);
	snprintf(region, sizeof(region), "stress-%d", getpid());
	err = peershm_open(&shm, region, "stress", PEERSHM_CREATE | PEERSHM_EXCLUSIVE, &options);
	if (err)
		broken("%s", peershm_strerror(err));
	page = peershm_page_size(shm);
	err = peershm_grow(shm, 2 * page, NULL);
	if (err)
		broken("%s", peershm_strerror(err));
	node_at(0)->checksum = checksum(node_at(0));
	link_all();
	for (round_now = 1; round_now <= rounds; round_now++) {
		alarm(300);
		one_round();
		if (round_now % (rounds < 1000 ? 100 : 500) == 0)
			printf("# round %" PRIu64 "\n", round_now);
	}
	alarm(0);
	for (int i = 0; i < WORKERS; i++) {
		if (workers[i].peer)
			end(&workers[i]);
	}
	check(NULL);
	peershm_unlink(region);
	peershm_close(shm);
	printf("ok 1 stress\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\n");
	return 0;
}
