/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients that a grow cannot reach, because a module made for this test holds their mmap lock. The
 * grow waits for them no longer than its deadline and reports them as deferred. Once the lock is
 * free they get their pages by themselves, and an event says so.
 */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"
#include "support/interruption.h"
#include "support/timely.h"
#include "support/waited.h"

#define PART (1 * MIB)

#define HOLD_DEVICE "/dev/peershm_test_hold"
#define HELD "/sys/module/peershm_test_hold/parameters/held"

/* The module lies beside the tests. */
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

/* In a peer: hold the lock until the time is over, or the peer is killed. */
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

static bool so_many_hold(void *arg)
{
	return file_number(HELD) == *(const long *)arg;
}

/* A process that holds the mmap lock of `victim`, for a minute or until it is killed. */
static struct peer *hold_lock(const struct peer *victim)
{
	struct hold h = { .pid = victim->pid, .ms = 60000 };
	struct peer *holder;
	long wanted;

	load_hold();
	test_cleanup(unload_hold, NULL);
	wanted = file_number(HELD) + 1;
	holder = peer_new();
	peer_start(holder, hold, &h, sizeof(h));
	assert_true(test_until(so_many_hold, &wanted, DEADLINE_MS));
	return holder;
}

static void release_lock(struct peer *holder)
{
	long wanted = file_number(HELD) - 1;

	peer_kill(holder);
	assert_true(test_until(so_many_hold, &wanted, DEADLINE_MS));
}

/* Wait for the next event of this type that is about this client. */
static struct peershm_event await(int fd, enum peershm_event_type type, const struct peer *p)
{
	struct peershm_event e;

	do {
		e = event_next(fd);
	} while (e.type != type || e.client != p->at.client);
	return e;
}

/* The client gets the pages of the first `size` bytes by itself, once its lock is free. */
static void catches_up(int events, const struct region *r, struct peer *held, struct peer *holder,
		       uint64_t size)
{
	release_lock(holder);
	assert_int_equal(await(events, PEERSHM_EVENT_CAUGHT_UP, held).new_value, size);
	assert_int_equal(peer_present(held, r->base, size), size);
}

CASE(a_thousand_grows_do_not_wait_for_a_held_peer)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[TIMELY_PEERS], *holder;
	uint64_t before, start, size;
	struct peershm_event e;
	int fd;

	region_grow(r, PART);
	timely_peers(r, peers);
	before = timely_info(r, peers[3]).mapped;
	assert_int_equal(before, PART);
	holder = hold_lock(peers[3]);
	start = now_ms();
	assert_int_equal(timely_grows(r, peers, peers[3]), test_scale(1000));
	size = PART + test_scale(1000) * SYSTEM_PAGE;
	assert_int_equal(region_size(r), size);
	assert_int_equal(timely_info(r, peers[3]).mapped, before);
	if (test_scale(10) >= 10) {
		/* It is held for ten seconds, and has got nothing by then. */
		while (now_ms() - start < 10000)
			poll(NULL, 0, 100);
		assert_int_equal(timely_info(r, peers[3]).mapped, before);
	}
	fd = event_watcher(r);
	release_lock(holder);
	/* Nobody makes another call for it. */
	e = await(fd, PEERSHM_EVENT_CAUGHT_UP, peers[3]);
	assert_int_equal(e.old_value, before);
	assert_int_equal(e.new_value, size);
	assert_int_equal(timely_info(r, peers[3]).mapped, size);
	assert_int_equal(peer_present(peers[3], r->base, size), size);
}

/* A grow that names no deadline waits for 100 ms. */
CASE(the_deadline_is_a_tenth_of_a_second_by_default)
{
	struct region *r = region_new(small, GIB);
	struct peer *held = peer_join(r, "held");
	struct peer *holder = hold_lock(held);
	struct peershm_grow g = { .size = sizeof(g),
				  .region = r->id,
				  .length = PART,
				  .report.timeout_ms = PEERSHM_TIMEOUT_DEFAULT };
	struct waiting waiting;
	uint64_t waited;

	lateness_start();
	waiting = waiting_start();
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	waited = waiting_ns(waiting);
	assert_int_equal(g.report.deferred, 1);
	/* It may sleep less: it spends some of the time looking at the peer. */
	assert_in_range(waited / 1000000, 50, 102 + 2 * lateness_ns() / 1000000);
	release_lock(holder);
}

/*
 * A signal ends a peer map that waits, which then reports the client as deferred. On a slow machine
 * the signal may come before the call, and then ends nothing.
 */
