/* SPDX-License-Identifier: GPL-2.0-only */
/* Peer map: whom it reaches, what it answers, and that nobody can hold it up. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/busy.h"
#include "support/harness.h"

#define STEP (4 * MIB)

/* Far more than a grow takes that waits for nobody. */
#define PROMPT_MS 10000

struct three {
	struct region *region;
	struct peer *peers[3];
};

/* Three peers, none of which has the memory in its page tables. */
static struct three three_without_pages(const struct backing *b)
{
	static const char *const names[] = { "a", "b", "c" };
	struct three t;

	backing_needs(b, b->step);
	t.region = region_new(b, b->capacity);
	region_grow(t.region, b->step);
	for (int i = 0; i < 3; i++)
		t.peers[i] = peer_join(t.region, names[i]);
	for (int i = 0; i < 3; i++)
		peer_forget(t.peers[i], t.region->base, b->step);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t.peers[i], t.region->base, b->step), 0);
	return t;
}

static void all_peers_are_mapped(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct three t = three_without_pages(b);
	struct peershm_peer_map m;

	assert_ok(do_peer_map(t.region->fd, t.region->id, &m));
	assert_int_equal(m.report.nr_peers, 3);
	assert_int_equal(m.report.mapped, 3);
	assert_int_equal(m.report.deferred, 0);
	assert_int_equal(m.report.gone, 0);
	assert_int_equal(m.report.partial, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t.peers[i], t.region->base, b->step), b->step);
}

static void only_the_peer_of_that_pid_is_mapped(void **state)
{
	const struct backing *b = &backings[PEERSHM_SMALL];
	struct three t = three_without_pages(b);
	struct peershm_peer_map m;

	(void)state;
	assert_ok(do_map_pid(t.region->fd, t.region->id, t.peers[1]->pid, &m));
	assert_int_equal(m.report.nr_peers, 1);
	assert_int_equal(m.report.mapped, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t.peers[i], t.region->base, b->step),
				 i == 1 ? b->step : 0);
}

static void only_the_peer_of_that_name_is_mapped(void **state)
{
	const struct backing *b = &backings[PEERSHM_SMALL];
	struct three t = three_without_pages(b);
	struct peershm_peer_map m;

	(void)state;
	assert_ok(do_map_name(t.region->fd, t.region->id, "c", &m));
	assert_int_equal(m.report.nr_peers, 1);
	assert_int_equal(m.report.mapped, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peer_present(t.peers[i], t.region->base, b->step),
				 i == 2 ? b->step : 0);
}

static void a_range_alone_is_mapped(void **state)
{
	const struct backing *b = &backings[PEERSHM_SMALL];
	struct three t = three_without_pages(b);
	struct peershm_peer_map m = {
		.size = sizeof(m), .region = t.region->id, .offset = 2 * MIB, .length = 128 * KIB
	};

	(void)state;
	assert_ok(xioctl(t.region->fd, PEERSHM_IOC_PEER_MAP, &m));
	assert_int_equal(m.report.mapped, 3);
	for (int i = 0; i < 3; i++) {
		uint64_t base = t.region->base;

		assert_int_equal(peer_present(t.peers[i], base + 2 * MIB, 128 * KIB), 128 * KIB);
		assert_true(peer_present(t.peers[i], base, b->step) < MIB);
	}
}

