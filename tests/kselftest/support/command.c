/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "command.h"

/* What the commands are done to that have something of their own to do it to. */
#define OTHER_REGION "injected"
#define ROOT_NAME "injected"

/* What open() and mmap() gave, in each thread of the peer. A client's file is self.fd. */
static _Thread_local int fd = -1;
static _Thread_local void *mapped;

static void name_set(char to[PEERSHM_NAME_SIZE], const char *from)
{
	memset(to, 0, PEERSHM_NAME_SIZE);
	snprintf(to, PEERSHM_NAME_SIZE, "%s", from);
}

static long run_open(void *arg)
{
	(void)arg;
	fd = open(PEERSHM_DEVICE, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static long undo_open(void *arg)
{
	(void)arg;
	return close(fd) < 0 ? -errno : 0;
}

static long run_watch(void *arg)
{
	long err = run_open(arg);

	if (err)
		return err;
	err = do_watch(fd, ((const struct operation_target *)arg)->id);
	if (err)
		close(fd);
	return err;
}

static long create(const struct operation_target *in, uint64_t reserve)
{
	struct peershm_create c = {
		.size = sizeof(c),
		.capacity = in->capacity,
		.backing = in->backing,
		.mode = 0600,
		.max_clients = 16,
		.reserve = reserve,
	};

	name_set(c.name, OTHER_REGION);
	return xioctl(self.fd, PEERSHM_IOC_CREATE, &c);
}

static long run_create(void *arg)
{
	return create(arg, 0);
}

static long run_create_with_reserve(void *arg)
{
	const struct operation_target *in = arg;

	return create(in, in->length);
}

static long run_unlink(void *arg)
{
	(void)arg;
	return do_unlink(self.fd, OTHER_REGION);
}

/* What is to be there may be, from a run that failed. */
static long unless_there(long err)
{
	return err == -EEXIST ? 0 : err;
}

static long prepare_unlink(void *arg)
{
	return unless_there(run_create(arg));
}

static long run_attach(void *arg)
{
	const struct operation_target *in = arg;
	struct peershm_attach a = { .size = sizeof(a) };

	name_set(a.region_name, in->region);
	name_set(a.client_name, "injected");
	return xioctl(self.fd, PEERSHM_IOC_ATTACH, &a);
}

static long run_detach(void *arg)
{
	struct peershm_detach d = { .size = sizeof(d) };

	(void)arg;
	return xioctl(self.fd, PEERSHM_IOC_DETACH, &d);
}

static long run_grow(void *arg)
{
	const struct operation_target *in = arg;
	struct peershm_peer peers[4];
	struct peershm_grow g = {
		.size = sizeof(g),
		.length = in->length,
		.report = { .peers = (uintptr_t)peers, .nr_peers = 4 },
	};

	return xioctl(self.fd, PEERSHM_IOC_GROW, &g);
}

static long run_shrink(void *arg)
{
	const struct operation_target *in = arg;

	return do_shrink(self.fd, 0, in->step, NULL);
}

static long run_shrink_to_nothing(void *arg)
{
	(void)arg;
	return do_shrink(self.fd, 0, 0, NULL);
}

static long undo_shrink(void *arg)
{
	const struct operation_target *in = arg;

	return do_grow_to(self.fd, 0, in->step, NULL);
}

static long run_announce(void *arg)
{
	(void)arg;
	return do_shrink_flags(self.fd, 0, PEERSHM_SHRINK_ANNOUNCE, 0);
}

static long undo_announce(void *arg)
{
	(void)arg;
	return do_shrink_flags(self.fd, 0, PEERSHM_SHRINK_CANCEL, 0);
}

static long run_shrink_announced(void *arg)
{
	(void)arg;
	return do_shrink_flags(self.fd, 0, PEERSHM_SHRINK_ANNOUNCED, 0);
}

static long run_peer_map(void *arg)
{
	struct peershm_peer peers[4];
	struct peershm_peer_map m = {
		.size = sizeof(m),
		.report = { .peers = (uintptr_t)peers, .nr_peers = 4 },
	};

	(void)arg;
	return xioctl(self.fd, PEERSHM_IOC_PEER_MAP, &m);
}

static long run_set_root(void *arg)
{
	const struct operation_target *in = arg;

	return do_set_root(self.fd, 0, 0, in->base + 64);
}

static long undo_set_root(void *arg)
{
	const struct operation_target *in = arg;

	return do_set_root(self.fd, 0, in->base + 64, 0);
}

static long run_publish(void *arg)
{
	const struct operation_target *in = arg;

	return do_publish(self.fd, 0, ROOT_NAME, 0, in->base + 64);
}

static long run_withdraw(void *arg)
{
	const struct operation_target *in = arg;

	return do_publish(self.fd, 0, ROOT_NAME, in->base + 64, 0);
}

static long prepare_root(void *arg)
{
	return unless_there(run_publish(arg));
}

static long set_reserve(int file, uint64_t bytes)
{
	struct peershm_set_reserve r = { .size = sizeof(r), .reserve = bytes };

	return xioctl(file, PEERSHM_IOC_SET_RESERVE, &r);
}

static long run_set_reserve(void *arg)
{
	return set_reserve(self.fd, ((const struct operation_target *)arg)->length);
}

/* None of it is left, now or after a moment. */
static bool reserve_is_gone(void *file)
{
	struct peershm_region_info info;

	return do_stat(*(int *)file, 0, NULL, &info) || !info.reserved;
}

static long undo_set_reserve(void *arg)
{
	long err = set_reserve(self.fd, 0);

	(void)arg;
	if (!err && !test_until(reserve_is_gone, &self.fd, DEADLINE_MS))
		err = -ETIMEDOUT;
	return err;
}

static long run_get_root(void *arg)
{
	struct peershm_get_root g = { .size = sizeof(g) };

	(void)arg;
	return xioctl(self.fd, PEERSHM_IOC_GET_ROOT, &g);
}

static long run_get_named_root(void *arg)
{
	struct peershm_root_info info;

	(void)arg;
	return do_get_root(self.fd, 0, ROOT_NAME, &info);
}

static long run_roots(void *arg)
{
	struct peershm_root_info infos[4];
	struct peershm_roots r = { .size = sizeof(r), .roots = (uintptr_t)infos, .nr_roots = 4 };

	(void)arg;
	return xioctl(self.fd, PEERSHM_IOC_ROOTS, &r);
}

static long run_clients(void *arg)
{
	struct peershm_client_info infos[4];
	long n = do_clients(self.fd, 0, infos, 4);

	(void)arg;
	return n < 0 ? n : 0;
}

static long run_resolve(void *arg)
{
	pid_t pid;

	(void)arg;
	return do_resolve_name(self.fd, 0, "witness", &pid);
}

static long run_regions(void *arg)
{
	struct peershm_region_info infos[4];
	struct peershm_regions r = {
		.size = sizeof(r),
		.regions = (uintptr_t)infos,
		.nr_regions = 4,
	};

	(void)arg;
	return xioctl(self.fd, PEERSHM_IOC_REGIONS, &r);
}

static long run_stat(void *arg)
{
	struct peershm_region_info info;

	(void)arg;
	return do_stat(self.fd, 0, NULL, &info);
}

/* Two records at least: somebody announced a shrink, and nothing came of it. */
static long prepare_read(void *arg)
{
	long err = run_announce(arg);

	return err ? err : undo_announce(arg);
}

static long run_read(void *arg)
{
	struct peershm_event event;
	ssize_t n = read(self.fd, &event, sizeof(event));

	(void)arg;
	return n < 0 ? -errno : n == sizeof(event) ? 0 : -EIO;
}

static long map_offset(uint64_t offset, int protection)
{
	mapped = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), protection, MAP_SHARED, self.fd,
		      (off_t)offset);
	return mapped == MAP_FAILED ? -errno : 0;
}