CASE(a_signal_ends_the_waiting_for_a_held_peer)
{
	struct region *r = region_new(small, GIB);
	unsigned int rounds = test_scale(300), ended = 0;
	struct peer *held = peer_join(r, "held");
	struct peershm_peer_map m;
	struct peer *holder;

	region_grow(r, PART);
	holder = hold_lock(held);
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start = now_ms();

		memset(&m, 0, sizeof(m));
		m.size = sizeof(m);
		m.region = r->id;
		m.report.timeout_ms = 1000;
		assert_ok(interrupt_after(2000000 + i * 10000));
		assert_ok(xioctl(r->fd, PEERSHM_IOC_PEER_MAP, &m));
		interrupt_never();
		assert_int_equal(m.report.deferred, 1);
		assert_int_equal(m.report.mapped, 0);
		assert_true(caught);
		ended += now_ms() - start < (uint64_t)m.report.timeout_ms;
	}
	print_message("# %u of %u ended by the signal\n", ended, rounds);
	assert_true(ended > rounds / 2);
	release_lock(holder);
}

CASES(a_held_peer_catches_up_in_any_backing, ALL_BACKINGS)
{
	struct region *r = region_with(b, 0, b->step);
	struct peer *held = peer_join(r, "held"), *other = peer_join(r, "other");
	int fd = event_watcher(r);
	struct peer *holder = hold_lock(held);
	struct peershm_grow g;

	timely_grow(r, b->step, &g);
	assert_int_equal(g.report.mapped, 1);
	assert_int_equal(g.report.deferred, 1);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	catches_up(fd, r, held, holder, b->step);
	peer_has_all(held, r->base, b->step);
}

CASE(one_held_peer_catches_up_while_another_is_held)
{
	struct region *r = region_new(small, GIB);
	struct peer *freed = peer_join(r, "freed"), *held = peer_join(r, "held");
	struct peer *holders[] = { hold_lock(freed), hold_lock(held) };
	int fd = event_watcher(r);
	struct peershm_grow g;

	assert_ok(do_grow(r->fd, r->id, PART, &g));
	assert_int_equal(g.report.deferred, 2);
	catches_up(fd, r, freed, holders[0], PART);
	assert_int_equal(timely_info(r, held).mapped, 0);
	catches_up(fd, r, held, holders[1], PART);
}

CASE(a_held_peer_with_a_hole_catches_up_with_the_rest)
{
	struct region *r = region_new(small, GIB);
	struct peer *held = peer_join(r, "held"), *holder;
	uint64_t after = r->base + 2 * SYSTEM_PAGE;
	int fd = event_watcher(r);
	struct peershm_event e;
	struct peershm_grow g;

	assert_ok(peer_munmap(held, r->base + SYSTEM_PAGE, SYSTEM_PAGE));
	holder = hold_lock(held);
	assert_ok(do_grow(r->fd, r->id, PART, &g));
	assert_int_equal(g.report.deferred, 1);
	release_lock(holder);
	e = await(fd, PEERSHM_EVENT_CAUGHT_UP, held);
	/* What is said to be mapped is what lies below the first hole. */
	assert_int_equal(e.new_value, 0);
	assert_int_equal(peer_present(held, r->base, SYSTEM_PAGE), SYSTEM_PAGE);
	assert_int_equal(peer_present(held, after, PART - 2 * SYSTEM_PAGE), PART - 2 * SYSTEM_PAGE);
}

CASE(what_is_shrunk_away_is_caught_up)
{
	struct region *r = region_new(small, GIB);
	struct peer *held = peer_join(r, "held"), *holder = hold_lock(held);
	int fd = event_watcher(r);
	struct peershm_grow g;

	timely_grow(r, PART, &g);
	assert_int_equal(g.report.deferred, 1);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(await(fd, PEERSHM_EVENT_CAUGHT_UP, held).new_value, 0);
	release_lock(holder);
}

CASE(a_peer_that_dies_while_held_is_no_straggler)
{
	struct region *r = region_new(small, GIB);
	struct peer *held = peer_join(r, "held"), *holder = hold_lock(held);
	int fd = event_watcher(r);
	struct peershm_grow g;

	timely_grow(r, PART, &g);
	assert_int_equal(g.report.deferred, 1);
	assert_int_equal(kill(held->pid, SIGKILL), 0);
	release_lock(holder);
	await(fd, PEERSHM_EVENT_DIED, held);
	assert_true(region_until_clients(r, 0, DEADLINE_MS));
}

static long grow_patiently(void *arg)
{
	struct peershm_grow g = { .size = sizeof(g), .length = *(uint64_t *)arg };

	g.report.timeout_ms = 60000;
	return xioctl(self.fd, PEERSHM_IOC_GROW, &g);
}

static bool has_grown(void *arg)
{
	return region_size(arg) == PART;
}

CASE(the_peers_of_a_killed_grower_catch_up)
{
	struct region *r = region_new(small, GIB);
	struct peer *held = peer_join(r, "held"), *grower = peer_join(r, "grower");
	struct peer *holder = hold_lock(held);
	int fd = event_watcher(r);
	uint64_t length = PART;

	peer_start(grower, grow_patiently, &length, sizeof(length));
	assert_true(test_until(has_grown, r, DEADLINE_MS));
	peer_kill(grower);
	assert_int_equal(region_size(r), PART);
	catches_up(fd, r, held, holder, PART);
}
