/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Task work interrupts a grow as a signal does: io_uring completes requests by it. A grow amid many
 * completions gets done all the same.
 */
#include <liburing.h>

#include "support/harness.h"

/* What a debug kernel can grow a page at a time before the last of the timeouts. */
static uint64_t length_of(const struct backing *b)
{
	return b->id == PEERSHM_SMALL ? 8 * MIB : 64 * MIB;
}

/* One timeout a millisecond, for much longer than any grow takes. */
#define TIMEOUTS 16000U
#define BATCH 1000U

struct flood {
	uint64_t length;
	/* out */
	unsigned int came; /* until the grow returned */
};

static int ask_for_timeouts(struct io_uring *ring)
{
	struct __kernel_timespec after[BATCH];

	for (unsigned int i = 0; i < TIMEOUTS; i += BATCH) {
		for (unsigned int j = 0; j < BATCH; j++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
			unsigned int ms = i + j + 1;

			if (!sqe)
				return -EBUSY;
			after[j].tv_sec = ms / 1000;
			after[j].tv_nsec = ms % 1000 * 1000000LL;
			io_uring_prep_timeout(sqe, &after[j], 0, 0);
		}
		if (io_uring_submit(ring) != (int)BATCH)
			return -EIO;
	}
	return 0;
}

/* In a peer. Each timeout completes by task work, which runs on the way to user space. */
static long grow_amid_completions(void *arg)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 32768 };
	struct flood *flood = arg;
	struct io_uring ring;
	long err;

	err = io_uring_queue_init_params(1024, &ring, &params);
	if (err)
		return err;
	err = ask_for_timeouts(&ring);
	if (!err)
		err = do_grow(self.fd, 0, flood->length, NULL);
	flood->came = io_uring_cq_ready(&ring);
	io_uring_queue_exit(&ring);
	return err;
}

CASES(a_grow_does_not_begin_anew_for_every_completion, UP_TO_2M)
{
	struct flood flood = { .length = length_of(b) };
	struct peer *p, *other;
	struct region *r;
	long err;

	backing_needs(b, flood.length);
	r = region_new(b, b->capacity);
	p = peer_join(r, "io_uring");
	other = peer_join(r, "other");
	peer_start(p, grow_amid_completions, &flood, sizeof(flood));
	err = peer_finish_within(p, &flood, sizeof(flood), 4 * DEADLINE_MS);
	if (err == -ENOSYS || err == -EPERM)
		skip_because("no io_uring: %s", strerror((int)-err));
	assert_ok(err);
	print_message("# %u of %u completions came first\n", flood.came, TIMEOUTS);
	/* Some completions came, and the grow was done before the last of them. */
	assert_in_range(flood.came, 1, TIMEOUTS - 1);
	assert_int_equal(region_size(r), flood.length);
	assert_true(peer_all_zero(other, r->base, flood.length));
	peer_has_all(p, r->base, flood.length);
}