static long run_map_header(void *arg)
{
	(void)arg;
	return map_offset(PEERSHM_HEADER_OFFSET, PROT_READ);
}

static long run_map_control(void *arg)
{
	(void)arg;
	return map_offset(PEERSHM_CONTROL_OFFSET, PROT_READ | PROT_WRITE);
}

static long undo_map(void *arg)
{
	(void)arg;
	return munmap(mapped, (size_t)sysconf(_SC_PAGESIZE)) < 0 ? -errno : 0;
}

const struct operation operations[] = {
	{ "open", NULL, run_open, undo_open, OPERATION_OUTSIDE },
	{ "watch", NULL, run_watch, undo_open, OPERATION_OUTSIDE },
	{ "create", NULL, run_create, run_unlink, OPERATION_UNDONE },
	{ "create with reserve", NULL, run_create_with_reserve, run_unlink, OPERATION_UNDONE },
	{ "unlink", prepare_unlink, run_unlink, NULL, OPERATION_OUTSIDE },
	{ "attach", NULL, run_attach, run_detach, OPERATION_UNDONE },
	{ "grow", NULL, run_grow, run_shrink, OPERATION_INSIDE },
	{ "shrink", NULL, run_shrink_to_nothing, undo_shrink, OPERATION_INSIDE },
	{ "announce", NULL, run_announce, undo_announce, OPERATION_INSIDE },
	{ "shrink announced", run_announce, run_shrink_announced, undo_shrink, OPERATION_INSIDE },
	{ "peer map", NULL, run_peer_map, NULL, OPERATION_INSIDE },
	{ "set root", NULL, run_set_root, undo_set_root, OPERATION_INSIDE },
	{ "get root", NULL, run_get_root, NULL, OPERATION_INSIDE },
	{ "publish", NULL, run_publish, run_withdraw, OPERATION_INSIDE },
	{ "withdraw", prepare_root, run_withdraw, NULL, OPERATION_INSIDE },
	{ "get named root", prepare_root, run_get_named_root, run_withdraw, OPERATION_INSIDE },
	{ "roots", prepare_root, run_roots, run_withdraw, OPERATION_INSIDE },
	{ "set reserve", NULL, run_set_reserve, undo_set_reserve, OPERATION_INSIDE },
	{ "clients", NULL, run_clients, NULL, OPERATION_INSIDE },
	{ "resolve", NULL, run_resolve, NULL, OPERATION_INSIDE },
	{ "regions", NULL, run_regions, NULL, OPERATION_INSIDE },
	{ "stat", NULL, run_stat, NULL, OPERATION_INSIDE },
	{ "read", prepare_read, run_read, NULL, OPERATION_INSIDE },
	{ "map header", NULL, run_map_header, undo_map, OPERATION_INSIDE },
	{ "map control", NULL, run_map_control, undo_map, OPERATION_INSIDE },
	{ "detach", NULL, run_detach, run_attach, OPERATION_INSIDE },
};
const int nr_operations = sizeof(operations) / sizeof(operations[0]);