/* Each peer's own result, when so much is to be done that CPUs share it. */
static void peers_mapped_at_once_do_not_mix_up_their_results(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peershm_peer records[16];
	struct peershm_grow g = { .size = sizeof(g) };
	struct peer *peers[16];
	struct region *r;
	char name[16];

	r = region_new(b, b->capacity);
	for (unsigned int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "peer %u", i);
		peers[i] = peer_join(r, name);
	}
	for (unsigned int round = 0; round < test_scale(20); round++) {
		uint64_t hole = r->base + b->step / 2 / b->page * b->page;

		g.region = r->id;
		g.length = b->step;
		g.report =
			(struct peershm_map_report){ .peers = (uintptr_t)records, .nr_peers = 16 };
		/* One more of them has a hole, from round to round. */
		if (round < 16)
			assert_ok(peer_munmap(peers[(7 * round) % 16], hole, b->page));
		memset(records, POISON, sizeof(records));
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
		assert_int_equal(g.report.nr_peers, 16);
		assert_int_equal(g.report.deferred + g.report.gone, 0);
		for (unsigned int i = 0; i < 16; i++) {
			bool holed = false;

			for (unsigned int j = 0; j <= round && j < 16; j++)
				holed |= i == (7 * j) % 16;
			assert_int_equal(records[i].client, peers[i]->at.client);
			assert_int_equal(records[i].result,
					 holed ? PEERSHM_PEER_PARTIAL : PEERSHM_PEER_MAPPED);
			assert_int_equal(peer_present(peers[i], r->base, b->step),
					 b->step - (holed ? b->page : 0));
		}
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
}

static void records_tell_client_pid_name_and_result(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *peers[2] = { peer_join(r, "a"), peer_join(r, "b") };
	struct peershm_peer records[3], poison;
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = STEP };

	(void)state;
	memset(records, POISON, sizeof(records));
	memset(&poison, POISON, sizeof(poison));
	g.report.peers = (uintptr_t)records;
	g.report.nr_peers = 3;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	assert_int_equal(g.report.nr_peers, 2);
	for (int i = 0; i < 2; i++) {
		struct peer *p = peers[records[i].client == peers[0]->at.client ? 0 : 1];

		assert_int_equal(records[i].client, p->at.client);
		assert_int_equal(records[i].pid, p->pid);
		assert_int_equal(records[i].result, PEERSHM_PEER_MAPPED);
		assert_int_equal(records[i].mapped, STEP);
		assert_string_equal(records[i].name, p->name);
	}
	assert_int_not_equal(records[0].client, records[1].client);

	/* Fewer records than clients: those there are, and how many there were. */
	memset(records, POISON, sizeof(records));
	g.report.nr_peers = 1;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	assert_int_equal(g.report.nr_peers, 2);
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(records[0].result, PEERSHM_PEER_MAPPED);
	assert_memory_equal(&records[1], &poison, sizeof(poison));
}

static void a_stopped_peer_is_mapped(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *stopped;
	struct peershm_grow g;
	struct region *r;
	uint64_t start;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	stopped = peer_join(r, "stopped");
	peer_stop(stopped);
	start = now_ms();
	assert_ok(do_grow(r->fd, r->id, b->step, &g));
	assert_true(now_ms() - start < PROMPT_MS);
	assert_int_equal(g.report.mapped, 1);
	peer_continue(stopped);
	assert_int_equal(peer_present(stopped, r->base, b->step), b->step);
	assert_int_equal(peer_write(stopped, r->base, b->step).minor, 0);
}

static void a_stopped_peer_does_not_hold_up_a_shrink(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *stopped;
	struct region *r;
	uint64_t start;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	stopped = peer_join(r, "stopped");
	peer_stop(stopped);
	start = now_ms();
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_true(now_ms() - start < PROMPT_MS);
	peer_continue(stopped);
	assert_int_equal(peer_touch(stopped, r->base), SIGBUS);
}

/* Again and again its own thread is let in, and the mapping goes on from there. */
static void a_peer_that_wants_its_own_lock_gets_all_of_a_large_grow(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy");
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = 16 * MIB };

	(void)state;
	assert_ok(peer_call(p, busy_start, NULL, 0));
	for (int i = 0; i < 4; i++) {
		g.report.nr_peers = 0;
		g.report.timeout_ms = DEADLINE_MS;
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
		assert_int_equal(g.report.mapped, 1);
	}
	assert_ok(peer_call(p, busy_stop, NULL, 0));
	assert_int_equal(peer_present(p, r->base, 64 * MIB), 64 * MIB);
}

