// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "demo.h"
#include "key.h"

#define SYMBOLS "/proc/kallsyms"
#define REGION "symbols"
#define LOOKUPS 3
#define STOPPED 1 /* the look-up daemon that is stopped */
#define KILLED 2  /* and the one that is killed */

static const char *const lookup_names[LOOKUPS] = { "lookup-1", "lookup-2", "lookup-3" };

struct story {
	enum peershm_backing backing;
	struct peershm *region; /* a handle without a client */
	uint64_t base;
	int key;
	uint64_t symbols;
	struct child *loader;
	struct child *lookups[LOOKUPS];
	uint64_t size; /* of the region, after the loader's last grow */
	unsigned int grows;
	uint64_t longest; /* the longest grow so far, in ns */
};

/* What the loader reports of one part of the story. */
struct growth {
	uint64_t start; /* the size before it */
	uint64_t total; /* ns in all calls that grow, 0 if there was none */
	struct message last;
	bool loaded; /* all of this part is */
};

/* Receives the loader's next message: the region grew, or this part is loaded. */
static bool hear_loader(struct story *story, struct growth *growth)
{
	struct message message;
	const struct peershm_report *report = &message.grew.report;

	if (!child_hear(story->loader, &message))
		return false;
	growth->loaded = message.kind == MESSAGE_LOADED;
	if (growth->loaded)
		return true;
	if (!growth->total)
		growth->start = report->old_size;
	growth->total += message.grew.ns;
	growth->last = message;
	story->grows++;
	story->size = report->new_size;
	if (message.grew.ns > story->longest)
		story->longest = message.grew.ns;
	promise(report->mapped == report->nr_peers || report->gone,
		"the grow to %s mapped all %u clients: mapped %u, deferred %u, gone %u, partial %u",
		text_bytes(report->new_size).s, report->nr_peers, report->mapped, report->deferred,
		report->gone, report->partial);
	return true;
}

static bool tell_loader(struct story *story, unsigned int quarter)
{
	return child_tell(story->loader,
			  &(struct message){ .kind = MESSAGE_LOAD,
					     .limit = story->symbols * quarter / 4 });
}

static bool hear_all(struct story *story, struct growth *growth)
{
	while (!growth->loaded) {
		if (!hear_loader(story, growth))
			return false;
	}
	return true;
}

/* Lets the loader load the symbols up to a quarter, and adds up how the region grew meanwhile. */
static bool load(struct story *story, unsigned int quarter, struct growth *growth)
{
	growth->loaded = false;
	return tell_loader(story, quarter) && hear_all(story, growth);
}

/* Gets a look-up daemon's report, which it sends after it has read every page, and checks it. */
static bool check(struct story *story, struct child *child, enum message_kind order,
		  struct message *report)
{
	report->kind = order;
	if (!child_ask(child, report, MESSAGE_ANSWERS))
		return false;
	promise(!report->answers.wrong, "%s: every answer is right (%" PRIu64 " were wrong)",
		child->name, report->answers.wrong);
	promise(!report->answers.faults, "%s: no page fault (%" PRIu64 ")", child->name,
		report->answers.faults);
	promise(report->answers.lookups && report->answers.touched == story->size,
		"%s: has answered, and read from every page there is", child->name);
	return true;
}

/* Finds a client in the registry; if it is not there, `found` has the id 0. */
static bool find_client(struct story *story, const char *name, struct peershm_client_info *found)
{
	struct peershm_client_info clients[2 * LOOKUPS + 2];
	int most = sizeof(clients) / sizeof(clients[0]);
	int n = peershm_clients(story->region, clients, (size_t)most);

	*found = (struct peershm_client_info){ 0 };
	for (int i = 0; i < n && i < most; i++) {
		if (!strcmp(clients[i].name, name))
			*found = clients[i];
	}
	return n >= 0 || complain("the registry", "%s", peershm_strerror(n));
}

static bool start_lookup(struct story *story, int i, struct message *ready)
{
	story->lookups[i] = child_start("demo-lookup", REGION, lookup_names[i], story->key, ready);
	if (!story->lookups[i])
		return false;
	promise(ready->ready.base == story->base, "%s: the region is at the same address",
		lookup_names[i]);
	return true;
}

static bool make_region(struct story *story, struct peershm_region_info *info)
{
	struct peershm_options options = { .backing = story->backing };
	int err = peershm_open(&story->region, REGION, NULL, PEERSHM_CREATE | PEERSHM_EXCLUSIVE,
			       &options);

	if (err == -EEXIST)
		return complain(REGION, "there is one: peershmctl rm " REGION " removes it");
	if (!err)
		err = peershm_stat(story->region, info);
	if (err)
		return complain(REGION, "%s", peershm_strerror(err));
	story->base = info->base;
	return true;
}

