/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUs and blocks of memory go offline while clients write to a region, and come back. */
#include <linux/mempolicy.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"
#include "support/place.h"

#define SEED 0xb07
#define WRITERS 2
#define BLOCKS "/sys/devices/system/memory"
#define MAX_BLOCKS 64

struct resizing {
	uint64_t length, size;
	unsigned int rounds;
};

static long grow_and_shrink(void *arg)
{
	const struct resizing *r = arg;

	for (unsigned int i = 0; i < r->rounds; i++) {
		struct peershm_peer_map m;
		long err = do_grow(self.fd, 0, r->length, NULL);

		if (!err)
			err = do_peer_map(self.fd, 0, &m);
		if (!err && m.report.mapped != m.report.nr_peers)
			err = -EPROTO;
		if (!err)
			err = do_shrink(self.fd, 0, r->size, NULL);
		if (err)
			return err;
	}
	return 0;
}

static void cpu_path(char path[64], int cpu)
{
	snprintf(path, 64, "/sys/devices/system/cpu/cpu%d/online", cpu);
}

static void all_cpus_on(void *arg)
{
	char path[64];

	(void)arg;
	for (int cpu = 0; cpu < 64; cpu++) {
		cpu_path(path, cpu);
		if (file_number(path) == 0)
			file_write(path, "1");
	}
}

CASES(cpus_go_and_come_while_it_grows_and_shrinks, UP_TO_2M)
{
	struct resizing resizing = { b->page, b->step, test_scale(200) };
	unsigned int switched = 0;
	struct peer *peers[WRITERS], *grower;
	struct region *r;
	char path[64];
	long result;
	int cpu;

	for (cpu = 63; cpu > 0; cpu--) {
		cpu_path(path, cpu);
		if (file_number(path) == 1)
			break;
	}
	if (!cpu)
		skip_because("no CPU of this machine can be taken offline");
	backing_needs(b, b->step + b->page);
	r = region_new(b, 2 * b->capacity);
	load_prepare();
	test_cleanup(all_cpus_on, NULL);
	peers_join(r, peers, WRITERS);
	grower = peer_join(r, "grower");
	region_grow(r, b->step);
	peer_fill(peers[0], r->base, b->step, SEED);
	load_start(peers, WRITERS, r->base, b->step);
	peer_start(grower, grow_and_shrink, &resizing, sizeof(resizing));
	do {
		/* The last CPU that can be taken offline goes, and comes back. */
		assert_ok(file_write(path, switched++ % 2 ? "1" : "0"));
		result = peer_finish_within(grower, NULL, 0, 20);
	} while (result == -ETIMEDOUT && switched < 10000);
	all_cpus_on(NULL);
	print_message("# %u times\n", switched);
	assert_ok(result);
	load_goes_on();
	load_stop();
	for (int i = 0; i < WRITERS; i++)
		peer_check(peers[i], r->base, b->step, SEED);
	assert_int_equal(region_size(r), b->step);
}

/* A block of memory, and whether only movable pages may be in it. */
struct block {
	uint64_t number;
	bool movable, off;
};

static struct block blocks[MAX_BLOCKS];
static unsigned int nr_blocks;

static void block_path(char path[96], const struct block *b, const char *file)
{
	snprintf(path, 96, BLOCKS "/memory%llu/%s", (unsigned long long)b->number, file);
}

static void block_on(struct block *b)
{
	char path[96];

	if (!b->off)
		return;
	block_path(path, b, "state");
	if (file_write(path, b->movable ? "online_movable" : "online"))
		print_error("%s: it is not online again\n", path);
	b->off = false;
}

static void all_blocks_on(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < nr_blocks; i++)
		block_on(&blocks[i]);
}