static void a_peer_that_cannot_be_reached_is_deferred_and_still_works(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy"), *other = peer_join(r, "other");
	struct peershm_grow g = { .size = sizeof(g), .region = r->id };
	struct peershm_peer_map m;
	uint64_t start, size = 0, end;

	(void)state;
	assert_ok(peer_call(p, busy_start, NULL, 0));
	end = now_ms() + DEADLINE_MS;
	do {
		assert_true(now_ms() < end);
		g.length = 64 * KIB;
		g.report.nr_peers = 0;
		g.report.timeout_ms = 1;
		start = now_ms();
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
		assert_true(now_ms() - start < PROMPT_MS);
		assert_int_equal(g.report.nr_peers, 2);
		assert_int_equal(g.report.mapped + g.report.deferred, 2);
		size = g.new_size;
		assert_int_equal(peer_present(other, r->base + size - 64 * KIB, 64 * KIB),
				 64 * KIB);
	} while (!g.report.deferred);
	assert_int_equal(peer_touch_write(p, r->base + size - 1), 0);
	assert_ok(peer_call(p, busy_stop, NULL, 0));

	/* Asked again, it is reached. */
	assert_ok(do_map_name(r->fd, r->id, "busy", &m));
	assert_int_equal(m.report.mapped, 1);
	assert_int_equal(peer_present(p, r->base, size), size);
}

static void grow_to_a_size_there_is_already_maps_whoever_is_not_mapped(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "busy"), *other = peer_join(r, "other");
	struct peershm_grow g = { .size = sizeof(g), .region = r->id };
	struct peershm_client_info infos[2];
	uint64_t end;

	(void)state;
	assert_ok(peer_call(p, busy_start, NULL, 0));
	end = now_ms() + DEADLINE_MS;
	do {
		assert_true(now_ms() < end);
		g.length = 64 * KIB;
		g.report.nr_peers = 0;
		g.report.timeout_ms = 1;
		assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	} while (!g.report.deferred);
	assert_ok(peer_call(p, busy_stop, NULL, 0));

	assert_ok(do_grow_to(r->fd, r->id, g.new_size, &g));
	assert_int_equal(g.old_size, g.new_size);
	assert_int_equal(g.report.nr_peers, 2);
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(peer_present(p, r->base, g.new_size), g.new_size);
	assert_int_equal(peer_present(other, r->base, g.new_size), g.new_size);
	assert_int_equal(do_clients(r->fd, r->id, infos, 2), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(infos[i].mapped, g.new_size);
}

