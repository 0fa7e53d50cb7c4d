// SPDX-License-Identifier: GPL-2.0-only
/* The daemon that puts the symbols into the region, which it grows step by step. */
#include <errno.h>
#include <string.h>

#include "demo.h"
#include "key.h"
#include "table.h"

#define PATIENCE_MS 2000 /* the machine is busy, and peers open the region and exit meanwhile */

/* Grows the region, tells the story how that went, and returns the new end. */
static char *grow(struct peershm *shm)
{
	struct message message = { .kind = MESSAGE_GREW };
	struct peershm_report *report = &message.grew.report;
	uint64_t start = now_ns();
	int err;

	report->peers = message.grew.peers;
	report->max_peers = MESSAGE_PEERS;
	report->timeout_ms = PATIENCE_MS;
	err = peershm_grow(shm, peershm_size(shm) + STEP, report);
	message.grew.ns = now_ns() - start;
	if (err)
		daemon_fail("growing: %s", peershm_strerror(err));
	daemon_say(&message);
	return (char *)peershm_base(shm) + report->new_size;
}

void loader_run(const char *region, const char *client)
{
	const struct key *key = key_map(DAEMON_FILE);
	struct peershm *shm = daemon_open(region, client);
	struct table *table = peershm_base(shm);
	struct message message;
	int err;

	if (!key)
		daemon_fail("mapping the symbols: %s", strerror(errno));
	daemon_ready(table, peershm_root(shm));

	daemon_order(&message);
	table_init(table, grow(shm));
	err = peershm_set_root(shm, NULL, table);
	if (err)
		daemon_fail("setting the root: %s", peershm_strerror(err));
	for (;; daemon_order(&message)) {
		while (table_count(table) < message.limit) {
			const struct key_symbol *symbol = key_nth(key, table_count(table));

			while (!table_insert(table, symbol->address, key_name(key, symbol)))
				table_grant(table, grow(shm));
		}
		message.kind = MESSAGE_LOADED;
		daemon_say(&message);
	}
}
