/* SPDX-License-Identifier: GPL-2.0-only */
/* Windows that their processes tear, cover, move and fork: others are not harmed. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/event.h"
#include "support/harness.h"

/* How soon an entry has to be gone that nobody takes out. */
#define SOON 1000

struct child_touch {
	uint64_t address;
	int signal;
};

/* What a child of fork gets when it touches the window. */
static long touch_in_child(void *arg)
{
	struct child_touch *t = arg;
	int status;
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0)
		_exit(touch(t->address, false));
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	t->signal = WEXITSTATUS(status);
	return 0;
}

static void a_child_of_fork_has_no_window(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct child_touch t = { 0 };
	struct region *r;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "parent");
	t.address = r->base;
	assert_ok(peer_call(p, touch_in_child, &t, sizeof(t)));
	assert_int_equal(t.signal, SIGSEGV);
	assert_int_equal(region_nr_clients(r), 1);
	assert_int_equal(peer_touch(p, r->base), 0);
}

/* A grow waits for peers as long as it takes. */
#define PATIENT_MS 10000

static void a_hole_in_a_window_is_partial_and_harms_nobody_else(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *holed, *other;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	holed = peer_join(r, "holed");
	other = peer_join(r, "other");
	assert_ok(peer_munmap(holed, r->base, b->page));
	assert_int_equal(grow_and_report(r, holed, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	assert_int_equal(peer_touch(holed, r->base), SIGSEGV);
	if (b->step > b->page)
		assert_int_equal(peer_present(holed, r->base + b->page, b->step - b->page),
				 b->step - b->page);
}

/* Then the huge page around it cannot be mapped as one. */
static void a_small_hole_leaves_all_else_of_a_huge_page_mapped(void **state)
{
	const struct backing *b = param_of(state)->backing;
	const uint64_t length = 2 * b->page;
	struct peer *peers[2];
	struct region *r;

	if (b->page > GIB / 16)
		skip_because("its huge pages are too large");
	r = region_new(b, b->capacity);
	peers[0] = peer_join(r, "in the middle");
	peers[1] = peer_join(r, "at the end");
	assert_ok(peer_munmap(peers[0], r->base + b->page / 2, SYSTEM_PAGE));
	assert_ok(peer_mprotect(peers[1], r->base + b->page - SYSTEM_PAGE, SYSTEM_PAGE, PROT_NONE));
	region_grow(r, length);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(peer_present(peers[i], r->base, length), length - SYSTEM_PAGE);
	/* and when it has a page table already */
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	region_grow(r, length);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(peer_present(peers[i], r->base, length), length - SYSTEM_PAGE);
}

static long map_stranger(void *arg)
{
	const uint64_t *range = arg;
	void *got = mmap(at_address(range[0]), range[1], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

	return got == MAP_FAILED ? -errno : 0;
}

static void a_stranger_mapped_over_the_window_is_not_populated(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t range[2] = { 0, b->page };
	struct peer *p, *other;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "covered");
	other = peer_join(r, "other");
	range[0] = r->base;
	assert_ok(peer_call(p, map_stranger, range, sizeof(range)));
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(p, r->base, b->page), 0);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	/* It is the process's own memory, and stays when the client leaves. */
	peer_store(p, r->base, 77);
	assert_ok(peer_detach(p));
	assert_int_equal(peer_load(p, r->base), 77);
	assert_ok(peer_munmap(p, r->base, b->page));
}

static void a_piece_without_access_is_partial_and_harms_nobody_else(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct peer *p, *other;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "protected");
	other = peer_join(r, "other");
	assert_ok(peer_mprotect(p, r->base, b->page, PROT_NONE));
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	assert_int_equal(peer_touch(p, r->base), SIGSEGV);
	assert_ok(peer_mprotect(p, r->base, b->page, PROT_READ | PROT_WRITE));
	assert_int_equal(peer_touch_write(p, r->base), 0);
	assert_int_equal(region_nr_clients(r), 2);
}

