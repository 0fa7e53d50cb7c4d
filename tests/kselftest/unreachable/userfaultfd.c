/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows that are covered by, or are made into, memory that waits for its user: nobody
 * else waits for it.
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

/* A grow waits for nobody longer than this, and what else it does is quick. */
#define TIMEOUT_MS 200

/*
 * The others have the memory, the region the size; and it was not waited for long. Gives
 * what was said of the odd one.
 */
static uint32_t others_are_served(const struct region *r, struct peer *odd, struct peer *other)
{
	const struct backing *b = r->backing;
	uint64_t size = region_size(r), start = now_ms();
	struct peershm_peer record = grow_and_report(r, odd, TIMEOUT_MS);

	assert_true(now_ms() - start < TIMEOUT_MS + DEADLINE_MS / 2);
	assert_int_equal(region_size(r), size + b->step);
	assert_int_equal(peer_present(other, r->base, size + b->step), size + b->step);
	assert_int_equal(peer_write(other, r->base + size, b->step).minor, 0);
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
	uint64_t mode; /* of userfaultfd */
	int fd;
	char path[64];
};

static long cover_with_a_file(void *arg)
{
	struct cover *c = arg;
	static const char text[] = "mine";

	snprintf(c->path, sizeof(c->path), "/tmp/cover-%d", (int)getpid());
	c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (c->fd < 0 || unlink(c->path) || ftruncate(c->fd, (off_t)c->length) ||
	    write(c->fd, text, sizeof(text)) != (ssize_t)sizeof(text))
		return -errno;
	return mmap(at_address(c->address), c->length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED, c->fd, 0) == MAP_FAILED ?
		       -errno :
		       0;
}

static void a_private_file_over_the_window_stays_its_owners(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct cover c = { .length = b->page };
	struct peer *p, *other;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "covered");
	other = peer_join(r, "other");
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

/* A userfaultfd that nobody reads from, on a range. */
static long register_range(struct cover *c)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range = { c->address, c->length }, .mode = c->mode };

	c->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (c->fd < 0 || ioctl(c->fd, UFFDIO_API, &api))
		return -ENOSYS;
	return ioctl(c->fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static long cover_with_userfaultfd(void *arg)
{
	struct cover *c = arg;

	if (mmap(at_address(c->address), c->length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return -errno;
	return register_range(c);
}

static long watch_the_window(void *arg)
{
	return register_range(arg);
}

/* Is there a fault that its handler has to answer? */
static long has_been_asked(void *arg)
{
	const struct cover *c = arg;
	struct pollfd ready = { .fd = c->fd, .events = POLLIN };

	return poll(&ready, 1, 0);
}

static void a_userfaultfd_range_over_the_window_is_not_touched(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct cover c = { .length = b->page, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct peer *p, *other;
	struct region *r;
	long err;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "covered");
	other = peer_join(r, "other");
	c.address = r->base;
	err = peer_call(p, cover_with_userfaultfd, &c, sizeof(c));
	if (err == -ENOSYS)
		skip_because("no userfaultfd");
	assert_ok(err);
	nobody_else_is_harmed(r, p, other);
	assert_int_equal(peer_call(p, has_been_asked, &c, sizeof(c)), 0);
	assert_int_equal(peer_present(p, r->base, b->page), 0);
	assert_ok(peer_detach(p));
	assert_true(region_until_clients(r, 1, 1000));
}

static void a_window_with_userfaultfd(void **state, uint64_t mode, bool may_map)
{
	const struct backing *b = param_of(state)->backing;
	struct cover c = { .length = b->capacity, .mode = mode };
	uint64_t start, size;
	struct peer *p, *other;
	struct region *r;
	long err;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "watched");
	other = peer_join(r, "other");
	c.address = r->base;
	err = peer_call(p, watch_the_window, &c, sizeof(c));
	if (err == -ENOSYS || err == -EINVAL)
		skip_because("this kernel's userfaultfd does not do that");
	assert_ok(err);
	size = region_size(r);
	if (may_map) {
		start = now_ms();
		grow_and_report(r, p, TIMEOUT_MS);
		assert_true(now_ms() - start < TIMEOUT_MS + DEADLINE_MS / 2);
	} else {
		nobody_else_is_harmed(r, p, other);
	}
	assert_int_equal(region_size(r), size + b->step);
	assert_int_equal(peer_write(other, r->base + size, b->step).minor, 0);
	/* Shrinking and leaving wait for no handler, either. */
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(peer_touch(other, r->base), SIGBUS);
	peer_kill(p);
	assert_true(region_until_clients(r, 1, 5000));
}

static void a_window_whose_missing_pages_wait_delays_nobody(void **state)
{
	a_window_with_userfaultfd(state, UFFDIO_REGISTER_MODE_MISSING, false);
}

static void a_window_whose_pages_are_write_protected_delays_nobody(void **state)
{
	a_window_with_userfaultfd(state, UFFDIO_REGISTER_MODE_WP, true);
}

#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR ((__u64)1 << 2)
#endif

static void a_window_whose_minor_faults_wait_delays_nobody(void **state)
{
	a_window_with_userfaultfd(state, UFFDIO_REGISTER_MODE_MINOR, false);
}

static long cover_with_path(void *arg)
{
	struct cover *c = arg;

	c->fd = open(c->path, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	return mmap(at_address(c->address), c->length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED, c->fd, 0) == MAP_FAILED ?
		       -errno :
		       0;
}

static long touch_cover(void *arg)
{
	const struct cover *c = arg;

	return touch(c->address, false);
}

static void a_page_that_never_comes_over_the_window_delays_nobody(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct cover c = { .length = b->page };
	struct peer *p, *other;
	struct silent_fs *fs;
	struct region *r;

	backing_needs(b, 2 * b->step);
	r = region_new(b, b->capacity);
	/* The peers first: they must not have the file system's device. */
	p = peer_join(r, "covered");
	other = peer_join(r, "other");
	fs = silent_fs_new(0);
	c.address = r->base;
	memcpy(c.path, fs->path, sizeof(c.path));
	assert_ok(peer_call(p, cover_with_path, &c, sizeof(c)));
	nobody_else_is_harmed(r, p, other);
	assert_int_equal(fs->asked, 0); /* a stranger's page is not asked for */

	/* And while the process waits in the middle of a fault. */
	peer_start(p, touch_cover, &c, sizeof(c));
	assert_true(silent_fs_asked(fs));
	assert_int_not_equal(others_are_served(r, p, other), PEERSHM_PEER_GONE);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	assert_int_equal(peer_touch(other, r->base), SIGBUS);
	kill(p->pid, SIGKILL);
	assert_true(region_until_clients(r, 1, DEADLINE_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(a_private_file_over_the_window_stays_its_owners),
		TEST_BACKINGS(a_userfaultfd_range_over_the_window_is_not_touched),
		TEST_BACKINGS(a_window_whose_missing_pages_wait_delays_nobody),
		TEST_BACKINGS(a_window_whose_pages_are_write_protected_delays_nobody),
		TEST_BACKINGS(a_window_whose_minor_faults_wait_delays_nobody),
		TEST_BACKINGS(a_page_that_never_comes_over_the_window_delays_nobody),
	};

	return test_run(tests);
}
