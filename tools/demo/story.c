// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <stddef.h>
#include <unistd.h>

#include "child.h"
#include "compare.h"
#include "faults.h"
#include "key.h"
#include "loader.h"
#include "memory.h"
#include "promise.h"
#include "story.h"
#include "symbols.h"
#include "text.h"

#define REGION "symbols"
#define LOOKUPS 3
#define STOPPED 1 /* the look-up daemon that is stopped */
#define KILLED 2  /* and the one that is killed */
#define SECONDS 90

struct story {
	enum peershm_backing backing;
	struct peershm *region; /* a handle without a client */
	uint64_t base;
	int key;
	uint64_t symbols;
	struct child loader;
	struct child lookups[LOOKUPS];
	uint64_t size; /* of the region, after the loader's last grow */
	unsigned int grows;
	uint64_t longest; /* the longest grow so far, in ns */
};

/* What the loader reported of one part of the story. */
struct growth {
	unsigned int grows;
	uint64_t start; /* the size before it */
	uint64_t total; /* ns in all calls that grow */
	unsigned int clients;
	struct message last; /* its last report */
};

static const char *const lookup_names[LOOKUPS] = { "lookup-1", "lookup-2", "lookup-3" };

static bool complain(const char *what, int err)
{
	fprintf(stderr, "peershm-demo: %s: %s\n", what, peershm_strerror(err));
	return false;
}

/* Receives the loader's next message: the region grew, or this part is loaded. */
static bool hear_loader(struct story *story, struct growth *growth, bool *loaded)
{
	struct message message;
	const struct peershm_report *report = &message.grew.report;

	if (!child_hear(&story->loader, MESSAGE_ANY, &message))
		return false;
	*loaded = message.kind == MESSAGE_LOADED;
	if (message.kind != MESSAGE_GREW)
		return true;
	if (!growth->grows)
		growth->start = message.grew.old_size;
	growth->grows++;
	growth->total += message.grew.ns;
	growth->clients = report->nr_peers;
	growth->last = message;
	story->grows++;
	story->size = message.grew.new_size;
	if (message.grew.ns > story->longest)
		story->longest = message.grew.ns;
	promise(report->mapped == report->nr_peers || report->gone,
		"the grow to %s mapped all %u clients: mapped %u, deferred %u, gone %u, partial %u",
		text_bytes(message.grew.new_size).s, report->nr_peers, report->mapped,
		report->deferred, report->gone, report->partial);
	return true;
}

static bool tell_loader(struct story *story, unsigned int quarter)
{
	struct message order = { .kind = MESSAGE_LOAD, .limit = story->symbols * quarter / 4 };

	return child_tell(&story->loader, &order);
}

/* Lets the loader load the symbols up to a quarter, and adds up how the region grew meanwhile. */
static bool load(struct story *story, unsigned int quarter, struct growth *growth)
{
	bool loaded = false;

	if (!tell_loader(story, quarter))
		return false;
	while (!loaded) {
		if (!hear_loader(story, growth, &loaded))
			return false;
	}
	return true;
}

/* Gets a look-up daemon's report, which it sends after it has read every page, and checks it. */
static bool check(struct story *story, struct child *child, enum message_kind order,
		  struct message *report)
{
	if (!child_ask(child, order, MESSAGE_ANSWERS, report))
		return false;
	promise(!report->answers.wrong, "%s: every answer is right (%" PRIu64 " were wrong)",
		child->name, report->answers.wrong);
	promise(!report->answers.faults, "%s: no page fault (%" PRIu64 ")", child->name,
		report->answers.faults);
	promise(report->answers.lookups && report->answers.touched == story->size,
		"%s: has answered, and read from every page there is", child->name);
	return true;
}

static bool find_client(struct story *story, const char *name, struct peershm_client_info *found)
{
	struct peershm_client_info clients[2 * LOOKUPS + 2];
	int n = peershm_clients(story->region, clients, sizeof(clients) / sizeof(clients[0]));

	if (n < 0)
		return complain("the registry", n);
	for (int i = 0; i < n && i < (int)(sizeof(clients) / sizeof(clients[0])); i++) {
		if (!strcmp(clients[i].name, name)) {
			*found = clients[i];
			return true;
		}
	}
	*found = (struct peershm_client_info){ 0 };
	return true;
}

