/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/mman.h>

#include "harness.h"
#include "load.h"

#define WORD sizeof(uint64_t)

/* How much a peer does in one call, which has a deadline even on a busy machine. */
#define PIECE (64 * MIB)

struct range {
	uint64_t address, length, seed;
	uint64_t at, found; /* out, if a word is wrong */
	unsigned int writer;
};

/* What the writers share with the test. */
struct load {
	uint32_t stop;
	uint64_t rounds[LOAD_WRITERS];
};

static struct load *load;
static struct peer *writers[LOAD_WRITERS];
static unsigned int nr_writers;

static uint64_t word_of(uint64_t address, uint64_t seed)
{
	uint64_t word = (address ^ seed) * 0x9e3779b97f4a7c15;

	return word ^ word >> 29;
}

static void fill(const struct range *r)
{
	for (uint64_t page = r->address; page < r->address + r->length; page += SYSTEM_PAGE) {
		uint64_t *words = at_address(page);

		for (size_t i = LOAD_WRITERS; i < SYSTEM_PAGE / WORD; i++)
			words[i] = word_of(page + i * WORD, r->seed);
	}
}

static bool check(struct range *r)
{
	for (uint64_t page = r->address; page < r->address + r->length; page += SYSTEM_PAGE) {
		const uint64_t *words = at_address(page);

		for (size_t i = LOAD_WRITERS; i < SYSTEM_PAGE / WORD; i++) {
			r->at = page + i * WORD;
			r->found = words[i];
			if (r->found != word_of(r->at, r->seed))
				return false;
		}
	}
	return true;
}

static long do_fill(void *arg)
{
	fill(arg);
	return 0;
}

static long do_check(void *arg)
{
	return check(arg) ? 0 : -EBADMSG;
}

static long in_pieces(struct peer *p, peer_function f, struct range *r)
{
	uint64_t end = r->address + r->length;
	long err = 0;

	for (uint64_t at = r->address; !err && at < end; at += PIECE) {
		r->address = at;
		r->length = end - at < PIECE ? end - at : PIECE;
		err = peer_call(p, f, r, sizeof(*r));
	}
	return err;
}

void peer_fill(struct peer *p, uint64_t address, uint64_t length, uint64_t seed)
{
	struct range r = { .address = address, .length = length, .seed = seed };

	assert_ok(in_pieces(p, do_fill, &r));
}

void peer_check(struct peer *p, uint64_t address, uint64_t length, uint64_t seed)
{
	struct range r = { .address = address, .length = length, .seed = seed };
	long err = in_pieces(p, do_check, &r);

	if (err == -EBADMSG)
		print_error("0x%llx holds 0x%llx\n", (unsigned long long)r.at,
			    (unsigned long long)r.found);
	assert_ok(err);
}

static long do_write(void *arg)
{
	struct range *r = arg;

	for (uint64_t round = 0;; round++) {
		for (uint64_t page = r->address; page < r->address + r->length;
		     page += SYSTEM_PAGE) {
			volatile uint64_t *word = (uint64_t *)at_address(page) + r->writer;

			if (round && *word != word_of(page, round)) {
				r->at = page;
				r->found = *word;
				return -EBADMSG;
			}
			*word = word_of(page, round + 1);
			if (__atomic_load_n(&load->stop, __ATOMIC_RELAXED))
				return 0;
		}
		__atomic_store_n(&load->rounds[r->writer], round + 1, __ATOMIC_RELEASE);
	}
}

static void unmap_load(void *arg)
{
	__atomic_store_n(&load->stop, 1, __ATOMIC_RELAXED);
	peers_end();
	munmap(arg, sizeof(*load));
	load = NULL;
}

uint64_t load_length(const struct backing *b)
{
	return b->page > SYSTEM_PAGE ? b->step : 256 * SYSTEM_PAGE;
}

/* To be called before there are peers: they inherit the shared memory. */
void load_prepare(void)
{
	load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(load, MAP_FAILED);
	test_cleanup(unmap_load, load);
}

void load_start(struct peer *const *peers, unsigned int n, uint64_t address, uint64_t length)
{
	struct range r = { .address = address, .length = length };

	assert_true(n <= LOAD_WRITERS);
	nr_writers = n;
	memset(load, 0, sizeof(*load));
	for (r.writer = 0; r.writer < n; r.writer++) {
		writers[r.writer] = peers[r.writer];
		peer_start(peers[r.writer], do_write, &r, sizeof(r));
	}
}

static bool has_gone_on(void *arg)
{
	const uint64_t *before = arg;

	for (unsigned int i = 0; i < nr_writers; i++) {
		if (__atomic_load_n(&load->rounds[i], __ATOMIC_ACQUIRE) <= before[i])
			return false;
	}
	return true;
}

void load_goes_on(void)
{
	uint64_t before[LOAD_WRITERS];

	for (unsigned int i = 0; i < nr_writers; i++)
		before[i] = __atomic_load_n(&load->rounds[i], __ATOMIC_ACQUIRE);
	assert_true(test_until(has_gone_on, before, DEADLINE_MS));
}

void load_stop(void)
{
	__atomic_store_n(&load->stop, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < nr_writers; i++) {
		struct range r = { 0 };
		long err = peer_finish(writers[i], &r, sizeof(r));

		if (err == -EBADMSG)
			print_error("writer %u: 0x%llx holds 0x%llx\n", i, (unsigned long long)r.at,
				    (unsigned long long)r.found);
		assert_ok(err);
	}
}
