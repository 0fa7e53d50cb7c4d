/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every command runs beside every other, in two clients, and in two threads of one client with
 * one file. Whichever comes first, and whatever the other one answers, the region is consistent
 * when both are done. With KCSAN (tests/run kcsan) this finds data races between commands.
 * PEERSHM_TEST_OPERATIONS=NAME,... tries only pairs of these commands.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"
#include "support/harness.h"

#define PAIR_MS 20
#define MAX_COMMANDS 64

/* What a peer is told, and what it tells. */
struct order {
	struct target target;
	const struct command *commands[2]; /* of its threads; NULL: there is no such thread */
	unsigned int ms;
	/* out */
	unsigned int done[2];
	long unexpected;
};

/* Errors that a command may get because the other one runs at the same time. */
static bool is_expected(long err)
{
	static const int errors[] = { 0,      EEXIST, EBUSY,	 ENOTCONN,
				      ENOENT, EINVAL, ECANCELED, EALREADY };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (err == -errors[i])
			return true;
	}
	return false;
}

static void repeat(struct order *o, int thread)
{
	const struct command *c = o->commands[thread];
	uint64_t end = now_ms() + o->ms;
	long err;

	do {
		err = command_prepare(c, &o->target);
		if (!err)
			err = command_run(c, &o->target);
		if (!err) {
			o->done[thread]++;
			err = command_undo(c, &o->target);
		}
		if (!is_expected(err))
			o->unexpected = err;
	} while (now_ms() < end && !o->unexpected);
}

static void *repeat_second(void *arg)
{
	repeat(arg, 1);
	return NULL;
}

static long carry_out(void *arg)
{
	struct order *o = arg;
	bool second = o->commands[1];
	pthread_t thread;

	if (second && pthread_create(&thread, NULL, repeat_second, o))
		return -EAGAIN;
	if (o->commands[0])
		repeat(o, 0);
	if (second)
		pthread_join(thread, NULL);
	return 0;
}

/* STAT, CLIENTS, the header and this process's page tables agree. */
static void check_region(const struct region *r, const struct client *witness, int nr_clients,
			 uint64_t size)
{
	struct peershm_header *h = malloc(witness->at.header_length);
	struct peershm_client_info client;
	struct peershm_region_info info;

	assert_non_null(h);
	assert_ok(header_copy(witness, h));
	assert_ok(do_stat(witness->fd, 0, NULL, &info));
	assert_int_equal(info.active, size);
	assert_int_equal(h->size, size);
	assert_int_equal(h->watermark, size);
	assert_int_equal(h->root, 0);
	assert_int_equal(h->generation, info.generation);
	assert_int_equal(h->nr_clients, nr_clients);
	assert_int_equal(do_clients(witness->fd, 0, &client, 1), nr_clients);
	assert_int_equal(client.id, witness->at.client);
	assert_int_equal(client.mapped, size);
	assert_int_equal(header_client(h, 0)->id, client.id);
	assert_int_equal(header_client(h, 0)->mapped, size);
	assert_int_equal(pagemap_present(r->base, size), size);
	assert_int_equal(touch(r->base + size, false), SIGBUS);
	free(h);
}

/* A peer, and whether it is a client. The same peer serves for as many pairs as possible. */
struct side {
	struct peer *peer;
	bool inside;
};

static void side_end(struct side *side)
{
	if (side->peer)
		peer_end(side->peer);
	side->peer = NULL;
}

static int is_client(const struct side *side)
{
	return side->peer && side->inside;
}

static void side_make(struct side *side, const struct region *r, bool inside)
{
	if (side->peer && side->inside == inside)
		return;
	side_end(side);
	side->peer = command_peer(r, inside);
	side->inside = inside;
}

static void run_pair(const struct region *r, struct side *sides, const struct order *order,
		     bool threads, unsigned int *done)
{
	const struct command *a = order->commands[0], *b = order->commands[1];
	struct order first = *order, second = *order;

	side_make(&sides[0], r, a->where == INSIDE || (threads && b->where == INSIDE));
	if (threads) {
		assert_ok(peer_call(sides[0].peer, carry_out, &first, sizeof(first)));
	} else {
		side_make(&sides[1], r, b->where == INSIDE);
		first.commands[1] = NULL;
		second.commands[0] = NULL;
		peer_start(sides[0].peer, carry_out, &first, sizeof(first));
		assert_ok(peer_call(sides[1].peer, carry_out, &second, sizeof(second)));
		assert_ok(peer_finish(sides[0].peer, &first, sizeof(first)));
		first.done[1] = second.done[1];
	}
	if (first.unexpected || second.unexpected)
		print_error("%s beside %s: %s, %s\n", a->name, b->name,
			    strerror((int)-first.unexpected), strerror((int)-second.unexpected));
	assert_ok(first.unexpected);
	assert_ok(second.unexpected);
	done[a - commands] += first.done[0];
	done[b - commands] += first.done[1];
	if (a->joins || b->joins) {
		side_end(&sides[0]);
		side_end(&sides[1]);
	}
}

/* Is the command one of PEERSHM_TEST_OPERATIONS? */
static bool is_wanted(const struct command *c)
{
	const char *list = getenv("PEERSHM_TEST_OPERATIONS");
	size_t length = strlen(c->name);

	for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
		if (strcspn(list, ",") == length && !strncmp(list, c->name, length))
			return true;
	}
	return !list;
}

static void run_all_pairs(const struct backing *b, bool threads)
{
	struct region *r = region_new(b, b->capacity);
	struct order order = { .ms = test_scale(PAIR_MS) };
	unsigned int done[MAX_COMMANDS] = { 0 }, all = 0;
	struct side sides[2] = { 0 };
	struct client *witness;
	int nr_clients;

	assert_true(nr_commands <= MAX_COMMANDS);
	region_grow(r, few_pages(b));
	witness = client_new(r, "witness");
	order.target = target_of(r, few_pages(b));
	for_each_command(first)
	{
		for (const struct command *second = first; second;
		     second = command_next(second + 1, false)) {
			if (!is_wanted(first) || !is_wanted(second))
				continue;
			order.commands[0] = first;
			order.commands[1] = second;
			run_pair(r, sides, &order, threads, done);
			nr_clients = 1 + is_client(&sides[0]) + is_client(&sides[1]);
			assert_true(region_until_clients(r, nr_clients, DEADLINE_MS));
			command_clean(witness->fd, &order.target);
			check_region(r, witness, nr_clients, few_pages(b));
		}
	}
	for_each_command(c)
	{
		if (!done[c - commands] && is_wanted(c))
			print_error("%s never succeeded\n", c->name);
		assert_true(done[c - commands] > 0 || !is_wanted(c));
		all += done[c - commands];
	}
	assert_true(all > 0);
	print_message("# %u commands\n", all);
}

CASE(two_clients_may_do_anything_at_once)
{
	run_all_pairs(small, false);
}

CASE(two_threads_of_one_client_may_do_anything_at_once)
{
	run_all_pairs(small, true);
}
