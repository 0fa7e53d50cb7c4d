/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of a region move to other places in memory while clients write to them. */
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"

#define SEED 0x319e
#define WRITERS 2

/* Not in the C library's headers; libnuma has them. */
#define MPOL_MF_MOVE_ALL (1 << 2)

/* A region that two clients write to without a pause. */
struct fixture {
	struct region *region;
	struct peer *writers[WRITERS];
	uint64_t length;
};

/*
 * As long as rounds are begun. A page that moves waits for the other CPU, for each process that
 * has it mapped: on a machine whose CPUs share one, for a time slice of its host each time.
 */
#define ROUNDS_MS 20000

static struct fixture fixture;

static struct fixture *setup(const struct backing *b)
{
	struct fixture *f = &fixture;

	/* As much again for the pages that move. */
	backing_needs(b, 2 * b->step);
	memset(f, 0, sizeof(*f));
	f->length = load_length(b);
	f->region = region_new(b, b->capacity);
	load_prepare();
	f->writers[0] = peer_join(f->region, "first");
	f->writers[1] = peer_join(f->region, "second");
	region_grow(f->region, f->length);
	peer_fill(f->writers[0], f->region->base, f->length, SEED);
	return f;
}

/* All is as it was, and every page can be had in every client again. */
static void all_is_well(const struct fixture *f)
{
	struct peershm_peer_map m;
	struct faults faults;

	assert_ok(do_peer_map(f->region->fd, f->region->id, &m));
	assert_int_equal(m.report.mapped, WRITERS);
	for (int i = 0; i < WRITERS; i++) {
		peer_check(f->writers[i], f->region->base, f->length, SEED);
		assert_int_equal(peer_present(f->writers[i], f->region->base, f->length),
				 f->length);
		faults = peer_write(f->writers[i], f->region->base, f->length);
		assert_int_equal(faults.minor + faults.major, 0);
	}
	region_grow(f->region, f->region->backing->page);
	peer_check(f->writers[1], f->region->base, f->length, SEED);
}

/* The first two nodes with memory; skips if there is one alone. */
static void two_nodes(int nodes[2])
{
	FILE *f = fopen("/sys/devices/system/node/has_memory", "re");

	if (!f)
		skip_because("this kernel has no NUMA");
	if (fscanf(f, "%d%*[-,]%d", &nodes[0], &nodes[1]) != 2) {
		fclose(f);
		skip_because("this machine has one NUMA node with memory, two are needed");
	}
	fclose(f);
}

/* How much of the range is on that node, as one of its clients sees it. */
static uint64_t bytes_on(const struct fixture *f, int node)
{
	uint64_t n = f->length / SYSTEM_PAGE, bytes = 0;
	void **pages = calloc(n, sizeof(*pages));
	int *status = calloc(n, sizeof(*status));
	long err;

	assert_non_null(pages);
	assert_non_null(status);
	/* A page that moved may be in none of the page tables until somebody wants it. */
	assert_ok(do_peer_map(f->region->fd, f->region->id, NULL));
	for (uint64_t i = 0; i < n; i++)
		pages[i] = at_address(f->region->base + i * SYSTEM_PAGE);
	err = syscall(SYS_move_pages, f->writers[0]->pid, n, pages, NULL, status, 0);
	for (uint64_t i = 0; i < n && !err; i++)
		bytes += status[i] == node ? SYSTEM_PAGE : 0;
	free(pages);
	free(status);
	assert_int_equal(err, 0);
	return bytes;
}

/* All pages of a client from one node to the other; how many bytes are there then. */
static uint64_t migrate(const struct fixture *f, int from, int to)
{
	unsigned long old = 1UL << from, new = 1UL << to;
	long left = syscall(SYS_migrate_pages, f->writers[0]->pid, sizeof(old) * 8, &old, &new);

	assert_true(left >= 0);
	return bytes_on(f, to);
}

static void pages_migrate_between_nodes_under_writers(void **state)
{
	uint64_t end, moved = 0;
	struct fixture *f;
	int nodes[2];

	two_nodes(nodes);
	f = setup(param_of(state)->backing);
	load_start(f->writers, WRITERS, f->region->base, f->length);
	end = now_ms() + ROUNDS_MS;
	for (unsigned int i = 0; i < 2 || (i < test_scale(20) + 1 && now_ms() < end); i++) {
		moved += migrate(f, nodes[i % 2], nodes[!(i % 2)]);
		load_goes_on();
	}
	load_stop();
	assert_true(moved > 0);
	/* With nobody writing, every page follows. */
	migrate(f, nodes[0], nodes[1]);
	assert_int_equal(bytes_on(f, nodes[1]), f->length);
	migrate(f, nodes[1], nodes[0]);
	assert_int_equal(bytes_on(f, nodes[0]), f->length);
	all_is_well(f);
}

struct moving {
	pid_t pid;
	uint64_t base, length, step;
	int nodes[2];
	unsigned int rounds;
	uint64_t moved; /* out */
};