int operation_find(const char *name)
{
	int i = 0;

	while (strcmp(operations[i].name, name) != 0)
		i++;
	return i;
}

long operation_prepare(int operation, struct operation_target *target)
{
	return operations[operation].prepare ? operations[operation].prepare(target) : 0;
}

long operation_undo(int operation, struct operation_target *target)
{
	return operations[operation].undo ? operations[operation].undo(target) : 0;
}

void operation_clean(int file, const struct operation_target *target)
{
	struct peershm_region_info info;

	do_unlink(file, OTHER_REGION);
	assert_ok(set_reserve(file, 0));
	assert_true(test_until(reserve_is_gone, &file, DEADLINE_MS));
	/* With the memory go roots, and what was announced. */
	assert_ok(do_shrink(file, 0, 0, NULL));
	assert_ok(do_grow_to(file, 0, target->step, NULL));
	assert_ok(do_stat(file, 0, NULL, &info));
	assert_int_equal(info.nr_roots, 0);
}

bool operation_is_worth(int operation, const struct backing *b)
{
	peer_function run = operations[operation].run;

	return b->page < GIB || (run != run_create_with_reserve && run != run_set_reserve &&
				 run != run_shrink_announced);
}

bool operation_attaches(int operation)
{
	return operations[operation].run == run_attach || operations[operation].run == run_detach;
}

bool operation_shrinks(int operation)
{
	return operations[operation].undo == undo_shrink;
}

struct operation_target operation_target_of(const struct region *r, uint64_t step)
{
	struct operation_target t = {
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

struct peer *operation_peer(const struct region *r, bool client)
{
	static unsigned int joined;
	char name[PEERSHM_NAME_SIZE];
	struct peer *p;

	snprintf(name, sizeof(name), "injected-inside-%u", joined++);
	if (client)
		return peer_join(r, name);
	p = peer_new();
	assert_ok(peer_call(p, device_for_self, NULL, 0));
	return p;
}