static bool start_lookup(struct story *story, int i, struct message *ready)
{
	if (!child_start(&story->lookups[i], "lookup", REGION, lookup_names[i], story->key, ready))
		return false;
	promise(ready->ready.base == story->base, "%s: the region is at the same address",
		lookup_names[i]);
	return true;
}

static bool begin(struct story *story)
{
	struct peershm_options options = { .backing = story->backing };
	struct peershm_region_info info;
	struct peershm_client_info client;
	const struct key *key;
	struct message ready;
	struct utsname system;
	int err;

	story->key = key_make(SYMBOLS_FILE);
	if (story->key == -ENODATA) {
		fprintf(stderr, "peershm-demo: %s shows no addresses: run it as root\n",
			SYMBOLS_FILE);
		return false;
	}
	key = story->key < 0 ? NULL : key_map(story->key);
	if (!key)
		return complain(SYMBOLS_FILE, story->key < 0 ? story->key : errno);
	story->symbols = key->count;

	err = peershm_open(&story->region, REGION, NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE,
			   &options);
	if (!err)
		err = peershm_stat(story->region, &info);
	if (err) {
		complain("region " REGION, err);
		if (err == -EEXIST)
			fputs("peershm-demo: remove it first: peershmctl rm " REGION "\n", stderr);
		return false;
	}
	story->base = info.base;

	for (int i = 0; i < LOOKUPS; i++) {
		if (!start_lookup(story, i, &ready))
			return false;
		promise(!ready.ready.root, "%s: there is no root yet", lookup_names[i]);
	}
	if (!child_start(&story->loader, "loader", REGION, "loader", -1, &ready))
		return false;
	promise(ready.ready.base == story->base, "loader: the region is at the same address");

	uname(&system);
	printf("%sOne loader puts the %s symbols of Linux %s into region \"%s\",%s\n"
	       "as a search tree and a hash table of raw pointers, and grows it as it goes.\n"
	       "Three daemons look symbols up in it all the while, and check every answer.\n\n",
	       text_bold(), text_number(story->symbols).s, system.release, REGION, text_plain());
	for (int i = 0; i <= LOOKUPS; i++) {
		const char *name = i ? lookup_names[i - 1] : "loader";

		if (!find_client(story, name, &client))
			return false;
		printf("  %-10s PID %-5d client %-3" PRIu64 " region at 0x%" PRIx64 "\n", name,
		       client.pid, (uint64_t)client.id, (uint64_t)client.base);
	}
	printf("\n  Memory: %s. At most %s, none of it allocated yet.\n",
	       peershm_backing_name(story->backing), text_bytes(info.capacity).s);
	return true;
}

static bool grow_together(struct story *story)
{
	struct message order = { .kind = MESSAGE_BEGIN };
	struct message report;
	struct growth growth = { 0 };
	uint64_t faults = 0;

	text_heading("1. It grows while they read");
	if (!load(story, 0, &growth)) /* the table, empty, and the root */
		return false;
	for (int i = 0; i < LOOKUPS; i++) {
		if (!child_tell(&story->lookups[i], &order))
			return false;
	}
	if (!load(story, 1, &growth))
		return false;
	for (int i = 0; i < LOOKUPS; i++) {
		if (!check(story, &story->lookups[i], MESSAGE_REPORT, &report))
			return false;
		faults += report.answers.faults;
	}
	printf("  It grew by %s in %s. After each call all new memory is in the page tables\n"
	       "  of all %u clients; the daemons read every page of it, with %s page faults.\n",
	       text_bytes(story->size - growth.start).s, text_time(growth.total).s, growth.clients,
	       text_number(faults).s);
	return true;
}

static const char *result_name(uint32_t result)
{
	switch (result) {
	case PEERSHM_PEER_MAPPED:
		return "mapped";
	case PEERSHM_PEER_DEFERRED:
		return "deferred";
	case PEERSHM_PEER_GONE:
		return "gone";
	case PEERSHM_PEER_PARTIAL:
		return "partial";
	default:
		return "not named";
	}
}

