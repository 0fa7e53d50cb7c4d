// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <peershm.h>
#include <string.h>
#include <sys/resource.h>

#include "faults.h"
#include "key.h"
#include "lookup.h"
#include "message.h"
#include "table.h"

#define BATCH 256  /* questions between two checks of the socket */
#define NICE 10	   /* it never stops asking: other processes come first */
#define NEWEST 128 /* every other question is about one of the newest symbols */

struct lookup {
	struct peershm *shm;
	const struct key *key;
	const struct table *table;
	char *touched;	 /* every page below this was read */
	uint64_t random; /* xorshift64 */
	uint64_t faults; /* of the process, before its first look-up */
	struct message so_far;
};

static uint64_t next_random(struct lookup *lookup, uint64_t limit)
{
	lookup->random ^= lookup->random << 13;
	lookup->random ^= lookup->random >> 7;
	lookup->random ^= lookup->random << 17;
	return lookup->random % limit;
}

/* "Which symbol contains this address?" */
static bool answer_address(struct lookup *lookup, const struct key_entry *expected)
{
	uint64_t address =
		expected->address + next_random(lookup, expected->end - expected->address);
	const struct symbol *found = table_at(lookup->table, address);

	if (!found || found->by_address.key != expected->address)
		return false;
	while (found && strcmp(found->by_name.name, key_name(lookup->key, expected)) != 0)
		found = table_alias(found);
	return found;
}

/* "Where is this name?" Several symbols may have the same name. */
static bool answer_name(struct lookup *lookup, const struct key_entry *expected)
{
	const struct symbol *found = table_find(lookup->table, key_name(lookup->key, expected));

	while (found && found->by_address.key != expected->address)
		found = table_find_next(found);
	return found;
}

static void answer_batch(struct lookup *lookup)
{
	uint64_t count = table_count(lookup->table);

	for (int i = 0; i < BATCH && count; i++) {
		uint64_t newest = count < NEWEST ? count : NEWEST;
		uint64_t which = i & 1 ? count - 1 - next_random(lookup, newest) :
					 next_random(lookup, count);
		const struct key_entry *expected = &lookup->key->entries[which];

		lookup->so_far.answers.lookups += 2;
		lookup->so_far.answers.wrong += !answer_address(lookup, expected);
		lookup->so_far.answers.wrong += !answer_name(lookup, expected);
		if (!lookup->so_far.answers.first_ns && !lookup->so_far.answers.wrong)
			lookup->so_far.answers.first_ns = message_now();
	}
}

/* Reads a byte of every page that the region got since the last call, used or not. */
static void touch_new(struct lookup *lookup)
{
	const char *end = table_granted(lookup->table);

	for (; lookup->touched < end; lookup->touched += FAULTS_PAGE)
		(void)*(const volatile char *)lookup->touched;
}

static void answer_until_told(struct lookup *lookup)
{
	lookup->table = peershm_root(lookup->shm);
	if (!lookup->table)
		message_fail("there is no root");
	do {
		touch_new(lookup);
		answer_batch(lookup);
	} while (!message_order_pending());
}

/* Answers one more batch, and sends the totals. */
static void report(struct lookup *lookup)
{
	struct message *answers = &lookup->so_far;

	touch_new(lookup);
	answer_batch(lookup);
	answers->kind = MESSAGE_ANSWERS;
	answers->answers.faults = faults_count() - lookup->faults;
	answers->answers.touched = (uint64_t)(lookup->touched - (char *)peershm_base(lookup->shm));
	message_say(answers);
}

int lookup_main(const char *region, const char *client)
{
	struct lookup lookup = { .random = message_now() | 1 };
	struct message message = { .kind = MESSAGE_READY };
	int err;

	lookup.key = key_map(MESSAGE_FILE);
	if (!lookup.key)
		message_fail("the answer key: %s", peershm_strerror(errno));
	err = faults_settle();
	if (err)
		message_fail("locking code and stack in memory: %s", strerror(-err));
	err = peershm_open(&lookup.shm, region, client, 0, NULL);
	if (err)
		message_fail("%s", peershm_strerror(err));
	setpriority(PRIO_PROCESS, 0, NICE);
	lookup.touched = peershm_base(lookup.shm);
	message.ready.base = (uintptr_t)lookup.touched;
	message.ready.root = (uintptr_t)peershm_root(lookup.shm);
	message_say(&message);

	lookup.faults = faults_count();
	for (;;) {
		message_order(&message); /* exits if the story has */
		switch (message.kind) {
		case MESSAGE_STOP:
			report(&lookup);
			break;
		case MESSAGE_TOUCH:
			faults_touch(&message);
			message_say(&message);
			break;
		case MESSAGE_REPORT:
			report(&lookup);
			answer_until_told(&lookup);
			break;
		default:
			answer_until_told(&lookup);
		}
	}
}
