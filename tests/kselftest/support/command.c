/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/mman.h>
#include <unistd.h>

#include "command.h"
#include "harness.h"

#define ROOT_NAME "command"
#define NR_RECORDS 4

/* Each thread of a process has its own: what its calls gave it, and room for answers. */
static _Thread_local int fd = -1;
static _Thread_local void *mapped;
static _Thread_local uint64_t cookie; /* of its last announcement */
static _Thread_local union {
	struct peershm_peer peers[NR_RECORDS];
	struct peershm_root_info roots[NR_RECORDS];
	struct peershm_client_info clients[NR_RECORDS];
	struct peershm_backing_info backings[NR_RECORDS];
} records;

static uint64_t region_of(const struct target *t)
{
	return t->by_id ? t->id : 0;
}

static void fill_create(const struct target *t, union argument *a)
{
	memcpy(a->create.name, t->created, PEERSHM_NAME_SIZE);
	a->create.capacity = t->capacity;
	a->create.backing = t->backing;
	a->create.mode = 0600;
	a->create.max_clients = 16;
}

static void fill_create_with_reserve(const struct target *t, union argument *a)
{
	fill_create(t, a);
	a->create.reserve = t->length;
}

static void fill_attach(const struct target *t, union argument *a)
{
	memcpy(a->attach.region_name, t->region, PEERSHM_NAME_SIZE);
	put_name(a->attach.client_name, COMMAND_CLIENT);
}

static void fill_attach_read_only(const struct target *t, union argument *a)
{
	fill_attach(t, a);
	a->flags = PEERSHM_ATTACH_READ_ONLY;
}

static void fill_report(struct peershm_map_report *report)
{
	report->peers = (uintptr_t)records.peers;
	report->nr_peers = NR_RECORDS;
	report->record_size = sizeof(struct peershm_peer);
	report->timeout_ms = PEERSHM_TIMEOUT_DEFAULT;
}

static void fill_grow(const struct target *t, union argument *a)
{
	a->grow.length = t->length;
	fill_report(&a->grow.report);
}

static void fill_peer_map(const struct target *t, union argument *a)
{
	(void)t;
	fill_report(&a->peer_map.report);
}

static void fill_peer_map_by_name(const struct target *t, union argument *a)
{
	fill_peer_map(t, a);
	a->flags = PEERSHM_MAP_BY_NAME;
	put_name(a->peer_map.name, "witness");
}

static void fill_set_root(const struct target *t, union argument *a)
{
	a->set_root.root = t->base + 64;
}

static void fill_publish(const struct target *t, union argument *a)
{
	fill_set_root(t, a);
	put_name(a->set_root.name, ROOT_NAME);
}

static void fill_withdraw(const struct target *t, union argument *a)
{
	put_name(a->set_root.name, ROOT_NAME);
	a->set_root.expected = t->base + 64;
}

static void fill_get_named_root(const struct target *t, union argument *a)
{
	(void)t;
	put_name(a->get_root.info.name, ROOT_NAME);
}

static void fill_roots(const struct target *t, union argument *a)
{
	(void)t;
	a->roots.roots = (uintptr_t)records.roots;
	a->roots.nr_roots = NR_RECORDS;
	a->roots.record_size = sizeof(struct peershm_root_info);
}

static void fill_set_reserve(const struct target *t, union argument *a)
{
	a->set_reserve.reserve = t->length;
}

static void fill_clients(const struct target *t, union argument *a)
{
	(void)t;
	a->clients.clients = (uintptr_t)records.clients;
	a->clients.nr_clients = NR_RECORDS;
	a->clients.record_size = sizeof(struct peershm_client_info);
}

static void fill_info(const struct target *t, union argument *a)
{
	(void)t;
	a->info.backings = (uintptr_t)records.backings;
	a->info.nr_backings = NR_RECORDS;
	a->info.record_size = sizeof(struct peershm_backing_info);
}

static void fill_resolve(const struct target *t, union argument *a)
{
	(void)t;
	put_name(a->resolve.name, "witness");
}

