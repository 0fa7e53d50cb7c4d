/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows that are covered by, or are made into, memory that waits for its user: nobody
 * else waits for it.
 */
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/harness.h"

/* A grow waits for nobody longer than this, and what else it does is quick. */
#define TIMEOUT_MS 200

static struct peershm_peer grow_and_report(const struct region *r, const struct peer *p,
					   uint64_t *took_ms)
{
	struct peershm_peer peers[8];
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = r->backing->step };
	uint64_t before = now_ms();

	memset(peers, POISON, sizeof(peers));
	g.report.peers = (uintptr_t)peers;
	g.report.nr_peers = 8;
	g.report.timeout_ms = TIMEOUT_MS;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	*took_ms = now_ms() - before;
	for (uint32_t i = 0; i < g.report.nr_peers; i++) {
		if (peers[i].client == p->at.client)
			return peers[i];
	}
	fail_msg("no record of the client");
	return peers[0];
}

/*
 * The others have the memory, the region the size; and it was not waited for long. Gives
 * what was said of the odd one.
 */
static uint32_t others_are_served(const struct region *r, struct peer *odd, struct peer *other)
{
	const struct backing *b = r->backing;
	uint64_t size = region_size(r), took_ms;
	struct peershm_peer record = grow_and_report(r, odd, &took_ms);

	assert_true(took_ms < TIMEOUT_MS + DEADLINE_MS / 2);
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
	uint64_t took_ms, size;
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
		grow_and_report(r, p, &took_ms);
		assert_true(took_ms < TIMEOUT_MS + DEADLINE_MS / 2);
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

/*
 * A file system of one file, whose contents never come. It answers what it takes
 * to open the file, and keeps silent when it is read.
 */
#define FILE_NODE 2

struct silent_fs {
	int device;
	char mountpoint[64];
	int asked; /* how often it was read, which it leaves unanswered */
};

static void answer(int device, uint64_t unique, int error, const void *data, size_t size)
{
	char buffer[512];
	struct fuse_out_header out = { .error = error, .unique = unique };

	out.len = (uint32_t)(sizeof(out) + size);
	memcpy(buffer, &out, sizeof(out));
	if (size)
		memcpy(buffer + sizeof(out), data, size);
	if (write(device, buffer, out.len) < 0)
		return; /* nobody waits for it any more */
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_NODE ? 1 << 30 : 0,
		.mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void serve_request(struct silent_fs *fs, const struct fuse_in_header *in)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
					     .minor = 31,
					     /* who waits for what is read ahead can be killed */
					     .max_readahead = 1 << 17,
					     .flags = FUSE_ASYNC_READ,
					     .max_write = 4096 };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = { .nodeid = FILE_NODE,
					      .entry_valid = 1000,
					      .attr_valid = 1000,
					      .attr = attributes(FILE_NODE) };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr_valid = 1000, .attr = attributes(in->nodeid) };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = { .fh = 1 };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ:
		__atomic_add_fetch(&fs->asked, 1, __ATOMIC_RELEASE);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(fs->device, in->unique, -ENOSYS, NULL, 0);
	}
}

static void *serve_silently(void *arg)
{
	struct silent_fs *fs = arg;
	static char request[1 << 17];

	while (read(fs->device, request, sizeof(request)) > 0)
		serve_request(fs, (const struct fuse_in_header *)request);
	return NULL;
}

static void unmount(void *arg)
{
	struct silent_fs *fs = arg;

	/* Whoever still waits for an answer gets an error. */
	umount2(fs->mountpoint, MNT_FORCE | MNT_DETACH);
	rmdir(fs->mountpoint);
	close(fs->device);
}

static struct silent_fs *silent_fs_new(void)
{
	static struct silent_fs fs;
	pthread_t thread;
	char options[96];

	memset(&fs, 0, sizeof(fs));
	fs.device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fs.device < 0)
		skip_because("no /dev/fuse");
	snprintf(fs.mountpoint, sizeof(fs.mountpoint), "/tmp/silent-%d", (int)getpid());
	assert_int_equal(mkdir(fs.mountpoint, 0700), 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fs.device);
	assert_int_equal(mount("silent", fs.mountpoint, "fuse", 0, options), 0);
	test_cleanup(unmount, &fs);
	assert_int_equal(pthread_create(&thread, NULL, serve_silently, &fs), 0);
	pthread_detach(thread);
	return &fs;
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

static bool was_asked(void *arg)
{
	return __atomic_load_n((int *)arg, __ATOMIC_ACQUIRE) > 0;
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
	fs = silent_fs_new();
	c.address = r->base;
	snprintf(c.path, sizeof(c.path), "%.40s/file", fs->mountpoint);
	assert_ok(peer_call(p, cover_with_path, &c, sizeof(c)));
	nobody_else_is_harmed(r, p, other);
	assert_int_equal(fs->asked, 0); /* a stranger's page is not asked for */

	/* And while the process waits in the middle of a fault. */
	peer_start(p, touch_cover, &c, sizeof(c));
	assert_true(test_until(was_asked, &fs->asked, DEADLINE_MS));
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