static void a_piece_made_read_only_is_mapped_all_the_same(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "careful");
	assert_ok(peer_mprotect(p, r->base, b->step, PROT_READ));
	grow_and_report(r, p, PATIENT_MS);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_int_equal(peer_touch(p, r->base), 0);
	assert_int_equal(peer_touch_write(p, r->base), SIGSEGV);
}

static long move_piece(void *arg)
{
	uint64_t *range = arg;
	void *to = mremap(at_address(range[0]), range[1], range[1], MREMAP_MAYMOVE | MREMAP_FIXED,
			  at_address(range[2]));

	return to == MAP_FAILED ? -errno : 0;
}

static void a_piece_moved_away_is_not_populated_and_keeps_the_client(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t range[3] = { 0, b->page, 0 };
	struct peer *p, *other;
	struct region *r;
	long err;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "mover");
	other = peer_join(r, "other");
	range[0] = r->base;
	range[2] = 0x400000000000;
	err = peer_call(p, move_piece, range, sizeof(range));
	if (err == -EINVAL && backing_is_hugetlb(b) && kernel_before(5, 16))
		skip_because("mremap() does not take huge pages of the pool before Linux 5.16");
	assert_ok(err);
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_PARTIAL);
	assert_int_equal(peer_present(other, r->base, b->step), b->step);
	/* The moved piece shows the same memory, and goes with the size. */
	peer_store(other, r->base, 4711);
	assert_int_equal(peer_load(p, range[2]), 4711);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(peer_touch(p, range[2]), SIGBUS);
	/* The last piece is the one far away. */
	assert_ok(peer_munmap(p, r->base, b->capacity));
	assert_int_equal(region_nr_clients(r), 2);
	assert_ok(peer_munmap(p, range[2], b->page));
	assert_true(region_until_clients(r, 1, SOON));
}

static void move_window(struct peer *p, const struct backing *b, uint64_t from, uint64_t to)
{
	uint64_t range[3] = { from, b->capacity, to };
	long err = peer_call(p, move_piece, range, sizeof(range));

	if (err == -EINVAL && backing_is_hugetlb(b) && kernel_before(5, 16))
		skip_because("mremap() does not take huge pages of the pool before Linux 5.16");
	assert_ok(err);
}

static void move_there_and_back(const struct backing *b, uint64_t there, bool alone)
{
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "mover");
	struct peer *other = alone ? NULL : peer_join(r, "other");
	struct peershm_peer_map map;

	region_grow(r, b->step);
	peer_store(p, r->base, 4711);
	for (uint64_t i = 4711; i < 4713; i++) {
		move_window(p, b, r->base, there);
		assert_int_equal(peer_load(p, there), i);
		assert_int_equal(peer_touch(p, r->base), SIGSEGV);
		peer_store(p, there, i + 1);
		move_window(p, b, there, r->base);
		assert_int_equal(peer_load(p, r->base), i + 1);
	}
	if (!other)
		other = peer_join(r, "other");
	/* It is one of the peers as before, and holds nobody up. */
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_MAPPED);
	assert_int_equal(peer_present(other, r->base, 2 * b->step), 2 * b->step);
	/* The kernel does not move a shared page table: what it maps has to be mapped again. */
	assert_ok(do_peer_map(r->fd, r->id, &map));
	assert_int_equal(map.report.mapped, 2);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	peer_store(other, r->base + b->step, 815);
	move_window(p, b, r->base, there);
	assert_int_equal(peer_load(p, there + b->step), 815);
	assert_ok(do_shrink(r->fd, r->id, b->step, NULL));
	assert_int_equal(peer_touch(p, there + b->step), SIGBUS);
	assert_int_equal(peer_load(other, r->base), 4713);
	assert_ok(peer_munmap(p, there, b->capacity));
	assert_true(region_until_clients(r, 1, SOON));
}

/*
 * The kernel may look for page tables to share at the new place: where that has an aligned GiB,
 * and what is moved is not shared itself.
 */
static void a_window_is_moved_and_comes_back(void **state)
{
	const struct backing *b = param_of(state)->backing;
	const uint64_t places[] = { 0x400000000000, 0x400000000000 + b->page };

	backing_needs(b, 2 * b->step);
	for (int i = 0; i < 4; i++) {
		move_there_and_back(b, places[i / 2], i % 2);
		peers_end();
		regions_end();
	}
}

