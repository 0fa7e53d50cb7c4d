/* SPDX-License-Identifier: GPL-2.0-only */
/* Mutexes, direct I/O, io_uring, debuggers: what works in other memory works in a region. */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <liburing.h>

#include "support/harness.h"

#define FILE_SIZE (1 * MIB)

/* A region with one step of memory, and this process as its client. */
static struct region *region_with_client(const struct backing *b)
{
	struct region *r = region_with(b, b->step, b->step);

	client_new(r, "test");
	return r;
}

static long make_robust_mutex(void *arg)
{
	pthread_mutex_t *mutex = at_address(*(uint64_t *)arg);
	pthread_mutexattr_t attributes;
	int err;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	err = pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -err;
}

static long lock_mutex(void *arg)
{
	pthread_mutex_t *mutex = at_address(*(uint64_t *)arg);
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 10;
	return -pthread_mutex_timedlock(mutex, &deadline);
}

static long mend_and_unlock_mutex(void *arg)
{
	pthread_mutex_t *mutex = at_address(*(uint64_t *)arg);
	int err = pthread_mutex_consistent(mutex);

	return err ? -err : -pthread_mutex_unlock(mutex);
}

static long unlock_mutex(void *arg)
{
	return -pthread_mutex_unlock(at_address(*(uint64_t *)arg));
}

CASES(robust_mutex_outlives_its_killed_owner, ALL_BACKINGS)
{
	struct region *r = region_with(b, b->step, b->step);
	struct peer *owner = peer_join(r, "owner"), *heir = peer_join(r, "heir");
	uint64_t mutex = r->base + 128;

	assert_ok(peer_call(owner, make_robust_mutex, &mutex, sizeof(mutex)));
	assert_ok(peer_call(owner, lock_mutex, &mutex, sizeof(mutex)));

	/* It may wait in the kernel when the owner dies, or come after that: both are right. */
	peer_start(heir, lock_mutex, &mutex, sizeof(mutex));
	peer_kill(owner);
	assert_error(peer_finish(heir, NULL, 0), -EOWNERDEAD);
	assert_ok(peer_call(heir, mend_and_unlock_mutex, &mutex, sizeof(mutex)));
	assert_ok(peer_call(heir, lock_mutex, &mutex, sizeof(mutex)));
	assert_ok(peer_call(heir, unlock_mutex, &mutex, sizeof(mutex)));
}

static long futex_wait(void *arg)
{
	const struct timespec deadline = { .tv_sec = 20 };

	if (syscall(SYS_futex, at_address(*(uint64_t *)arg), FUTEX_WAIT, 0, &deadline, NULL, 0))
		return -errno;
	return 0;
}

static bool futex_woke_one(void *arg)
{
	return syscall(SYS_futex, arg, FUTEX_WAKE, 1, NULL, NULL, 0) == 1;
}

CASES(shared_futex_wakes_a_waiter_in_another_process, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	struct peer *waiter = peer_join(r, "waiter");
	uint64_t word = r->base + 256;

	peer_start(waiter, futex_wait, &word, sizeof(word));
	assert_true(test_until(futex_woke_one, at_address(word), 10000));
	assert_ok(peer_finish(waiter, NULL, 0));
}

static void remove_file(void *path)
{
	unlink(path);
}

/* A file of known contents, opened with O_DIRECT: in the first directory where that is possible. */
static int direct_file(void)
{
	static const char *const directories[] = { "/var/tmp", "/root", "/tmp", "." };
	static char path[128], block[64 * KIB];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/peershm-test-%d", directories[i], (int)getpid());
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0)
			continue;
		for (size_t at = 0; at < FILE_SIZE; at += sizeof(block)) {
			for (size_t j = 0; j < sizeof(block); j++)
				block[j] = (char)((at + j) / 512 + j);
			assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
		}
		assert_int_equal(fsync(fd), 0);
		close(fd);
		fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd >= 0) {
			test_cleanup(remove_file, path);
			return fd;
		}
		unlink(path);
	}
	skip_because("no file system that has O_DIRECT");
	return -1;
}

static bool holds_the_file(uint64_t address)
{
	const char *bytes = at_address(address);

	for (size_t at = 0; at < FILE_SIZE; at++) {
		if (bytes[at] != (char)(at / 512 + at % (64 * KIB)))
			return false;
	}
	return true;
}

CASES(direct_read_into_the_region_is_seen_by_a_peer, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	struct peer *peer = peer_join(r, "peer");
	int fd = direct_file();

	assert_int_equal(pread(fd, at_address(r->base), FILE_SIZE, 0), FILE_SIZE);
	close(fd);
	assert_true(holds_the_file(r->base));
	assert_int_equal(peer_load(peer, r->base + SYSTEM_PAGE),
			 *(uint64_t *)at_address(r->base + SYSTEM_PAGE));
}

CASES(direct_write_from_the_region_reaches_the_file, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	int fd = direct_file();

	memset(at_address(r->base), 0x77, FILE_SIZE);
	assert_int_equal(pwrite(fd, at_address(r->base), FILE_SIZE, 0), FILE_SIZE);
	memset(at_address(r->base), 0, FILE_SIZE);
	assert_int_equal(pread(fd, at_address(r->base), FILE_SIZE, 0), FILE_SIZE);
	close(fd);
	assert_int_equal(*(uint64_t *)at_address(r->base + FILE_SIZE - 8), 0x7777777777777777);
}