static void fill_resolve_by_pid(const struct target *t, union argument *a)
{
	(void)t;
	a->flags = PEERSHM_RESOLVE_BY_PID;
	a->resolve.pid = 1;
}

static void fill_stat_by_name(const struct target *t, union argument *a)
{
	memcpy(a->stat.name, t->region, PEERSHM_NAME_SIZE);
}

static void fill_watch(const struct target *t, union argument *a)
{
	a->watch.region = t->id;
}

static void fill_unlink(const struct target *t, union argument *a)
{
	memcpy(a->unlink.name, t->unlinked, PEERSHM_NAME_SIZE);
}

static long run_open(const struct target *t)
{
	(void)t;
	fd = device_open(O_RDWR);
	return fd < 0 ? fd : 0;
}

static long undo_open(const struct target *t)
{
	(void)t;
	return close(fd) ? -errno : 0;
}

/* Needs a file of its own: a file that watches does so until it is closed. */
static long run_watch(const struct target *t)
{
	long err = run_open(t);

	if (err)
		return err;
	err = do_watch(fd, t->id);
	if (err)
		close(fd);
	return err;
}

/* Whoever may not read the region does not find it in the list. */
static long run_regions(const struct target *t)
{
	int listed = region_is_listed(self.fd, t->region);

	return listed < 0 ? listed : listed ? 0 : -EACCES;
}

static long shrink(const struct target *t, uint32_t flags)
{
	return do_shrink_flags(self.fd, region_of(t), flags, 0, &cookie);
}

static long run_announce(const struct target *t)
{
	return shrink(t, PEERSHM_SHRINK_ANNOUNCE);
}

static long run_cancel(const struct target *t)
{
	return shrink(t, PEERSHM_SHRINK_CANCEL);
}

static long run_shrink_announced(const struct target *t)
{
	return shrink(t, PEERSHM_SHRINK_ANNOUNCED);
}

static long run_read(const struct target *t)
{
	struct peershm_event event;
	ssize_t n = read(self.fd, &event, sizeof(event));

	(void)t;
	return n < 0 ? -errno : n == sizeof(event) ? 0 : -EIO;
}

static long map_offset(uint64_t offset, int protection)
{
	mapped = mmap(NULL, SYSTEM_PAGE, protection, MAP_SHARED, self.fd, (off_t)offset);
	return mapped == MAP_FAILED ? -errno : 0;
}

static long run_map_header(const struct target *t)
{
	(void)t;
	return map_offset(PEERSHM_HEADER_OFFSET, PROT_READ);
}

static long run_map_control(const struct target *t)
{
	(void)t;
	return map_offset(PEERSHM_CONTROL_OFFSET, PROT_READ | PROT_WRITE);
}

static long undo_map(const struct target *t)
{
	(void)t;
	return munmap(mapped, SYSTEM_PAGE) ? -errno : 0;
}

static long undo_create(const struct target *t)
{
	return do_unlink(self.fd, t->created);
}

static long undo_attach(const struct target *t)
{
	(void)t;
	return do_detach(self.fd);
}

static long undo_grow(const struct target *t)
{
	return do_shrink(self.fd, region_of(t), t->step, NULL);
}

static long undo_shrink(const struct target *t)
{
	return do_grow_to(self.fd, region_of(t), t->step, NULL);
}

/*
 * Makes two records. It undoes an announcement, too, even one whose cookie is not known, as the
 * answer could not be copied: a client that announces anew withdraws what it announced before.
 */
static long announce_and_cancel(const struct target *t)
{
	long err = run_announce(t);

	return err ? err : run_cancel(t);
}

static long undo_set_root(const struct target *t)
{
	return do_set_root(self.fd, region_of(t), t->base + 64, 0);
}

static long undo_publish(const struct target *t)
{
	return do_publish(self.fd, region_of(t), ROOT_NAME, t->base + 64, 0);
}

/* A reserve is given back in the background. */
static bool reserve_is_gone(void *file)
{
	struct peershm_region_info info;

	return do_stat(*(int *)file, 0, NULL, &info) || !info.reserved;
}