/* A region of so much, in the page tables of two clients; `mover` is one of them. */
static struct region *mapped_by_two(const struct backing *b, uint64_t length, struct peer **mover)
{
	struct region *r;

	backing_needs(b, length);
	r = region_new(b, b->capacity);
	*mover = peer_join(r, "mover");
	peer_join(r, "other");
	region_grow(r, length);
	return r;
}

/* Who has been moved finds by one access what others have mapped, as before. */
static void a_moved_window_shares_page_tables_again(void **state)
{
	const struct backing *b = &backings[PEERSHM_HUGETLB_2M];
	const uint64_t length = 2 * b->step, there = 0x400000000000;
	struct region *r;
	struct peer *p;

	(void)state;
	if (b->page != backings[PEERSHM_THP].page)
		skip_because("a huge page of the pool is a part of a page table here");
	if (machine_is_arm64() && kernel_before(6, 3) && !kernel_before(6, 1))
		skip_because("windows share no page tables on arm64 before Linux 6.3");
	r = mapped_by_two(b, length, &p);
	move_window(p, b, r->base, there);
	/* It shared before, or it would have its page table with it. */
	assert_int_equal(peer_present(p, there, length), 0);
	peer_load(p, there);
	assert_int_equal(peer_present(p, there, length), length);
	move_window(p, b, there, r->base);
	assert_int_equal(peer_present(p, r->base, length), 0);
	peer_load(p, r->base);
	assert_int_equal(peer_present(p, r->base, length), length);
}

/* What one has mapped another has not, and a move changes nothing about it. */
static void windows_share_no_page_tables_where_a_look_at_one_that_goes_kills(void **state)
{
	const struct backing *b = &backings[PEERSHM_HUGETLB_2M];
	const uint64_t length = 2 * b->step, there = 0x400000000000;
	struct peershm_peer_map map;
	struct region *r;
	struct peer *p;

	(void)state;
	if (!machine_is_arm64() || !kernel_before(6, 3))
		skip_because("a look at them is safe from Linux 6.3 on, and where it is not arm64");
	if (kernel_before(6, 1))
		skip_because("before Linux 6.1 a window has to share");
	r = mapped_by_two(b, length, &p);
	for (int i = 0; i < 2; i++) {
		/* A page table of its own is moved. */
		move_window(p, b, r->base, there);
		assert_int_equal(peer_present(p, there, length), length);
		/* Gone, only what is looked at comes back. */
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
		region_grow(r, length);
		assert_int_equal(peer_present(p, there, length), 0);
		peer_load(p, there);
		assert_int_equal(peer_present(p, there, length), b->page);
		move_window(p, b, there, r->base);
		assert_int_equal(peer_present(p, r->base, length), b->page);
		assert_ok(do_peer_map(r->fd, r->id, &map));
		assert_int_equal(peer_present(p, r->base, length), length);
	}
}

static long grow_window(void *arg)
{
	const uint64_t *range = arg;
	void *to = mremap(at_address(range[0]), range[1], 2 * range[1], MREMAP_MAYMOVE);

	return to == MAP_FAILED ? -errno : 0;
}

static void a_window_cannot_be_made_longer(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r = region_new(b, b->capacity);
	struct peer *p = peer_join(r, "p");
	uint64_t range[2] = { r->base, b->capacity };

	long err = peer_call(p, grow_window, range, sizeof(range));

	/* EFAULT, and EINVAL where the kernel resizes no mapping of huge pages. */
	assert_error(err, backing_is_hugetlb(b) ? -EINVAL : -EFAULT);
	assert_int_equal(region_nr_clients(r), 1);
}

static long header_protection(void *arg)
{
	(void)arg;
	if (mprotect((void *)self.header, self.at.header_length, PROT_READ | PROT_WRITE))
		return -errno;
	return 0;
}

static void nobody_can_make_the_header_writable(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);

	(void)state;
	assert_error(peer_call(peer_join(r, "p"), header_protection, NULL, 0), -EACCES);
}