static uint64_t block_size(void)
{
	unsigned long long size = 0;
	FILE *f = fopen(BLOCKS "/block_size_bytes", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llx", &size) != 1)
		size = 0;
	fclose(f);
	return size;
}

/*
 * Find the blocks that hold pages of the range. Gives how many bytes of the range are in `only`, if
 * one block is asked for.
 */
static uint64_t find_blocks(uint64_t base, uint64_t length, const struct block *only)
{
	uint64_t *pages = page_entries(base, length), in_it = 0, size = block_size();

	assert_true(size > 0);
	for (size_t i = 0; i < length / SYSTEM_PAGE; i++) {
		uint64_t number = PAGE_FRAME(pages[i]) * SYSTEM_PAGE / (size ? size : 1);
		unsigned int j = 0;

		if (!PAGE_PRESENT(pages[i]))
			continue; /* it is being moved elsewhere */
		if (only) {
			in_it += only->number == number ? SYSTEM_PAGE : 0;
			continue;
		}
		while (j < nr_blocks && blocks[j].number != number)
			j++;
		if (j == nr_blocks && nr_blocks < MAX_BLOCKS)
			blocks[nr_blocks++] = (struct block){ .number = number };
	}
	free(pages);
	return in_it;
}

static void ignore(int signal)
{
	(void)signal;
}

/* In a peer. The kernel tries until a signal comes. */
static long take_block(void *arg)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval limit = { .it_interval.tv_sec = 1, .it_value.tv_sec = 10 };
	const struct itimerval none = { 0 };
	const struct block *b = arg;
	char path[96];
	long err;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	block_path(path, b, "state");
	err = file_write(path, "offline");
	setitimer(ITIMER_REAL, &none, NULL);
	return err;
}

static void zone_of(struct block *b)
{
	char path[96], zone[32] = "";
	FILE *f;

	block_path(path, b, "valid_zones");
	f = fopen(path, "re");
	if (!f)
		return;
	if (fscanf(f, "%31s", zone) != 1)
		zone[0] = 0;
	fclose(f);
	b->movable = strcmp(zone, "Movable") == 0;
}

/* With a block the kernel takes the free huge pages in it out of the pool. */
static void keep_pool(void)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (unsigned long long)(hugetlb_2m->page / KIB));
	if (file_number(path) > 0)
		setting_keep(path);
}

static void any_node(void *arg)
{
	(void)arg;
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
}

/* Memory that is allocated from now on is on the last node, where movable memory is. */
static void prefer_last_node(void)
{
	int node = last_node();
	unsigned long mask;

	if (node < 0 || node > 63)
		return;
	mask = 1UL << node;
	test_cleanup(any_node, NULL);
	assert_int_equal(syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, sizeof(mask) * 8), 0);
}

CASES(memory_that_holds_a_region_is_taken_and_the_region_stays, UP_TO_2M)
{
	uint64_t length = load_length(b);
	unsigned int taken = 0, movable = 0;
	struct peer *peers[WRITERS], *taker;
	struct client *c;
	struct region *r;

	if (!block_size())
		skip_because("no memory of this machine can be taken offline");
	/* The pages have to go somewhere. */
	backing_needs(b, 2 * length);
	r = region_new(b, b->capacity);
	load_prepare();
	peers_join(r, peers, WRITERS);
	taker = peer_new();
	c = client_new(r, "frames");
	keep_pool();
	prefer_last_node();
	region_grow(r, length);
	peer_fill(peers[0], r->base, length, SEED);
	nr_blocks = 0;
	find_blocks(r->base, length, NULL);
	assert_true(nr_blocks > 0);
	test_cleanup(all_blocks_on, NULL);
	load_start(peers, WRITERS, r->base, length);
	for (unsigned int i = 0; i < nr_blocks; i++) {
		struct block *block = &blocks[i];
		long err;

		zone_of(block);
		/* The kernel may go on for a while after the signal. */
		peer_start(taker, take_block, block, sizeof(*block));
		err = peer_finish_within(taker, NULL, 0, 4 * DEADLINE_MS);
		block->off = err == 0;
		print_message("# block %llu (%s): %s\n", (unsigned long long)block->number,
			      block->movable ? "movable" : "any use",
			      err ? strerrorname_np((int)-err) : "taken");
		taken += block->off;
		movable += block->movable;
		load_goes_on();
		if (block->off)
			assert_int_equal(find_blocks(r->base, length, block), 0);
		block_on(block);
	}
	load_goes_on();
	load_stop();
	for (int i = 0; i < WRITERS; i++)
		peer_check(peers[i], r->base, length, SEED);
	/* A block that holds only movable pages can be taken. */
	if (movable)
		assert_true(taken > 0);
	region_grow(r, b->page);
	peer_check(peers[1], r->base, length, SEED);
	client_leave(c);
}