/* The first bytes of the region as a buffer that is registered with an io_uring. */
static struct iovec register_buffer(struct io_uring *ring, const struct region *r)
{
	struct iovec buffer = { at_address(r->base), FILE_SIZE };
	int err = io_uring_queue_init(4, ring, 0);

	if (err == -ENOSYS || err == -EPERM)
		skip_because("no io_uring: %s", strerror(-err));
	assert_ok(err);
	assert_ok(io_uring_register_buffers(ring, &buffer, 1));
	return buffer;
}

static void unregister_buffer(struct io_uring *ring)
{
	assert_ok(io_uring_unregister_buffers(ring));
	io_uring_queue_exit(ring);
}

CASES(io_uring_fixed_buffer_in_the_region_is_read_into, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	struct io_uring ring;
	struct iovec buffer = register_buffer(&ring, r);
	int fd = direct_file();
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	sqe = io_uring_get_sqe(&ring);
	assert_non_null(sqe);
	io_uring_prep_read_fixed(sqe, fd, buffer.iov_base, FILE_SIZE, 0, 0);
	assert_int_equal(io_uring_submit(&ring), 1);
	assert_ok(io_uring_wait_cqe(&ring, &cqe));
	assert_int_equal(cqe->res, FILE_SIZE);
	io_uring_cqe_seen(&ring, cqe);
	assert_true(holds_the_file(r->base));
	unregister_buffer(&ring);
	close(fd);
}

/* A shrink that is forced must neither wait for pages that are pinned for I/O, nor free them. */
CASES(shrink_under_a_registered_buffer_does_no_harm, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	struct io_uring ring;

	register_buffer(&ring, r);
	memset(at_address(r->base), 0x55, FILE_SIZE);
	assert_ok(do_shrink_flags(r->fd, r->id, PEERSHM_SHRINK_FORCE, 0, NULL));
	/* As long as it is pinned, a huge page is not back in the pool. */
	if (backing_is_hugetlb(b))
		unregister_buffer(&ring);
	assert_ok(do_grow(r->fd, r->id, b->step, NULL));
	if (!backing_is_hugetlb(b))
		unregister_buffer(&ring);
	assert_int_equal(*(uint64_t *)at_address(r->base), 0);
}

CASES(vmsplice_sends_memory_of_the_region, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	struct iovec part = { at_address(r->base + 100), 5000 };
	char got[5000];
	int ends[2];

	for (size_t i = 0; i < part.iov_len; i++)
		((char *)part.iov_base)[i] = (char)(i * 7);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(vmsplice(ends[1], &part, 1, 0), part.iov_len);
	memset(got, POISON, sizeof(got));
	for (size_t have = 0; have < sizeof(got);) {
		ssize_t n = read(ends[0], got + have, sizeof(got) - have);

		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(got, part.iov_base, sizeof(got));
	close(ends[0]);
	close(ends[1]);
}

CASES(a_debugger_reads_and_writes_memory_of_the_region, ALL_BACKINGS)
{
	uint64_t word = 0, new_word = 0xabcdef;
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join(r, "debugged");
	char path[64];
	int fd;

	peer_store(p, r->base + 512, 0x123456);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)p->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &word, sizeof(word), (off_t)(r->base + 512)), sizeof(word));
	assert_int_equal(word, 0x123456);
	assert_int_equal(pwrite(fd, &new_word, sizeof(word), (off_t)(r->base + 512)), sizeof(word));
	assert_int_equal(peer_load(p, r->base + 512), 0xabcdef);
	/* Beyond the size a debugger finds nothing, either. */
	assert_true(pread(fd, &word, sizeof(word), (off_t)(r->base + b->step)) < 0);
	close(fd);
}

CASES(another_process_reads_memory_of_the_region_by_process_vm_readv, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	struct peer *p = peer_join(r, "read");
	uint64_t word = 0;
	struct iovec here = { &word, sizeof(word) };
	struct iovec there = { at_address(r->base + 1024), sizeof(word) };

	*(uint64_t *)at_address(r->base + 1024) = 0x654321;
	assert_int_equal(process_vm_readv(p->pid, &here, 1, &there, 1, 0), sizeof(word));
	assert_int_equal(word, 0x654321);
}

CASES(system_calls_read_and_write_the_region, ALL_BACKINGS)
{
	struct region *r = region_with_client(b);
	char *memory = at_address(r->base);
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	memset(memory, 0x31, SYSTEM_PAGE);
	assert_int_equal(write(ends[1], memory, SYSTEM_PAGE), SYSTEM_PAGE);
	assert_int_equal(read(ends[0], memory + 2 * SYSTEM_PAGE, SYSTEM_PAGE), SYSTEM_PAGE);
	assert_memory_equal(memory, memory + 2 * SYSTEM_PAGE, SYSTEM_PAGE);
	/* An address beyond the size is a bad pointer. */
	assert_int_equal(write(ends[1], memory + r->backing->step, SYSTEM_PAGE), -1);
	assert_int_equal(errno, EFAULT);
	close(ends[0]);
	close(ends[1]);
}

CASES(maps_shows_the_name_of_the_region, ALL_BACKINGS)
{
	struct region *r = region_new(b, b->capacity);
	bool seen = false;
	char line[512];
	FILE *f;

	client_new(r, "test");
	f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long start;

		if (sscanf(line, "%llx-", &start) == 1 && start == r->base)
			seen = strstr(line, r->name);
	}
	fclose(f);
	assert_true(seen);
}