static void a_read_only_client_cannot_make_its_window_writable(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r;
	struct peer *p;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join_flags(r, "reader", PEERSHM_ATTACH_READ_ONLY);
	assert_int_equal(peer_touch(p, r->base), 0);
	assert_int_equal(peer_touch_write(p, r->base), SIGSEGV);
	assert_error(peer_mprotect(p, r->base, b->step, PROT_READ | PROT_WRITE), -EACCES);
	assert_error(peer_mprotect(p, r->base + b->step, b->page, PROT_READ | PROT_WRITE), -EACCES);
}

struct dofork {
	uint64_t address, length;
	int signal;
	int moved; /* by the child: 0, or why not, or the signal of its access after that */
};

static long madvise_dofork_and_fork(void *arg)
{
	struct dofork *d = arg;
	struct child_touch t = { d->address, 0 };
	long err;

	if (madvise(at_address(d->address), d->length, MADV_DOFORK))
		return -errno;
	err = touch_in_child(&t);
	d->signal = t.signal;
	return err;
}

/* Whether it is refused or the child sees memory, the registry stays right. */
static void a_window_that_is_forked_after_all_does_no_harm(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct dofork d = { 0 };
	struct region *r;
	struct peer *p;
	long err;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "parent");
	d.address = r->base;
	d.length = b->capacity;
	err = peer_call(p, madvise_dofork_and_fork, &d, sizeof(d));
	assert_true(err == 0 || err == -EINVAL);
	assert_int_equal(region_nr_clients(r), 1);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	region_grow(r, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, SOON));
}

/* A child that lives on with the window of its parent; gives its PID. */
static long leave_window_to_a_child(void *arg)
{
	struct dofork *d = arg;
	pid_t child;

	if (madvise(at_address(d->address), d->length, MADV_DOFORK))
		return -errno;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		alarm(2 * DEADLINE_MS / 1000);
		close(self.fd);
		for (;;)
			pause();
	}
	return child < 0 ? -errno : child;
}

static void end_child(void *pid)
{
	kill((pid_t)(intptr_t)pid, SIGKILL);
}

/* The child's window is not in the registry, and moves as its parent's does. */
static long fork_and_move(void *arg)
{
	struct dofork *d = arg;
	uint64_t range[3] = { d->address, d->length, 0x400000000000 };
	int status;
	pid_t child;

	if (madvise(at_address(d->address), d->length, MADV_DOFORK))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		long err = move_piece(range);

		_exit(err ? (int)-err : touch(range[2], true));
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	d->moved = -WEXITSTATUS(status);
	return 0;
}

static void a_child_moves_the_window_it_was_given(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct dofork d = { .length = b->capacity };
	struct region *r;
	struct peer *p;
	long err;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "parent");
	peer_join(r, "other");
	d.address = r->base;
	err = peer_call(p, fork_and_move, &d, sizeof(d));
	if (err == -EINVAL)
		skip_because("this kernel gives no child such a window");
	assert_ok(err);
	if (d.moved == -EINVAL && backing_is_hugetlb(b) && kernel_before(5, 16))
		skip_because("mremap() does not take huge pages of the pool before Linux 5.16");
	assert_int_equal(d.moved, 0);
	assert_int_equal(grow_and_report(r, p, PATIENT_MS).result, PEERSHM_PEER_MAPPED);
	assert_int_equal(peer_present(p, r->base, 2 * b->step), 2 * b->step);
	assert_int_equal(region_nr_clients(r), 2);
}

/* More than are taken out of the registry in one go. */
#define MANY 20

static void the_dead_whose_windows_others_hold_make_room(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct dofork d = { .address = r->base, .length = GIB };
	struct peershm_region_info info;
	struct peer *p[MANY];
	char name[16];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		long child;

		snprintf(name, sizeof(name), "dead %d", i);
		p[i] = peer_join(r, name);
		child = peer_call(p[i], leave_window_to_a_child, &d, sizeof(d));
		if (child == -EINVAL)
			skip_because("this kernel gives no child such a window");
		assert_true(child > 0);
		test_cleanup(end_child, (void *)(intptr_t)child);
	}
	for (int i = 0; i < MANY; i++)
		peer_kill(p[i]);
	assert_int_equal(do_clients(r->fd, r->id, NULL, 0), 0);
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.nr_clients, MANY); /* nobody has looked yet */
	client_new(r, "new");
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	assert_int_equal(info.nr_clients, 1);
}

