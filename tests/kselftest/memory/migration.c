/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of a region move to other places in memory while clients write to them. */
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"
#include "support/place.h"

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
 * No round begins after this long. For a page that moves, all CPUs wait for each other, for every
 * process that has it mapped: if they share one CPU of the host, for a time slice each time.
 */
#define ROUNDS_MS 20000

static struct fixture fixture;

static struct fixture *setup(const struct backing *b)
{
	struct fixture *f = &fixture;

	/* Pages that move need as much again. */
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

/* The contents are what they were, and a peer map brings every page into every client. */
static void all_is_well(const struct fixture *f)
{
	struct peershm_peer_map m;

	assert_ok(do_peer_map(f->region->fd, f->region->id, &m));
	assert_int_equal(m.report.mapped, WRITERS);
	for (int i = 0; i < WRITERS; i++) {
		peer_check(f->writers[i], f->region->base, f->length, SEED);
		peer_has_all(f->writers[i], f->region->base, f->length);
	}
	region_grow(f->region, f->region->backing->page);
	peer_check(f->writers[1], f->region->base, f->length, SEED);
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
	/* A page that was moved is in no page table until somebody touches it. */
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

CASES(pages_migrate_between_nodes_under_writers, UP_TO_2M)
{
	uint64_t end, moved = 0;
	struct fixture *f;
	int nodes[2];

	two_nodes(nodes);
	f = setup(b);
	load_start(f->writers, WRITERS, f->region->base, f->length);
	end = now_ms() + ROUNDS_MS;
	for (unsigned int i = 0; i < 2 || (i < test_scale(20) + 1 && now_ms() < end); i++) {
		moved += migrate(f, nodes[i % 2], nodes[!(i % 2)]);
		load_goes_on();
	}
	load_stop();
	assert_true(moved > 0);
	/* While nobody writes, every page can be moved. */
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

/* The node of a page of the process; it is first moved to node `to` if that is not NULL. */
static int page_node(pid_t pid, uint64_t address, const int *to)
{
	void *page = at_address(address);
	int status = -1;

	if (syscall(SYS_move_pages, pid, 1UL, &page, to, &status, to ? MPOL_MF_MOVE_ALL : 0) < 0)
		return -errno;
	return status;
}

/*
 * In a peer that is no client: move pages of the region one by one. A page that is gone by now, or
 * is in use at that moment, is no error; it is one if no page can be moved for long.
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

CASES(pages_move_while_the_region_grows_and_shrinks, UP_TO_2M)
{
	struct moving m = { .rounds = 2 * test_scale(10) };
	struct peer *mover;
	struct fixture *f;
	uint64_t half;

	two_nodes(m.nodes);
	f = setup(b);
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

/* Leave holes between the pages of the region: compaction closes them. */
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

CASES(memory_is_compacted_under_writers, UP_TO_2M)
{
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
	before = page_entries(c->at.base, f->length);
	load_start(f->writers, WRITERS, f->region->base, f->length);
	end = now_ms() + ROUNDS_MS;
	for (unsigned int i = 0; i < 1 || (i < test_scale(10) && now_ms() < end); i++) {
		assert_ok(file_write("/proc/sys/vm/compact_memory", "1"));
		load_goes_on();
	}
	load_stop();
	after = page_entries(c->at.base, f->length);
	for (uint64_t i = 0; i < f->length / SYSTEM_PAGE; i++)
		moved += before[i] != after[i] ? SYSTEM_PAGE : 0;
	free(before);
	free(after);
	print_message("# %llu of %llu KiB have moved\n", (unsigned long long)(moved / KIB),
		      (unsigned long long)(f->length / KIB));
	client_leave(c);
	all_is_well(f);
}