/* Where a page of that process is, or is to go with `to`; the node it is on then. */
static int page_node(pid_t pid, uint64_t address, const int *to)
{
	void *page = at_address(address);
	int status = -1;

	if (syscall(SYS_move_pages, pid, 1UL, &page, to, &status, to ? MPOL_MF_MOVE_ALL : 0) < 0)
		return -errno;
	return status;
}

/*
 * Page by page, for a process that has no part in the region. One that is gone by now, or that
 * somebody uses right then, is no error; that no page can be moved for long is.
 */
static long move_pages(void *arg)
{
	const uint64_t end = now_ms() + DEADLINE_MS;
	struct moving *m = arg;

	for (unsigned int i = 0; (i < m->rounds || !m->moved) && now_ms() < end; i++) {
		int from = m->nodes[!(i % 2)], to = m->nodes[i % 2];

		for (uint64_t at = m->base; at < m->base + m->length; at += m->step) {
			if (page_node(m->pid, at, NULL) == from)
				m->moved += page_node(m->pid, at, &to) == to;
		}
	}
	return 0;
}

static void pages_move_while_the_region_grows_and_shrinks(void **state)
{
	struct moving m = { .rounds = 2 * test_scale(10) };
	struct peer *mover;
	struct fixture *f;
	uint64_t half;

	two_nodes(m.nodes);
	f = setup(param_of(state)->backing);
	half = f->length;
	backing_needs(f->region->backing, 2 * half);
	mover = peer_new();
	m.pid = f->writers[0]->pid;
	m.base = f->region->base;
	m.length = 2 * half;
	m.step = half / 16 > SYSTEM_PAGE ? half / 16 : SYSTEM_PAGE;
	load_start(f->writers, WRITERS, f->region->base, half);
	peer_start(mover, move_pages, &m, sizeof(m));
	for (;;) {
		long result;

		region_grow(f->region, half);
		assert_ok(do_shrink(f->region->fd, f->region->id, half, NULL));
		result = peer_finish_within(mover, &m, sizeof(m), 1);
		if (result == -ETIMEDOUT)
			continue;
		assert_ok(result);
		break;
	}
	load_goes_on();
	load_stop();
	assert_true(m.moved > 0);
	all_is_well(f);
}

/* Holes between the region's pages: what compaction is for. */
static void make_holes(const struct fixture *f)
{
	const struct backing *b = f->region->backing;
	struct region *other = region_new(b, b->capacity);
	uint64_t part = b->page > 64 * KIB ? b->page : 64 * KIB;

	for (uint64_t i = 0; i < f->length; i += part) {
		region_grow(f->region, part);
		region_grow(other, part);
	}
	assert_ok(do_unlink(other->fd, other->name));
}

/* The frames of a range, for a process that may see them. */
static uint64_t *frames_of(uint64_t base, uint64_t length)
{
	size_t n = length / SYSTEM_PAGE;
	uint64_t *frames = calloc(n, sizeof(*frames));
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_non_null(frames);
	assert_true(fd >= 0);
	for (uint64_t at = 0; at < length; at += SYSTEM_PAGE)
		(void)*(volatile char *)at_address(base + at);
	assert_int_equal(pread(fd, frames, n * 8, (off_t)(base / SYSTEM_PAGE * 8)), n * 8);
	close(fd);
	return frames;
}

static void memory_is_compacted_under_writers(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t *before, *after, end, moved = 0;
	struct client *c;
	struct fixture *f;

	if (access("/proc/sys/vm/compact_memory", W_OK) != 0)
		skip_because("this kernel does not compact memory (CONFIG_COMPACTION)");
	backing_needs(b, 4 * b->step);
	f = setup(b);
	c = client_new(f->region, "frames");
	make_holes(f);
	f->length *= 2;
	peer_fill(f->writers[0], f->region->base, f->length, SEED);
	before = frames_of(c->at.base, f->length);
	load_start(f->writers, WRITERS, f->region->base, f->length);
	end = now_ms() + ROUNDS_MS;
	for (unsigned int i = 0; i < 1 || (i < test_scale(10) && now_ms() < end); i++) {
		assert_ok(file_write("/proc/sys/vm/compact_memory", "1"));
		load_goes_on();
	}
	load_stop();
	after = frames_of(c->at.base, f->length);
	for (uint64_t i = 0; i < f->length / SYSTEM_PAGE; i++)
		moved += before[i] != after[i] ? SYSTEM_PAGE : 0;
	free(before);
	free(after);
	print_message("# %llu of %llu KiB have moved\n", (unsigned long long)(moved / KIB),
		      (unsigned long long)(f->length / KIB));
	client_leave(c);
	all_is_well(f);
}

int main(void)
{
#define TEST_MIGRATED(f)                                                                      \
	TEST_CASE(#f "_small", f, PEERSHM_SMALL, 0), TEST_CASE(#f "_thp", f, PEERSHM_THP, 0), \
		TEST_CASE(#f "_hugetlb_2m", f, PEERSHM_HUGETLB_2M, 0)
	const struct CMUnitTest tests[] = {
		TEST_MIGRATED(pages_migrate_between_nodes_under_writers),
		TEST_MIGRATED(pages_move_while_the_region_grows_and_shrinks),
		TEST_MIGRATED(memory_is_compacted_under_writers),
	};

	return test_run(tests);
}
