/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every allocation and every copy from and to user space that a command passes fails once,
 * one at a time: the first, the second, and so on until the command passes without one left
 * to fail. Whatever fails, the command either succeeds all the same or gives an error after
 * which nothing has changed. Needs a kernel with fault injection (make check-debug).
 */
#include "support/fault.h"
#include "support/harness.h"
#include "support/command.h"

#define MAX_SITES 5000

/* What a run is told, and what it tells. */
struct injection {
	struct operation_target target;
	int operation;
	unsigned int nth;
	/* out */
	long err;
	bool injected;
};

/* In the peer: run the operation with its nth site failing. */
static long inject(void *arg)
{
	struct injection *in = arg;
	int armed = fault_arm(in->nth);

	if (armed < 0)
		return armed;
	in->err = operations[in->operation].run(&in->target);
	in->injected = !fault_disarm(armed);
	return 0;
}

static long prepare(void *arg)
{
	struct injection *in = arg;

	return operation_prepare(in->operation, &in->target);
}

static long undo(void *arg)
{
	struct injection *in = arg;

	return operation_undo(in->operation, &in->target);
}

static bool is_clean(long err)
{
	return err == 0 || err == -ENOMEM || err == -EFAULT || err == -ENFILE;
}

/*
 * An error whose cause was that the answer could not be copied, after the change: that is
 * undone, or stands (the ABI says which). Anything else has changed nothing.
 */
static void check_error(struct peer *p, struct injection *in, struct snapshot *before,
			const struct client *witness)
{
	struct peershm_region_info info;
	const struct operation *o = &operations[in->operation];

	if (in->err == -EFAULT && o->where == OPERATION_UNDONE) {
		snapshot_same_but_count(before);
		return;
	}
	assert_ok(do_stat(witness->fd, 0, NULL, &info));
	if (in->err == -EFAULT &&
	    (info.generation != snapshot_generation(before) || info.reserve)) {
		print_message("# %s, site %u: done, but not answered\n", o->name, in->nth);
		assert_ok(peer_call(p, undo, in, sizeof(*in)));
		return;
	}
	snapshot_same(before);
}

/*
 * What giving a reserve of huge pages back takes out of shared tables is mapped again a moment
 * later, and the header says so.
 */
static bool all_is_mapped(void *arg)
{
	const struct client *witness = arg;
	struct peershm_client_info infos[8];
	struct peershm_region_info info;
	int n = do_clients(witness->fd, 0, infos, 8);

	if (n < 0 || n > 8 || do_stat(witness->fd, 0, NULL, &info))
		return false;
	for (int i = 0; i < n; i++)
		if (infos[i].mapped != info.active)
			return false;
	return true;
}

/*
 * Gives how many sites the operation passes: about, because it depends on what the caches of
 * the kernel's allocators have at hand.
 */
static unsigned int fail_each_site(struct peer *p, struct injection *in, struct client *witness)
{
	struct snapshot *before = snapshot_take(witness);

	for (in->nth = 1; in->nth <= MAX_SITES; in->nth++) {
		assert_ok(peer_call(p, prepare, in, sizeof(*in)));
		assert_true(test_until(all_is_mapped, witness, DEADLINE_MS));
		snapshot_again(before);
		assert_ok(peer_call(p, inject, in, sizeof(*in)));
		if (!is_clean(in->err))
			print_error("%s, site %u: %s\n", operations[in->operation].name, in->nth,
				    strerror((int)-in->err));
		assert_true(is_clean(in->err));
		if (!in->injected) {
			assert_ok(in->err);
			assert_ok(peer_call(p, undo, in, sizeof(*in)));
			return in->nth - 1;
		}
		if (in->err) {
			check_error(p, in, before, witness);
			continue;
		}
		assert_ok(peer_call(p, undo, in, sizeof(*in)));
	}
	fail_msg("%s passes more than %u sites", operations[in->operation].name, MAX_SITES);
	return 0;
}

static void every_site_of_every_command_fails_cleanly(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct injection in = { .nth = 1 };
	struct peer *outside, *inside;
	struct client *witness;
	struct region *r;
	unsigned int sites;

	faults_on();
	backing_needs(b, 2 * STEP(b));
	r = region_new(b, b->capacity);
	region_grow(r, STEP(b));
	in.target = operation_target_of(r, STEP(b));
	witness = client_new(r, "witness");
	outside = operation_peer(r, false);
	inside = operation_peer(r, true);

	for (in.operation = 0; in.operation < nr_operations; in.operation++) {
		const struct operation *o = &operations[in.operation];

		if (!operation_is_worth(in.operation, b))
			continue;
		sites = fail_each_site(o->where == OPERATION_INSIDE ? inside : outside, &in,
				       witness);
		print_message("# %s: %u sites\n", o->name, sites);
		if (strcmp(o->name, "resolve") != 0)
			assert_true(sites > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(every_site_of_every_command_fails_cleanly),
	};

	return test_run(tests);
}
