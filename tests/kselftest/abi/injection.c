/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every allocation and every copy from and to user space that a command passes fails once,
 * one at a time: the first, the second, and so on until the command passes without one left
 * to fail. Whatever fails, the command either succeeds all the same or gives an error after
 * which nothing has changed. Needs a kernel with fault injection (tests/run kasan).
 */
#include "support/command.h"
#include "support/fault.h"
#include "support/harness.h"

#define MAX_SITES 5000

/* What a run is told, and what it tells. */
struct injection {
	struct target target;
	const struct command *command;
	unsigned int nth;
	/* out */
	long err;
	bool injected;
};

/* In the peer: run the command with its nth site failing. */
static long inject(void *arg)
{
	struct injection *in = arg;
	int armed = fault_arm(in->nth);

	if (armed < 0)
		return armed;
	in->err = command_run(in->command, &in->target);
	in->injected = !fault_disarm(armed);
	return 0;
}

static long prepare(void *arg)
{
	struct injection *in = arg;

	return command_prepare(in->command, &in->target);
}

static long undo(void *arg)
{
	struct injection *in = arg;

	return command_undo(in->command, &in->target);
}

static bool is_clean(long err)
{
	return err == 0 || err == -ENOMEM || err == -EFAULT || err == -ENFILE;
}

/*
 * An error has changed nothing. The exception is EFAULT because the answer could not be copied
 * after the change: then the module undoes the change or lets it stand, as the ABI says.
 */
static void check_error(struct peer *p, struct injection *in, struct snapshot *before,
			const struct client *witness)
{
	struct peershm_region_info info;

	if (in->err == -EFAULT && in->command->where == UNDONE) {
		snapshot_same_but_count(before);
		return;
	}
	assert_ok(do_stat(witness->fd, 0, NULL, &info));
	if (in->err == -EFAULT &&
	    (info.generation != snapshot_generation(before) || info.reserve)) {
		print_message("# %s, site %u: done, but not answered\n", in->command->name,
			      in->nth);
		assert_ok(peer_call(p, undo, in, sizeof(*in)));
		return;
	}
	snapshot_same(before);
}

/*
 * Gives how many sites the command passes. This varies a little with what the caches of the
 * kernel's allocators hold.
 */
static unsigned int fail_each_site(struct peer *p, struct injection *in, struct client *witness)
{
	struct snapshot *before = snapshot_take(witness);

	for (in->nth = 1; in->nth <= MAX_SITES; in->nth++) {
		assert_ok(peer_call(p, prepare, in, sizeof(*in)));
		assert_true(snapshot_settled(before));
		snapshot_again(before);
		assert_ok(peer_call(p, inject, in, sizeof(*in)));
		if (!is_clean(in->err))
			print_error("%s, site %u: %s\n", in->command->name, in->nth,
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
	fail_msg("%s passes more than %u sites", in->command->name, MAX_SITES);
	return 0;
}

CASES(every_site_of_every_command_fails_cleanly, ALL_BACKINGS)
{
	struct injection in = { .nth = 1 };
	struct peer *outside, *inside;
	struct client *witness;
	struct region *r;
	unsigned int sites;

	faults_on();
	backing_needs(b, 2 * few_pages(b));
	r = region_new(b, b->capacity);
	region_grow(r, few_pages(b));
	in.target = target_of(r, few_pages(b));
	witness = client_new(r, "witness");
	outside = command_peer(r, false);
	inside = command_peer(r, true);

	for_each_command(c)
	{
		if (!command_is_worth(c, b))
			continue;
		in.command = c;
		sites = fail_each_site(c->where == INSIDE ? inside : outside, &in, witness);
		print_message("# %s: %u sites\n", c->name, sites);
		if (strcmp(c->name, "resolve") != 0)
			assert_true(sites > 0);
	}
}
