/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows that wait for a user: with a userfaultfd that nobody reads, or covered by a file of a
 * file system (FUSE) that never answers. Nobody else waits for that user.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/silent_fs.h"

/* A grow waits for its peers this long. What else it does is quick. */
#define TIMEOUT_MS 200
#define PROMPT_MS (TIMEOUT_MS + DEADLINE_MS / 2)

/*
 * A grow is not delayed: the region has the size, and the other client the memory. Gives what the
 * grow reports of the odd client.
 */
static uint32_t others_are_served(const struct region *r, struct peer *odd, struct peer *other)
{
	const struct backing *b = r->backing;
	uint64_t size = region_size(r), start = now_ms();
	struct peershm_peer record = grow_and_report(r, odd, TIMEOUT_MS);

	assert_true(now_ms() - start < PROMPT_MS);
	assert_int_equal(region_size(r), size + b->step);
	assert_int_equal(peer_present(other, r->base, size), size);
	peer_has_all(other, r->base + size, b->step);
	assert_int_equal(region_nr_clients(r), 2);
	return record.result;
}

static void nobody_else_is_harmed(const struct region *r, struct peer *odd, struct peer *other)
{
	uint32_t result = others_are_served(r, odd, other);

	assert_true(result == PEERSHM_PEER_PARTIAL || result == PEERSHM_PEER_DEFERRED);
}

struct cover {
	uint64_t address, length;
	uint64_t mode, features; /* of a userfaultfd */
	int fd;
	char path[64];
};

static long map_file(struct cover *c)
{
	return mmap(at_address(c->address), c->length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED, c->fd, 0) == MAP_FAILED ?
		       -errno :
		       0;
}

static long cover_with_a_file(void *arg)
{
	struct cover *c = arg;
	static const char text[] = "mine";

	snprintf(c->path, sizeof(c->path), "/tmp/cover-%d", (int)getpid());
	c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (c->fd < 0 || unlink(c->path) || ftruncate(c->fd, (off_t)c->length) ||
	    write(c->fd, text, sizeof(text)) != (ssize_t)sizeof(text))
		return -errno;
	return map_file(c);
}

CASES(a_private_file_over_the_window_stays_its_owners, ALL_BACKINGS)
{
	struct cover c = { .length = b->page };
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "covered"), *other = peer_join(r, "other");

	c.address = r->base;
	assert_ok(peer_call(p, cover_with_a_file, &c, sizeof(c)));
	nobody_else_is_harmed(r, p, other);
	assert_int_equal(peer_present(p, r->base, b->page), 0);
	assert_memory_equal(&(uint64_t){ peer_load(p, r->base) }, "mine\0\0\0\0", 8);
	peer_store(p, r->base, 77);
	assert_true(peer_load(other, r->base) != 77);
	assert_ok(peer_detach(p));
	assert_int_equal(peer_load(p, r->base), 77);
}