static bool grow_while_stopped(struct story *story)
{
	struct child *child = &story->lookups[STOPPED];
	struct growth growth = { 0 };
	struct message report;
	uint32_t result = 0;
	uint64_t length;
	uint64_t present;

	text_heading("2. One daemon is stopped (SIGSTOP); growth does not wait for it");
	if (!child_stop(child) || !load(story, 2, &growth))
		return false;
	if (!promise(growth.grows, "the region grew while %s was stopped", child->name))
		return true;
	for (unsigned int i = 0; i < growth.clients && i < MESSAGE_PEERS; i++) {
		if (!strcmp(growth.last.grew.peers[i].name, child->name))
			result = growth.last.grew.peers[i].result;
	}
	promise(result == PEERSHM_PEER_MAPPED, "the report says of the stopped %s: mapped",
		child->name);
	length = story->size - growth.start;
	present = memory_present(child->pid, story->base + growth.start, length);
	promise(present == length, "%s has all new memory in its page tables while stopped",
		child->name);
	printf("  It grew by %s in %s. The report says of %s: %s.\n", text_bytes(length).s,
	       text_time(growth.total).s, child->name, result_name(result));
	printf("  Still stopped, it has %s of the new %s in its page tables (pagemap).\n",
	       text_bytes(present).s, text_bytes(length).s);

	if (!child_continue(child) || !check(story, child, MESSAGE_REPORT, &report))
		return false;
	printf("  SIGCONT: it reads every new page, with %s page faults since it began.\n",
	       text_number(report.answers.faults).s);
	return true;
}

static bool restart_killed(struct story *story)
{
	struct child *child = &story->lookups[KILLED];
	struct message order = { .kind = MESSAGE_BEGIN };
	struct peershm_client_info before;
	struct peershm_client_info after;
	struct growth growth = { 0 };
	struct message report;
	struct message ready;
	bool loaded = false;
	uint64_t start;

	text_heading("3. One daemon is killed (SIGKILL) and started again, amid growth");
	if (!find_client(story, child->name, &before) || !tell_loader(story, 3) ||
	    !hear_loader(story, &growth, &loaded) || !child_kill(child))
		return false;
	start = message_now();
	if (!start_lookup(story, KILLED, &ready) || !child_tell(child, &order) ||
	    !find_client(story, child->name, &after))
		return false;
	while (!loaded) {
		if (!hear_loader(story, &growth, &loaded))
			return false;
	}
	if (!check(story, child, MESSAGE_REPORT, &report))
		return false;
	promise(growth.grows, "the region grew while %s was killed and came back", child->name);
	promise(ready.ready.root, "%s found the root when it opened the region", child->name);
	promise(after.id && after.id != before.id && after.pid == child->pid,
		"%s has a new id in the registry, and its new PID", child->name);
	printf("  registry:  %s was client %" PRIu64 ", PID %d; it is client %" PRIu64 ", PID %d\n",
	       child->name, (uint64_t)before.id, before.pid, (uint64_t)after.id, after.pid);
	printf("  root:      0x%" PRIx64 ", handed to it as it opened the region\n",
	       ready.ready.root);
	printf("  and so:    first right answer %s after the kill, %s page faults from then on\n",
	       text_time(report.answers.first_ns - start).s, text_number(report.answers.faults).s);
	return true;
}

static bool finish(struct story *story)
{
	struct growth growth = { 0 };
	struct message report;

	text_heading("4. All is loaded");
	if (!load(story, 4, &growth))
		return false;
	printf("  %s symbols, %s in %u grows; the longest took %s.\n\n",
	       text_number(story->symbols).s, text_bytes(story->size).s, story->grows,
	       text_time(story->longest).s);
	printf("  %-10s %12s %8s %13s %13s\n", "", "look-ups", "wrong", "pages read",
	       "page faults");
	for (int i = 0; i < LOOKUPS; i++) {
		if (!check(story, &story->lookups[i], MESSAGE_STOP, &report))
			return false;
		printf("  %-10s %12s %8s %13s %13s%s\n", lookup_names[i],
		       text_number(report.answers.lookups).s, text_number(report.answers.wrong).s,
		       text_number(report.answers.touched / FAULTS_PAGE).s,
		       text_number(report.answers.faults).s,
		       i == KILLED ? "  (since its restart)" : "");
	}
	return true;
}

static bool touch(struct story *story, uint64_t offset, struct message *message)
{
	*message = (struct message){
		.kind = MESSAGE_TOUCH,
		.touch.address = story->base + offset,
	};
	return child_tell(&story->lookups[0], message) &&
	       child_hear(&story->lookups[0], MESSAGE_TOUCHED, message);
}

