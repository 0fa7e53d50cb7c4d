/* SPDX-License-Identifier: GPL-2.0-only */
/* CPUs and memory are taken from the machine while a region is in use, and given back. */
#include <linux/mempolicy.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/load.h"

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

static void cpus_go_and_come_while_it_grows_and_shrinks(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct resizing resizing = { b->page, b->step, test_scale(200) };
	struct peer *peers[WRITERS], *grower;
	unsigned int switched = 0;
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
	for (int i = 0; i < WRITERS; i++) {
		peers[i] = peer_join(r, i ? "second" : "first");
	}
	grower = peer_join(r, "grower");
	region_grow(r, b->step);
	peer_fill(peers[0], r->base, b->step, SEED);
	load_start(peers, WRITERS, r->base, b->step);
	peer_start(grower, grow_and_shrink, &resizing, sizeof(resizing));
	do {
		/* The last one that can go goes, and comes back. */
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

/* A block of memory, and what it was when it was online. */
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

/* Which blocks hold pages of the range, and how many bytes of it are in one of them. */
static uint64_t find_blocks(uint64_t base, uint64_t length, const struct block *only)
{
	size_t n = length / SYSTEM_PAGE;
	uint64_t *frames = calloc(n, sizeof(*frames)), in_it = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t size = block_size();

	assert_true(size > 0);
	assert_non_null(frames);
	assert_true(fd >= 0);
	for (uint64_t at = 0; at < length; at += SYSTEM_PAGE)
		(void)*(volatile char *)at_address(base + at);
	assert_int_equal(pread(fd, frames, n * 8, (off_t)(base / SYSTEM_PAGE * 8)), n * 8);
	close(fd);
	for (size_t i = 0; i < n; i++) {
		uint64_t number =
			(frames[i] & ((1ULL << 55) - 1)) * SYSTEM_PAGE / (size ? size : 1);
		unsigned int j = 0;

		if (!(frames[i] >> 63))
			continue; /* on its way elsewhere */
		if (only) {
			in_it += only->number == number ? SYSTEM_PAGE : 0;
			continue;
		}
		while (j < nr_blocks && blocks[j].number != number)
			j++;
		if (j == nr_blocks && nr_blocks < MAX_BLOCKS)
			blocks[nr_blocks++] = (struct block){ .number = number };
	}
	free(frames);
	return in_it;
}

static void ignore(int signal)
{
	(void)signal;
}

/* The kernel goes on trying until a signal comes. */
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

struct pool {
	char path[96];
	long pages;
};

/* The kernel dissolves the free huge pages of a block that it takes. */
static void pool_again(void *arg)
{
	struct pool *p = arg;
	char text[32];

	snprintf(text, sizeof(text), "%ld", p->pages);
	if (file_write(p->path, text) || file_number(p->path) != p->pages)
		print_error("%s is not %ld again\n", p->path, p->pages);
}

static void keep_pool(void)
{
	static struct pool pool;

	snprintf(pool.path, sizeof(pool.path),
		 "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (unsigned long long)(backings[PEERSHM_HUGETLB_2M].page / KIB));
	pool.pages = file_number(pool.path);
	if (pool.pages > 0)
		test_cleanup(pool_again, &pool);
}

static void any_node(void *arg)
{
	(void)arg;
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
}

/* What grows from now on is on the last node, where memory that can be taken is. */
static void prefer_last_node(void)
{
	FILE *f = fopen("/sys/devices/system/node/has_memory", "re");
	unsigned long mask;
	int first, last;

	if (!f)
		return;
	if (fscanf(f, "%d%*[-,]%d", &first, &last) == 2 && last < 64) {
		mask = 1UL << last;
		test_cleanup(any_node, NULL);
		assert_int_equal(
			syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, sizeof(mask) * 8), 0);
	}
	fclose(f);
}

static void memory_that_holds_a_region_is_taken_and_the_region_stays(void **state)
{
	const struct backing *b = param_of(state)->backing;
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
	for (int i = 0; i < WRITERS; i++)
		peers[i] = peer_join(r, i ? "second" : "first");
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
		/* What it is at it finishes, even if a signal came. */
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
	/* Blocks that hold none but movable pages are there to be taken. */
	if (movable)
		assert_true(taken > 0);
	region_grow(r, b->page);
	peer_check(peers[1], r->base, length, SEED);
	client_leave(c);
}

int main(void)
{
#define TEST_UNPLUGGED(f)                                                                     \
	TEST_CASE(#f "_small", f, PEERSHM_SMALL, 0), TEST_CASE(#f "_thp", f, PEERSHM_THP, 0), \
		TEST_CASE(#f "_hugetlb_2m", f, PEERSHM_HUGETLB_2M, 0)
	const struct CMUnitTest tests[] = {
		TEST_UNPLUGGED(cpus_go_and_come_while_it_grows_and_shrinks),
		TEST_UNPLUGGED(memory_that_holds_a_region_is_taken_and_the_region_stays),
	};

	return test_run(tests);
}