/* In a peer: a userfaultfd that nobody reads from, on a range. */
static long register_range(void *arg)
{
	struct cover *c = arg;
	struct uffdio_api api = { .api = UFFD_API, .features = c->features };
	struct uffdio_register reg = { .range = { c->address, c->length }, .mode = c->mode };

	c->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0 || ioctl(c->fd, UFFDIO_API, &api))
		return -ENOSYS;
	return ioctl(c->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

/* In a peer: is there a page fault for its handler to answer? */
static long has_been_asked(void *arg)
{
	const struct cover *c = arg;
	struct pollfd ready = { .fd = c->fd, .events = POLLIN };

	return poll(&ready, 1, 0);
}

/* The range of the window becomes memory of the process's own, with a userfaultfd. */
static void cover_with_userfaultfd(struct peer *p, struct cover *c)
{
	long err;

	peer_cover(p, c->address, c->length);
	err = peer_call(p, register_range, c, sizeof(*c));
	if (err == -ENOSYS)
		skip_because("no userfaultfd");
	assert_ok(err);
}

CASES(a_userfaultfd_range_over_the_window_is_not_touched, ALL_BACKINGS)
{
	struct cover c = { .length = b->page, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "covered"), *other = peer_join(r, "other");

	c.address = r->base;
	cover_with_userfaultfd(p, &c);
	nobody_else_is_harmed(r, p, other);
	assert_int_equal(peer_call(p, has_been_asked, &c, sizeof(c)), 0);
	assert_int_equal(peer_present(p, r->base, b->page), 0);
	assert_ok(peer_detach(p));
	assert_true(region_until_clients(r, 1, 1000));
}

static void a_window_with_userfaultfd(const struct backing *b, uint64_t mode, bool may_map)
{
	struct cover c = { .length = b->capacity, .mode = mode };
	struct region *r = region_with(b, b->step, 2 * b->step);
	struct peer *p = peer_join(r, "watched"), *other = peer_join(r, "other");
	uint64_t start;
	long err;

	c.address = r->base;
	err = peer_call(p, register_range, &c, sizeof(c));
	if (err == -ENOSYS || err == -EINVAL)
		skip_because("this kernel's userfaultfd does not do that");
	assert_ok(err);
	if (may_map) {
		start = now_ms();
		grow_and_report(r, p, TIMEOUT_MS);
		assert_true(now_ms() - start < PROMPT_MS);
	} else {
		nobody_else_is_harmed(r, p, other);
	}
	assert_int_equal(region_size(r), 2 * b->step);
	peer_has_all(other, r->base + b->step, b->step);
	/* Neither a shrink nor the end of the client waits for the handler. */
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(peer_touch(other, r->base), SIGBUS);
	peer_kill(p);
	assert_true(region_until_clients(r, 1, 5000));
}

CASES(a_window_whose_missing_pages_wait_delays_nobody, ALL_BACKINGS)
{
	a_window_with_userfaultfd(b, UFFDIO_REGISTER_MODE_MISSING, false);
}

CASES(a_window_whose_pages_are_write_protected_delays_nobody, ALL_BACKINGS)
{
	a_window_with_userfaultfd(b, UFFDIO_REGISTER_MODE_WP, true);
}

CASES(a_window_whose_minor_faults_wait_delays_nobody, ALL_BACKINGS)
{
	a_window_with_userfaultfd(b, UFFDIO_REGISTER_MODE_MINOR, false);
}

/* Clients with each kind of handler at once. */
CASES(userfault_handler_cannot_hold_up_a_grow, ALL_BACKINGS)
{
	static const uint64_t modes[][2] = {
		{ 0, UFFDIO_REGISTER_MODE_MISSING },
		{ 0, UFFDIO_REGISTER_MODE_WP },
		{ UFFD_FEATURE_MINOR_HUGETLBFS, UFFDIO_REGISTER_MODE_MINOR },
		{ UFFD_FEATURE_MINOR_SHMEM, UFFDIO_REGISTER_MODE_MINOR },
	};
	struct region *r = region_with(b, 0, b->step);
	struct peer *other = peer_join(r, "other"), *handlers[4];
	struct peershm_grow g;
	uint64_t start;

	peers_join(r, handlers, 4);
	for (int i = 0; i < 4; i++) {
		struct cover c = { r->base, b->capacity, modes[i][1], modes[i][0], 0, "" };
		long err = peer_call(handlers[i], register_range, &c, sizeof(c));

		/* The kernel may refuse it: such a client holds nobody up, either. */
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

CASE(userfault_handler_of_a_stranger_in_the_window_sees_nothing)
{
	struct region *r = region_new(small, GIB);
	struct peer *p = peer_join(r, "covered");
	struct cover c = { r->base, small->step, UFFDIO_REGISTER_MODE_MISSING, 0, 0, "" };
	uint64_t start;

	cover_with_userfaultfd(p, &c);
	start = now_ms();
	assert_int_equal(grow_and_report(r, p, DEADLINE_MS).result, PEERSHM_PEER_PARTIAL);
	assert_true(now_ms() - start < PROMPT_MS);
	assert_int_equal(peer_present(p, r->base, small->step), 0);
}

static long cover_with_path(void *arg)
{
	struct cover *c = arg;

	c->fd = open(c->path, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	return map_file(c);
}

static long touch_cover(void *arg)
{
	const struct cover *c = arg;

	return touch(c->address, false);
}

CASES(a_page_that_never_comes_over_the_window_delays_nobody, ALL_BACKINGS)
{
	struct cover c = { .length = b->page };
	struct region *r = region_with(b, 0, 2 * b->step);
	struct peer *p = peer_join(r, "covered"), *other = peer_join(r, "other");
	struct silent_fs *fs = silent_fs_new(0);

	c.address = r->base;
	memcpy(c.path, fs->path, sizeof(c.path));
	assert_ok(peer_call(p, cover_with_path, &c, sizeof(c)));
	nobody_else_is_harmed(r, p, other);
	/* A page that is not the region's is not asked for. */
	assert_int_equal(fs->asked, 0);

	/* Nor is anybody delayed while the process waits in the middle of a page fault. */
	peer_start(p, touch_cover, &c, sizeof(c));
	assert_true(silent_fs_asked(fs));
	assert_int_not_equal(others_are_served(r, p, other), PEERSHM_PEER_GONE);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(peer_touch(other, r->base), SIGBUS);
	kill(p->pid, SIGKILL);
	assert_true(region_until_clients(r, 1, DEADLINE_MS));
}