static bool shrink(struct story *story)
{
	struct peershm_region_info info;
	struct message inside;
	struct message beyond;
	int64_t freed;
	uint64_t ns;
	int err;

	text_heading("5. The readers have stopped; the region shrinks");
	err = peershm_stat(story->region, &info);
	if (err)
		return complain("region " REGION, err);
	freed = memory_free(&info);
	ns = message_now();
	err = peershm_shrink_force(story->region, info.page_size);
	ns = message_now() - ns;
	if (err)
		return complain("shrinking", err);
	freed = memory_free(&info) - freed;
	story->size = peershm_size(story->region);
	promise(freed > 0, "memory is back with the system");
	if (!touch(story, story->size - 1, &inside) || !touch(story, story->size, &beyond))
		return false;
	promise(!inside.touch.signal, "the last byte of the region can be read");
	promise(beyond.touch.signal == SIGBUS && beyond.touch.address == story->base + story->size,
		"a touch beyond the end is a SIGBUS at that address");
	printf("  %s left after %s, %s back with the system.\n", text_bytes(story->size).s,
	       text_time(ns).s, text_bytes(freed > 0 ? (uint64_t)freed : 0).s);
	printf("  lookup-1 reads the last byte: %s. The one beyond it, 0x%" PRIx64
	       ": %s, caught.\n",
	       inside.touch.signal ? strsignal(inside.touch.signal) : "fine",
	       story->base + story->size, beyond.touch.signal == SIGBUS ? "SIGBUS" : "no SIGBUS");
	return true;
}

static void show(const struct compare *columns, int n)
{
	static const struct {
		const char *title;
		size_t offset;
	} rows[] = {
		{ "in the calls that grow", offsetof(struct compare, grow_ns) },
		{ "in a peer, writing to its new pages", offsetof(struct compare, touch_ns) },
		{ "until every peer has written to all", offsetof(struct compare, total_ns) },
	};

	printf("  %-37s", "");
	for (int i = 0; i < n; i++)
		printf(" %*s", i ? 16 : 18, columns[i].title);
	printf("\n  %-37s", "page faults in the peers");
	for (int i = 0; i < n; i++)
		printf(" %*s", i ? 16 : 18, text_number(columns[i].faults).s);
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		printf("\n  %-37s", rows[row].title);
		for (int i = 0; i < n; i++) {
			const char *column = (const char *)&columns[i];
			const uint64_t *ns = (const uint64_t *)(column + rows[row].offset);

			printf(" %*s", i ? 16 : 18, text_time(*ns).s);
		}
	}
	putchar('\n');
}

static bool compare(struct story *story, uint64_t total)
{
	struct compare columns[3];
	int n = 2;

	text_heading("6. The same growth, beside memfd + ftruncate");
	if (!compare_memfd(&columns[0], total, LOADER_STEP) ||
	    !compare_peershm(&columns[1], PEERSHM_SMALL, total, LOADER_STEP))
		return false;
	if (story->backing != PEERSHM_SMALL) {
		if (!compare_peershm(&columns[2], story->backing, total, LOADER_STEP))
			return false;
		n = 3;
	}
	printf("  %s in steps of %s; %d peers write to each new page. Median of %d rounds.\n\n",
	       text_bytes(total).s, text_bytes(LOADER_STEP).s, COMPARE_PEERS, COMPARE_ROUNDS);
	columns[1].title = "peershm small";
	if (n == 3)
		columns[2].title = story->backing == PEERSHM_THP ? "peershm thp" :
								   "peershm hugetlb";
	show(columns, n);
	promise(columns[0].faults, "the peers of the memfd fault (or else nothing was measured)");
	for (int i = 1; i < n; i++)
		promise(!columns[i].faults, "%s: no page fault in the peers", columns[i].title);
	return true;
}

static bool tell(struct story *story)
{
	uint64_t total;

	if (!begin(story) || !grow_together(story) || !grow_while_stopped(story) ||
	    !restart_killed(story) || !finish(story))
		return false;
	total = story->size;
	return shrink(story) && compare(story, total);
}

bool story_run(enum peershm_backing backing)
{
	struct story story = { .backing = backing, .key = -1 };
	bool told;

	child_watch(SECONDS);
	told = tell(&story);
	child_end_all();
	if (story.region) {
		peershm_close(story.region);
		if (peershm_unlink(REGION))
			told = complain("region " REGION, -ENOENT);
	}
	if (story.key >= 0)
		close(story.key);
	return promise_verdict(told);
}