static void a_file_attaches_again_once_its_window_is_unmapped(void **state)
{
	struct region *r = region_new(&backings[PEERSHM_SMALL], GIB);
	struct client *c = client_new(r, "test");
	struct peershm_attach again;

	(void)state;
	assert_error(do_attach(c->fd, r->name, "again", 0, &again), -EBUSY);
	assert_ok(munmap(at_address(r->base), GIB));
	assert_int_equal(region_nr_clients(r), 0);
	assert_ok(do_attach(c->fd, r->name, "again", 0, &again));
	assert_true(again.client > c->at.client);
	assert_int_equal(region_nr_clients(r), 1);
	/* It reads what is recorded from then on. */
	event_nonblock(c->fd, true);
	assert_next_event(c->fd, PEERSHM_EVENT_JOINED, getpid(), "again", 0, 0);
	event_none(c->fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(a_child_of_fork_has_no_window),
		TEST_BACKINGS(a_hole_in_a_window_is_partial_and_harms_nobody_else),
		TEST_CASE("a_small_hole_leaves_all_else_of_a_huge_page_mapped",
			  a_small_hole_leaves_all_else_of_a_huge_page_mapped, PEERSHM_THP, 0),
		TEST_BACKINGS(a_stranger_mapped_over_the_window_is_not_populated),
		TEST_BACKINGS(a_piece_without_access_is_partial_and_harms_nobody_else),
		TEST_BACKINGS(a_piece_made_read_only_is_mapped_all_the_same),
		/* The kernel moves no mapping of 1 GiB pages. */
		TEST_CASE("a_piece_moved_away_is_not_populated_and_keeps_the_client_small",
			  a_piece_moved_away_is_not_populated_and_keeps_the_client, PEERSHM_SMALL,
			  0),
		TEST_CASE("a_piece_moved_away_is_not_populated_and_keeps_the_client_thp",
			  a_piece_moved_away_is_not_populated_and_keeps_the_client, PEERSHM_THP, 0),
		TEST_CASE("a_piece_moved_away_is_not_populated_and_keeps_the_client_hugetlb_2m",
			  a_piece_moved_away_is_not_populated_and_keeps_the_client,
			  PEERSHM_HUGETLB_2M, 0),
		TEST_CASE("a_window_is_moved_and_comes_back_small",
			  a_window_is_moved_and_comes_back, PEERSHM_SMALL, 0),
		TEST_CASE("a_window_is_moved_and_comes_back_thp", a_window_is_moved_and_comes_back,
			  PEERSHM_THP, 0),
		TEST_CASE("a_window_is_moved_and_comes_back_hugetlb_2m",
			  a_window_is_moved_and_comes_back, PEERSHM_HUGETLB_2M, 0),
		TEST(a_moved_window_shares_page_tables_again),
		TEST(windows_share_no_page_tables_where_a_look_at_one_that_goes_kills),
		TEST_BACKINGS(a_window_cannot_be_made_longer),
		TEST(nobody_can_make_the_header_writable),
		TEST_BACKINGS(a_read_only_client_cannot_make_its_window_writable),
		TEST_BACKINGS(a_window_that_is_forked_after_all_does_no_harm),
		TEST_CASE("a_child_moves_the_window_it_was_given_small",
			  a_child_moves_the_window_it_was_given, PEERSHM_SMALL, 0),
		TEST_CASE("a_child_moves_the_window_it_was_given_thp",
			  a_child_moves_the_window_it_was_given, PEERSHM_THP, 0),
		TEST_CASE("a_child_moves_the_window_it_was_given_hugetlb_2m",
			  a_child_moves_the_window_it_was_given, PEERSHM_HUGETLB_2M, 0),
		TEST(the_dead_whose_windows_others_hold_make_room),
		TEST(a_file_attaches_again_once_its_window_is_unmapped),
	};

	return test_run(tests);
}