/* A userfault handler that never answers, for the window. */
static long register_userfault(void *arg)
{
	const uint64_t *range = arg;
	struct uffdio_api api = { .api = UFFD_API, .features = range[2] };
	struct uffdio_register reg = { .range = { range[0], range[1] }, .mode = range[3] };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -ENOSYS;
	return ioctl(fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static void userfault_handler_cannot_hold_up_a_grow(void **state)
{
	const struct backing *b = param_of(state)->backing;
	static const uint64_t modes[][2] = {
		{ 0, UFFDIO_REGISTER_MODE_MISSING },
		{ 0, UFFDIO_REGISTER_MODE_WP },
		{ UFFD_FEATURE_MINOR_HUGETLBFS, UFFDIO_REGISTER_MODE_MINOR },
		{ UFFD_FEATURE_MINOR_SHMEM, UFFDIO_REGISTER_MODE_MINOR },
	};
	struct peer *other, *handlers[4];
	struct peershm_grow g;
	struct region *r;
	uint64_t start;
	char name[16];

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	other = peer_join(r, "other");
	for (int i = 0; i < 4; i++) {
		uint64_t range[4] = { r->base, b->capacity, modes[i][0], modes[i][1] };
		long err;

		snprintf(name, sizeof(name), "handler %d", i);
		handlers[i] = peer_join(r, name);
		err = peer_call(handlers[i], register_userfault, range, sizeof(range));
		/* The kernel may refuse; then it holds nobody up, either. */
		if (err)
			print_message("# mode %d: %s\n", i, strerror((int)-err));
	}
	start = now_ms();
	assert_ok(do_grow(r->fd, r->id, b->step, &g));
	assert_true(now_ms() - start < PROMPT_MS);
	assert_int_equal(g.report.nr_peers, 5);
	assert_int_equal(g.report.deferred + g.report.gone, 0);
	assert_int_equal(g.report.mapped + g.report.partial, 5);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
}

static long map_stranger(void *arg)
{
	const uint64_t *range = arg;
	void *got = mmap(at_address(range[0]), range[1], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	return got == MAP_FAILED ? -errno : register_userfault(arg);
}

static void userfault_handler_of_a_stranger_in_the_window_sees_nothing(void **state)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "covered");
	uint64_t range[4] = { r->base, STEP, 0, UFFDIO_REGISTER_MODE_MISSING };
	struct peershm_grow g;
	uint64_t start;
	long err;

	(void)state;
	err = peer_call(p, map_stranger, range, sizeof(range));
	if (err == -ENOSYS)
		skip_because("no userfaultfd");
	assert_ok(err);
	start = now_ms();
	assert_ok(do_grow(r->fd, r->id, STEP, &g));
	assert_true(now_ms() - start < PROMPT_MS);
	assert_int_equal(g.report.partial, 1);
	assert_int_equal(peer_present(p, r->base, STEP), 0);
}

static void who_has_no_rights_over_a_process_maps_memory_into_it(void **state)
{
	char name[PEERSHM_NAME_SIZE];
	struct region *r = region_new(small, GIB);
	struct peer *alice = peer_new(), *bob = peer_new();
	struct peershm_grow g = { .size = sizeof(g), .length = STEP };
	struct peershm_region_info info;

	(void)state;
	region_name(name);
	assert_ok(do_create_mode(r->fd, name, 0666, 0));
	peer_become(alice, 1000, 1000);
	peer_become(bob, 1001, 1001);
	assert_ok(peer_attach(alice, name, "alice", 0));
	assert_ok(peer_attach(bob, name, "bob", 0));
	assert_ok(do_stat(r->fd, 0, name, &info));
	assert_ok(peer_ioctl(alice, PEERSHM_IOC_GROW, &g, sizeof(g)));
	assert_ok(do_unlink(r->fd, name));
	assert_int_equal(g.report.mapped, 2);
	assert_int_equal(peer_present(bob, info.base, STEP), STEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(all_peers_are_mapped),
		TEST(only_the_peer_of_that_pid_is_mapped),
		TEST(only_the_peer_of_that_name_is_mapped),
		TEST(a_range_alone_is_mapped),
		TEST_CASE("peers_mapped_at_once_do_not_mix_up_their_results_small",
			  peers_mapped_at_once_do_not_mix_up_their_results, PEERSHM_SMALL, 0),
		TEST_CASE("peers_mapped_at_once_do_not_mix_up_their_results_thp",
			  peers_mapped_at_once_do_not_mix_up_their_results, PEERSHM_THP, 0),
		TEST(records_tell_client_pid_name_and_result),
		TEST_BACKINGS(a_stopped_peer_is_mapped),
		TEST_BACKINGS(a_stopped_peer_does_not_hold_up_a_shrink),
		TEST(a_peer_that_wants_its_own_lock_gets_all_of_a_large_grow),
		TEST(a_peer_that_cannot_be_reached_is_deferred_and_still_works),
		TEST(grow_to_a_size_there_is_already_maps_whoever_is_not_mapped),
		TEST_BACKINGS(userfault_handler_cannot_hold_up_a_grow),
		TEST(userfault_handler_of_a_stranger_in_the_window_sees_nothing),
		TEST(who_has_no_rights_over_a_process_maps_memory_into_it),
	};

	return test_run(tests);
}