static long undo_set_reserve(const struct target *t)
{
	long err = do_set_reserve(self.fd, region_of(t), 0);

	if (!err && !test_until(reserve_is_gone, &self.fd, DEADLINE_MS))
		err = -ETIMEDOUT;
	return err;
}

static long undo_detach(const struct target *t)
{
	return command_run(command_find("attach"), t);
}

/* Run the command of another row; what it makes may be left over from a run that failed. */
static long unless_there(const char *name, const struct target *t)
{
	long err = command_run(command_find(name), t);

	return err == -EEXIST ? 0 : err;
}

static long prepare_unlink(const struct target *t)
{
	return unless_there("create", t);
}

static long prepare_root(const struct target *t)
{
	return unless_there("publish", t);
}

#define IOCTL(lower, upper) .ioctl = PEERSHM_IOC_##upper, .size = sizeof(struct peershm_##lower)
#define FIELD(lower, field) offsetof(struct peershm_##lower, field)

/*
 * In this order, one client (with new files for what runs OUTSIDE) can make each ioctl once
 * without taking anything back.
 */
const struct command commands[] = {
	{ "open", .where = OUTSIDE, .run = run_open, .undo = undo_open },
	{ "watch", IOCTL(watch, WATCH), .region = FIELD(watch, region), .fill = fill_watch,
	  .run = run_watch, .undo = undo_open, .where = OUTSIDE, .needs = MAY_READ },
	{ "create", IOCTL(create, CREATE), .names = { FIELD(create, name) },
	  .padding = FIELD(create, reserved), .fill = fill_create, .undo = undo_create,
	  .where = UNDONE },
	{ "create with reserve", IOCTL(create, CREATE), .fill = fill_create_with_reserve,
	  .undo = undo_create, .where = UNDONE, .clears = true },
	{ "attach", IOCTL(attach, ATTACH),
	  .names = { FIELD(attach, region_name), FIELD(attach, client_name) },
	  .flags = PEERSHM_ATTACH_READ_ONLY | PEERSHM_ATTACH_DUMP, .fill = fill_attach,
	  .undo = undo_attach, .where = UNDONE, .needs = MAY_READ | MAY_WRITE, .waits = true,
	  .joins = true },
	{ "attach read-only", IOCTL(attach, ATTACH), .fill = fill_attach_read_only,
	  .undo = undo_attach, .needs = MAY_READ },
	{ "grow", IOCTL(grow, GROW), .region = FIELD(grow, region), .flags = PEERSHM_GROW_TO,
	  .fill = fill_grow, .undo = undo_grow, .where = INSIDE, .needs = MAY_WRITE,
	  .waits = true },
	{ "peer map", IOCTL(peer_map, PEER_MAP), .region = FIELD(peer_map, region),
	  .padding = FIELD(peer_map, reserved), .flags = PEERSHM_MAP_BY_PID | PEERSHM_MAP_BY_NAME,
	  .fill = fill_peer_map, .where = INSIDE, .needs = MAY_WRITE, .waits = true },
	{ "peer map by name", IOCTL(peer_map, PEER_MAP), .region = FIELD(peer_map, region),
	  .names = { FIELD(peer_map, name) }, .fill = fill_peer_map_by_name, .needs = MAY_WRITE,
	  .unprepared = -ENOENT },
	{ "set root", IOCTL(set_root, SET_ROOT), .region = FIELD(set_root, region),
	  .padding = FIELD(set_root, expected_generation), .flags = PEERSHM_ROOT_GENERATION,
	  .fill = fill_set_root, .undo = undo_set_root, .where = INSIDE, .needs = MAY_WRITE },
	{ "publish", IOCTL(set_root, SET_ROOT), .region = FIELD(set_root, region),
	  .names = { FIELD(set_root, name) }, .fill = fill_publish, .undo = undo_publish,
	  .where = INSIDE, .needs = MAY_WRITE },
	{ "withdraw", IOCTL(set_root, SET_ROOT), .region = FIELD(set_root, region),
	  .fill = fill_withdraw, .prepare = prepare_root, .where = INSIDE, .needs = MAY_WRITE,
	  .unprepared = -EEXIST },
	{ "get root", IOCTL(get_root, GET_ROOT), .region = FIELD(get_root, region), .where = INSIDE,
	  .needs = MAY_READ },
	{ "get named root", IOCTL(get_root, GET_ROOT), .region = FIELD(get_root, region),
	  .names = { FIELD(get_root, info.name) }, .fill = fill_get_named_root,
	  .prepare = prepare_root, .undo = undo_publish, .where = INSIDE, .needs = MAY_READ,
	  .unprepared = -ENOENT },
	{ "roots", IOCTL(roots, ROOTS), .region = FIELD(roots, region), .fill = fill_roots,
	  .prepare = prepare_root, .undo = undo_publish, .where = INSIDE, .needs = MAY_READ },
	{ "set reserve", IOCTL(set_reserve, SET_RESERVE), .region = FIELD(set_reserve, region),
	  .fill = fill_set_reserve, .undo = undo_set_reserve, .where = INSIDE, .needs = MAY_WRITE,
	  .clears = true },
	{ "shrink", IOCTL(shrink, SHRINK), .region = FIELD(shrink, region),
	  .padding = FIELD(shrink, cookie),
	  .flags = PEERSHM_SHRINK_ANNOUNCE | PEERSHM_SHRINK_CANCEL | PEERSHM_SHRINK_ANNOUNCED |
		   PEERSHM_SHRINK_FORCE,
	  .undo = undo_shrink, .where = INSIDE, .needs = MAY_WRITE, .waits = true },
	{ "announce", IOCTL(shrink, SHRINK), .region = FIELD(shrink, region), .run = run_announce,
	  .undo = announce_and_cancel, .where = INSIDE, .needs = MAY_WRITE,
	  .unprepared = -ENOTCONN },
	{ "cancel", IOCTL(shrink, SHRINK), .region = FIELD(shrink, region), .run = run_cancel,
	  .needs = MAY_WRITE, .unprepared = -ENOTCONN },
	{ "shrink announced", IOCTL(shrink, SHRINK), .region = FIELD(shrink, region),
	  .prepare = run_announce, .run = run_shrink_announced, .undo = undo_shrink,
	  .where = INSIDE, .needs = MAY_WRITE, .unprepared = -ECANCELED, .waits = true,
	  .clears = true },
	{ "clients", IOCTL(clients, CLIENTS), .region = FIELD(clients, region),
	  .fill = fill_clients, .where = INSIDE, .needs = MAY_READ },
	{ "resolve", IOCTL(resolve, RESOLVE), .region = FIELD(resolve, region),
	  .names = { FIELD(resolve, name) }, .padding = FIELD(resolve, reserved),
	  .flags = PEERSHM_RESOLVE_BY_PID, .fill = fill_resolve, .where = INSIDE, .needs = MAY_READ,
	  .unprepared = -ENOENT },
	{ "resolve by PID", IOCTL(resolve, RESOLVE), .region = FIELD(resolve, region),
	  .fill = fill_resolve_by_pid, .needs = MAY_READ, .unprepared = -ENOENT },
	{ "info", IOCTL(info, INFO), .fill = fill_info, .where = OUTSIDE },
	{ "regions", IOCTL(regions, REGIONS), .run = run_regions, .where = OUTSIDE,
	  .needs = MAY_READ },
	{ "stat", IOCTL(stat, STAT), .region = FIELD(stat, region), .where = INSIDE,
	  .needs = MAY_READ },
	{ "stat by name", IOCTL(stat, STAT), .names = { FIELD(stat, name) },
	  .fill = fill_stat_by_name, .needs = MAY_READ },
	{ "read", .prepare = announce_and_cancel, .run = run_read, .where = INSIDE },
	{ "map header", .run = run_map_header, .undo = undo_map, .where = INSIDE },
	{ "map control", .run = run_map_control, .undo = undo_map, .where = INSIDE },
	{ "unlink", IOCTL(unlink, UNLINK), .names = { FIELD(unlink, name) }, .fill = fill_unlink,
	  .prepare = prepare_unlink, .where = OUTSIDE, .needs = MAY_OWN },
	{ "unlink by id", IOCTL(unlink, UNLINK), .region = FIELD(unlink, region), .needs = MAY_OWN,
	  .unprepared = -ENOENT },
	{ "detach", IOCTL(detach, DETACH), .undo = undo_detach, .where = INSIDE, .waits = true,
	  .joins = true },
};
const unsigned int nr_commands = sizeof(commands) / sizeof(commands[0]);