static bool begin(struct story *story)
{
	struct peershm_region_info info;
	struct peershm_client_info client;
	const struct key *key;
	struct message ready;
	struct utsname system;

	story->key = key_make(SYMBOLS);
	if (story->key == -ENODATA)
		return complain(SYMBOLS, "it shows no addresses: run this as root");
	key = story->key < 0 ? NULL : key_map(story->key);
	if (!key)
		return complain(SYMBOLS, "%s", strerror(story->key < 0 ? -story->key : errno));
	story->symbols = key->count;
	if (!make_region(story, &info))
		return false;

	for (int i = 0; i < LOOKUPS; i++) {
		if (!start_lookup(story, i, &ready))
			return false;
		promise(!ready.ready.root, "%s: there is no root yet", lookup_names[i]);
	}
	story->loader = child_start("demo-loader", REGION, "loader", story->key, &ready);
	if (!story->loader)
		return false;
	promise(ready.ready.base == story->base, "loader: the region is at the same address");

	uname(&system);
	printf("%sOne loader puts the %s symbols of Linux %s into region \"%s\",%s\n"
	       "as a skip list and a hash table of raw pointers, and grows it as it goes.\n"
	       "Three daemons look symbols up in it all the while, and check every answer.\n\n",
	       text_colour(TEXT_BOLD), text_number(story->symbols).s, system.release, REGION,
	       text_colour(TEXT_PLAIN));
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
		if (!child_tell(story->lookups[i], &order))
			return false;
	}
	if (!load(story, 1, &growth))
		return false;
	for (int i = 0; i < LOOKUPS; i++) {
		if (!check(story, story->lookups[i], MESSAGE_REPORT, &report))
			return false;
		faults += report.answers.faults;
	}
	printf("  It grew by %s in %s. After each call all new memory is in the page tables\n"
	       "  of all %u clients; the daemons read every page of it, with %s page faults.\n",
	       text_bytes(story->size - growth.start).s, text_time(growth.total).s,
	       growth.last.grew.report.nr_peers, text_number(faults).s);
	return true;
}

static bool grow_while_stopped(struct story *story)
{
	struct child *child = story->lookups[STOPPED];
	struct growth growth = { 0 };
	struct message report;
	uint32_t result = 0;
	uint64_t length;
	uint64_t present;

	text_heading("2. One daemon is stopped (SIGSTOP); growth does not wait for it");
	if (!child_stop(child) || !load(story, 2, &growth))
		return false;
	promise(growth.total, "the region grew while %s was stopped", child->name);
	for (int i = 0; i < MESSAGE_PEERS; i++) {
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
	       text_time(growth.total).s, child->name,
	       result == PEERSHM_PEER_MAPPED ? "mapped" : "not mapped");
	printf("  Still stopped, it has %s of the new %s in its page tables (pagemap).\n",
	       text_bytes(present).s, text_bytes(length).s);

	if (kill(child->pid, SIGCONT) || !check(story, child, MESSAGE_REPORT, &report))
		return false;
	printf("  SIGCONT: it reads every new page, with %s page faults since it began.\n",
	       text_number(report.answers.faults).s);
	return true;
}

static bool restart_killed(struct story *story)
{
	const char *name = lookup_names[KILLED];
	struct message order = { .kind = MESSAGE_BEGIN };
	struct peershm_client_info before;
	struct peershm_client_info after;
	struct growth growth = { 0 };
	struct message report;
	struct message ready;
	uint64_t start;

	text_heading("3. One daemon is killed (SIGKILL) and started again, amid growth");
	if (!find_client(story, name, &before) || !tell_loader(story, 3) ||
	    !hear_loader(story, &growth) || !child_kill(story->lookups[KILLED]))
		return false;
	start = now_ns();
	if (!start_lookup(story, KILLED, &ready) || !child_tell(story->lookups[KILLED], &order) ||
	    !find_client(story, name, &after) || !hear_all(story, &growth) ||
	    !check(story, story->lookups[KILLED], MESSAGE_REPORT, &report))
		return false;
	promise(growth.total, "the region grew while %s was killed and came back", name);
	promise(ready.ready.root, "%s found the root when it opened the region", name);
	promise(after.id && after.id != before.id && after.pid == story->lookups[KILLED]->pid,
		"%s has a new id in the registry, and its new PID", name);
	printf("  registry:  %s was client %" PRIu64 ", PID %d; it is client %" PRIu64 ", PID %d\n",
	       name, (uint64_t)before.id, before.pid, (uint64_t)after.id, after.pid);
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
		if (!check(story, story->lookups[i], MESSAGE_STOP, &report))
			return false;
		printf("  %-10s %12s %8s %13s %13s%s\n", lookup_names[i],
		       text_number(report.answers.lookups).s, text_number(report.answers.wrong).s,
		       text_number(report.answers.touched / SMALLEST_PAGE).s,
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
	return child_ask(story->lookups[0], message, MESSAGE_TOUCHED);
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
		return complain(REGION, "%s", peershm_strerror(err));
	freed = memory_free(&info);
	ns = now_ns();
	err = peershm_shrink_force(story->region, info.page_size);
	ns = now_ns() - ns;
	if (err)
		return complain("shrinking", "%s", peershm_strerror(err));
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

static bool tell(struct story *story)
{
	uint64_t total;

	if (!begin(story) || !grow_together(story) || !grow_while_stopped(story) ||
	    !restart_killed(story) || !finish(story))
		return false;
	total = story->size;
	return shrink(story) && compare_tell(story->backing, total);
}

bool story_tell(enum peershm_backing backing)
{
	struct story story = { .backing = backing };
	bool told;

	child_watch();
	told = tell(&story);
	child_kill_all();
	if (story.region) {
		peershm_close(story.region);
		if (peershm_unlink(REGION))
			told = complain(REGION, "it was there no more");
	}
	return promise_verdict(told);
}
