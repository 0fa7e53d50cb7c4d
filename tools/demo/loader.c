// SPDX-License-Identifier: GPL-2.0-only
#include <peershm.h>
#include <stdint.h>

#include "loader.h"
#include "message.h"
#include "symbols.h"
#include "table.h"

#define BUCKETS (1u << 16)
#define PATIENCE_MS 2000 /* the machine is busy, and peers open the region and exit meanwhile */

struct loader {
	struct peershm *shm;
	struct arena arena;
	struct table *table;
};

/* The arena calls this when it is full: grows the region, and tells the story how that went. */
static char *more(void *context, size_t length)
{
	struct loader *loader = context;
	struct message message = { .kind = MESSAGE_GREW };
	uint64_t step = length > LOADER_STEP ? length : LOADER_STEP;
	uint64_t start;
	char *end;
	int err;

	message.grew.old_size = peershm_size(loader->shm);
	message.grew.report.peers = message.grew.peers;
	message.grew.report.max_peers = MESSAGE_PEERS;
	message.grew.report.timeout_ms = PATIENCE_MS;
	start = message_now();
	err = peershm_grow(loader->shm, message.grew.old_size + step, &message.grew.report);
	message.grew.ns = message_now() - start;
	if (err)
		message_fail("growing: %s", peershm_strerror(err));
	message.grew.new_size = peershm_size(loader->shm);
	message.grew.report.peers = NULL; /* a pointer of this process */
	message_say(&message);

	end = (char *)peershm_base(loader->shm) + message.grew.new_size;
	if (loader->table)
		table_grant(loader->table, end);
	return end;
}

/* Makes an empty table in the first memory of the region, and sets the root to it. */
static void begin(struct loader *loader)
{
	struct arena *arena = &loader->arena;
	int err;

	arena->next = peershm_base(loader->shm);
	arena->end = arena->next;
	arena->more = more;
	arena->context = loader;
	loader->table = table_new(arena, BUCKETS);
	if (!loader->table)
		message_fail("no memory for the table");
	table_grant(loader->table, arena->end);
	err = peershm_set_root(loader->shm, NULL, loader->table);
	if (err)
		message_fail("setting the root: %s", peershm_strerror(err));
}

static uint64_t load(struct loader *loader, struct symbols *symbols, uint64_t limit)
{
	uint64_t count = table_count(loader->table);

	while (count < limit && symbols_next(symbols)) {
		if (!table_insert(loader->table, &loader->arena, symbols->address, symbols->name))
			message_fail("no memory for symbol %s", symbols->name);
		count++;
	}
	return count;
}

int loader_main(const char *region, const char *client)
{
	struct loader loader = { 0 };
	struct symbols symbols;
	struct message message = { .kind = MESSAGE_READY };
	int err = peershm_open(&loader.shm, region, client, 0, NULL);

	if (err)
		message_fail("%s", peershm_strerror(err));
	err = symbols_open(&symbols, SYMBOLS_FILE);
	if (err)
		message_fail("%s: %s", SYMBOLS_FILE, peershm_strerror(err));
	message.ready.base = (uintptr_t)peershm_base(loader.shm);
	message.ready.root = (uintptr_t)peershm_root(loader.shm);
	message_say(&message);

	for (;;) {
		message_order(&message); /* exits if the story has */
		if (!loader.table)
			begin(&loader);
		message.limit = load(&loader, &symbols, message.limit);
		message.kind = MESSAGE_LOADED;
		message_say(&message);
	}
}