const struct command *command_next(const struct command *from, bool ioctls)
{
	for (const struct command *c = from; c < commands + nr_commands; c++) {
		if (ioctls ? c->ioctl && c->ioctl != c[-1].ioctl : c->where != NOT_EVERYWHERE)
			return c;
	}
	return NULL;
}

const struct command *command_find(const char *name)
{
	const struct command *c = commands;

	while (strcmp(c->name, name) != 0)
		c++;
	return c;
}

void command_fill(const struct command *c, const struct target *t, union argument *a)
{
	memset(a, 0, sizeof(*a));
	a->size = (uint32_t)c->size;
	if (c->region)
		*(uint64_t *)(a->bytes + c->region) = region_of(t);
	if (c->fill)
		c->fill(t, a);
}

long command_prepare(const struct command *c, const struct target *t)
{
	return c->prepare ? c->prepare(t) : 0;
}

long command_run(const struct command *c, const struct target *t)
{
	union argument a;

	if (c->run)
		return c->run(t);
	command_fill(c, t, &a);
	return xioctl(self.fd, c->ioctl, &a);
}

long command_undo(const struct command *c, const struct target *t)
{
	return c->undo ? c->undo(t) : 0;
}

struct order {
	const struct command *command;
	struct target target;
};

static long run_order(void *arg)
{
	const struct order *o = arg;

	return command_run(o->command, &o->target);
}

