/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that was swapped out comes back as it was: by a touch, a peer map or an attach. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"

#define SEED 0x5a17

/* Of the whole program: its cases, which have a process each, use one file. */
static char swap_path[64];

static void swap_end(void *arg)
{
	(void)arg;
	peers_end();
	regions_end();
	swapoff(swap_path);
}

/*
 * A file without holes, with the header that swapon(8) looks for. One for all tests, as it takes
 * long to write.
 */
static void swap_create(uint64_t bytes)
{
	static const char signature[10] = "SWAPSPACE2"; /* no NUL */
	uint32_t version[3] = { 1, (uint32_t)(bytes / SYSTEM_PAGE) - 1, 0 };
	char *page = calloc(1, SYSTEM_PAGE);
	int fd;

	assert_non_null(page);
	unlink(swap_path);
	fd = open(swap_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	memcpy(page + 1024, version, sizeof(version));
	memcpy(page + SYSTEM_PAGE - sizeof(signature), signature, sizeof(signature));
	for (uint64_t at = 0; at < bytes; at += SYSTEM_PAGE) {
		ssize_t n = write(fd, page, SYSTEM_PAGE);

		if (n < 0 && errno == ENOSPC)
			skip_because("no room for %llu MiB of swap space in /var/tmp",
				     (unsigned long long)(bytes / MIB));
		assert_int_equal(n, SYSTEM_PAGE);
		if (!at)
			memset(page, 0, SYSTEM_PAGE);
	}
	free(page);
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

static void swap_begin(uint64_t bytes)
{
	struct stat file;
	int err;

	/* It may still be in use, if memory was short when the last test ended. */
	swapoff(swap_path);
	if (stat(swap_path, &file) || (uint64_t)file.st_size < bytes)
		swap_create(bytes);
	test_cleanup(swap_end, NULL);
	err = swapon(swap_path, 0) ? errno : 0;
	if (err == ENOSYS)
		skip_because("this kernel cannot swap");
	if (err == EINVAL)
		skip_because("/var/tmp is on no disk that takes a swap file");
	assert_int_equal(err, 0);
}

/* A region that one of two clients grew, in a memory cgroup that may swap. */
struct fixture {
	struct region *region;
	struct peer *grower, *other;
	const char *memcg;
	uint64_t length;
};

static struct fixture fixture;

static long memcg_number(const char *memcg, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", memcg, file);
	return file_number(path);
}

static struct fixture *setup(const struct backing *b)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	f->length = b->step;
	swap_begin(3 * f->length);
	f->memcg = memcg_new(8 * f->length);
	if (memcg_number(f->memcg, "memory.swap.current") < 0)
		skip_because("memory cgroups do not count swap space here");
	memcg_set(f->memcg, "memory.swap.max", "max");
	f->region = region_new(b, b->capacity);
	f->grower = peer_join(f->region, "grower");
	f->other = peer_join(f->region, "other");
	cgroup_join(f->memcg, f->grower->pid);
	assert_ok(peer_grow(f->grower, f->length));
	peer_fill(f->other, f->region->base, f->length, SEED);
	return f;
}

/* Have the kernel swap out all it can of the group's memory, most of which is the region's. */
static void swap_out(const struct fixture *f)
{
	uint64_t base = f->region->base;
	long swapped = 0;

	for (int i = 0; i < 20 && swapped < (long)(f->length * 3 / 4); i++) {
		memcg_set(f->memcg, "memory.high", "0");
		memcg_set(f->memcg, "memory.high", "max");
		swapped = memcg_number(f->memcg, "memory.swap.current");
	}
	print_message("# %ld of %llu KiB are swapped out\n", swapped / 1024,
		      (unsigned long long)(f->length / KIB));
	assert_true(swapped >= (long)(f->length * 3 / 4));
	assert_true(peer_present(f->grower, base, f->length) <= f->length / 4);
	assert_true(peer_present(f->other, base, f->length) <= f->length / 4);
}

CASES(memory_swapped_out_is_read_as_it_was, TMPFS)
{
	struct fixture *f = setup(b);

	swap_out(f);
	peer_check(f->other, f->region->base, f->length, SEED);
	peer_check(f->grower, f->region->base, f->length, SEED);
	assert_int_equal(region_size(f->region), f->length);
	/* Once more, with other contents. */
	peer_fill(f->grower, f->region->base, f->length, SEED + 1);
	swap_out(f);
	peer_check(f->other, f->region->base, f->length, SEED + 1);
}

CASES(peer_map_brings_swapped_memory_back, TMPFS)
{
	struct fixture *f = setup(b);
	struct peer *peers[] = { f->grower, f->other };
	struct peershm_peer_map m;

	swap_out(f);
	assert_ok(do_peer_map(f->region->fd, f->region->id, &m));
	assert_int_equal(m.report.mapped, 2);
	assert_int_equal(m.report.partial + m.report.deferred + m.report.gone, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(peer_present(peers[i], f->region->base, f->length), f->length);
		peer_check(peers[i], f->region->base, f->length, SEED);
		peer_has_all(peers[i], f->region->base, f->length);
	}
}

CASES(attach_brings_swapped_memory_back, TMPFS)
{
	struct fixture *f = setup(b);
	struct peer *late;

	swap_out(f);
	late = peer_join(f->region, "late");
	assert_int_equal(peer_present(late, f->region->base, f->length), f->length);
	peer_check(late, f->region->base, f->length, SEED);
}

/* Some of the grower's own memory, such as its stack, may stay swapped out. */
static bool holds_no_swap(void *arg)
{
	return memcg_number(arg, "memory.swap.current") <= (long)MIB;
}

CASES(swapped_memory_that_is_shrunk_away_is_gone, TMPFS)
{
	struct fixture *f = setup(b);
	uint64_t base = f->region->base, left = b->page;

	swap_out(f);
	assert_ok(do_shrink(f->region->fd, f->region->id, left, NULL));
	peer_check(f->other, base, left, SEED);
	if (left < f->length)
		assert_int_equal(peer_touch(f->other, base + left), SIGBUS);
	assert_ok(do_shrink(f->region->fd, f->region->id, 0, NULL));
	assert_int_equal(peer_touch(f->other, base), SIGBUS);
	assert_true(test_until(holds_no_swap, (void *)f->memcg, DEADLINE_MS));
	region_grow(f->region, f->length);
	assert_true(peer_all_zero(f->other, base, f->length));
}

CASES(a_grow_swaps_older_memory_out_rather_than_fail, TMPFS)
{
	struct fixture *f = setup(b);
	uint64_t base = f->region->base;
	char limit[32];

	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)(f->length * 3 / 2));
	memcg_set(f->memcg, "memory.max", limit);
	assert_ok(peer_grow(f->grower, f->length));
	assert_true(memcg_number(f->memcg, "memory.swap.current") > 0);
	assert_int_equal(memcg_event(f->memcg, "oom_kill"), 0);
	assert_true(peer_all_zero(f->other, base + f->length, f->length));
	peer_check(f->other, base, f->length, SEED);
}

int main(void)
{
	int failed;

	snprintf(swap_path, sizeof(swap_path), "/var/tmp/peershm-swap-%d", (int)getpid());
	failed = cases_run();
	unlink(swap_path);
	return failed;
}
