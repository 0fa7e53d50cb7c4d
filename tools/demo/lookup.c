// SPDX-License-Identifier: GPL-2.0-only
/* A daemon that answers look-ups through the pointers in the region. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "demo.h"
#include "key.h"
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

static sigjmp_buf escape;
static struct message *touching;

static uint64_t next_random(struct lookup *lookup, uint64_t limit)
{
	lookup->random ^= lookup->random << 13;
	lookup->random ^= lookup->random >> 7;
	lookup->random ^= lookup->random << 17;
	return lookup->random % limit;
}

/* "Which symbol contains this address?" */
static bool answer_address(struct lookup *lookup, const struct key_symbol *expected)
{
	uint64_t offset = next_random(lookup, expected->end - expected->address);
	const struct symbol *found = table_at(lookup->table, expected->address + offset);

	return found && found->address == expected->address;
}

/* "Where is this name?" Several symbols may have the same name. */
static bool answer_name(struct lookup *lookup, const struct key_symbol *expected)
{
	const char *name = key_name(lookup->key, expected);
	const struct symbol *found = table_find(lookup->table, name, NULL);

	while (found && found->address != expected->address)
		found = table_find(lookup->table, name, found);
	return found;
}

static void answer_batch(struct lookup *lookup)
{
	struct message *so_far = &lookup->so_far;
	uint64_t count = table_count(lookup->table);

	for (int i = 0; i < BATCH && count; i++) {
		uint64_t newest = count < NEWEST ? count : NEWEST;
		uint64_t which = i & 1 ? count - 1 - next_random(lookup, newest) :
					 next_random(lookup, count);
		const struct key_symbol *expected = key_nth(lookup->key, which);

		so_far->answers.lookups += 2;
		so_far->answers.wrong += !answer_address(lookup, expected);
		so_far->answers.wrong += !answer_name(lookup, expected);
		if (!so_far->answers.first_ns && !so_far->answers.wrong)
			so_far->answers.first_ns = now_ns();
	}
}

/* Reads a byte of every page that the region got since the last call, used or not. */
static void touch_new(struct lookup *lookup)
{
	const char *end = table_granted(lookup->table);

	for (; lookup->touched < end; lookup->touched += SMALLEST_PAGE)
		(void)*(const volatile char *)lookup->touched;
}

static void answer_until_told(struct lookup *lookup)
{
	lookup->table = peershm_root(lookup->shm);
	if (!lookup->table)
		daemon_fail("there is no root");
	do {
		touch_new(lookup);
		answer_batch(lookup);
	} while (!daemon_order_pending());
}

/* Answers one more batch, and sends the totals. */
static void report(struct lookup *lookup)
{
	struct message *so_far = &lookup->so_far;

	touch_new(lookup);
	answer_batch(lookup);
	so_far->kind = MESSAGE_ANSWERS;
	so_far->answers.faults = daemon_faults() - lookup->faults;
	so_far->answers.touched = (uint64_t)(lookup->touched - (char *)peershm_base(lookup->shm));
	daemon_say(so_far);
}

static void caught(int signal, siginfo_t *info, void *context)
{
	(void)context;
	touching->touch.signal = signal;
	touching->touch.address = (uintptr_t)info->si_addr;
	siglongjmp(escape, 1);
}

/* Reads one byte; the answer has the signal that this raised, and its address. */
static void touch(struct message *message)
{
	struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };

	touching = message;
	message->kind = MESSAGE_TOUCHED;
	sigaction(SIGBUS, &action, NULL);
	if (!sigsetjmp(escape, 1))
		(void)*(const volatile char *)(uintptr_t)message->touch.address;
	daemon_say(message);
}

void lookup_run(const char *region, const char *client)
{
	struct lookup lookup = { .random = now_ns() | 1, .key = key_map(DAEMON_FILE) };
	struct message message;

	if (!lookup.key)
		daemon_fail("mapping the answer key: %s", strerror(errno));
	lookup.shm = daemon_open(region, client);
	lookup.touched = peershm_base(lookup.shm);
	setpriority(PRIO_PROCESS, 0, NICE);
	daemon_ready(lookup.touched, peershm_root(lookup.shm));

	lookup.faults = daemon_faults();
	for (;;) {
		daemon_order(&message);
		if (message.kind == MESSAGE_TOUCH)
			touch(&message);
		if (message.kind == MESSAGE_REPORT || message.kind == MESSAGE_STOP)
			report(&lookup);
		if (message.kind == MESSAGE_REPORT || message.kind == MESSAGE_BEGIN)
			answer_until_told(&lookup);
	}
}