long peer_command(struct peer *p, const struct command *c, const struct target *t)
{
	struct order o = { c, *t };

	return peer_call(p, run_order, &o, sizeof(o));
}

void command_clean(int file, const struct target *t)
{
	struct peershm_region_info info;

	do_unlink(file, t->created);
	assert_ok(do_set_reserve(file, 0, 0));
	assert_true(test_until(reserve_is_gone, &file, DEADLINE_MS));
	/* A shrink to nothing also removes the roots and the announcement. */
	assert_ok(do_shrink(file, 0, 0, NULL));
	assert_ok(do_grow_to(file, 0, t->step, NULL));
	assert_ok(do_stat(file, 0, NULL, &info));
	assert_int_equal(info.nr_roots, 0);
}

bool command_is_worth(const struct command *c, const struct backing *b)
{
	return b->page < GIB || !c->clears;
}

bool command_shrinks(const struct command *c)
{
	return c->undo == undo_shrink;
}

struct target target_of(const struct region *r, uint64_t step)
{
	struct target t = {
		.created = "injected",
		.unlinked = "injected",
		.id = r->id,
		.base = r->base,
		.step = step,
		.length = step,
		.capacity = r->backing->capacity,
		.backing = r->backing->id,
	};

	memcpy(t.region, r->name, sizeof(t.region));
	return t;
}

static long device_for_self(void *arg)
{
	(void)arg;
	self.fd = device_open(O_RDWR);
	return self.fd < 0 ? self.fd : 0;
}

struct peer *command_peer(const struct region *r, bool client)
{
	static unsigned int joined;
	char name[PEERSHM_NAME_SIZE];
	struct peer *p;

	snprintf(name, sizeof(name), "inside %u", joined++);
	if (client)
		return peer_join(r, name);
	p = peer_new();
	assert_ok(peer_call(p, device_for_self, NULL, 0));
	return p;
}
