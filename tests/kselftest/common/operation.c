/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "operation.h"

static int fd = -1; /* what the peer opened; a client's is self.fd */

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

static long run_create(void *arg)
{
	const struct operation_target *in = arg;
	struct peershm_create c = {
		.size = sizeof(c),
		.capacity = in->capacity,
		.backing = in->backing,
		.mode = 0600,
		.max_clients = 16,
	};

	name_set(c.name, "injected");
	return xioctl(self.fd, PEERSHM_IOC_CREATE, &c);
}

static long undo_create(void *arg)
{
	(void)arg;
	return do_unlink(self.fd, "injected");
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

static long set_reserve(uint64_t bytes)
{
	struct peershm_set_reserve r = { .size = sizeof(r), .reserve = bytes };

	return xioctl(self.fd, PEERSHM_IOC_SET_RESERVE, &r);
}

static long run_set_reserve(void *arg)
{
	return set_reserve(((const struct operation_target *)arg)->length);
}

/* None of it is left, now or after a moment. */
static bool reserve_is_gone(void *arg)
{
	struct peershm_region_info info;

	(void)arg;
	return !do_stat(self.fd, 0, NULL, &info) && !info.reserved;
}

static long undo_set_reserve(void *arg)
{
	long err = set_reserve(0);

	if (!err && !test_until(reserve_is_gone, arg, DEADLINE_MS))
		err = -ETIMEDOUT;
	return err;
}

static long run_get_root(void *arg)
{
	struct peershm_get_root g = { .size = sizeof(g) };

	(void)arg;
	return xioctl(self.fd, PEERSHM_IOC_GET_ROOT, &g);
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

static void *mapped;

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
	{ "open", run_open, undo_open, OPERATION_OUTSIDE },
	{ "create", run_create, undo_create, OPERATION_UNDONE },
	{ "attach", run_attach, run_detach, OPERATION_UNDONE },
	{ "grow", run_grow, run_shrink, OPERATION_INSIDE },
	{ "shrink", run_shrink_to_nothing, undo_shrink, OPERATION_INSIDE },
	{ "peer map", run_peer_map, NULL, OPERATION_INSIDE },
	{ "set root", run_set_root, undo_set_root, OPERATION_INSIDE },
	{ "get root", run_get_root, NULL, OPERATION_INSIDE },
	{ "roots", run_roots, NULL, OPERATION_INSIDE },
	{ "set reserve", run_set_reserve, undo_set_reserve, OPERATION_INSIDE },
	{ "clients", run_clients, NULL, OPERATION_INSIDE },
	{ "resolve", run_resolve, NULL, OPERATION_INSIDE },
	{ "regions", run_regions, NULL, OPERATION_INSIDE },
	{ "stat", run_stat, NULL, OPERATION_INSIDE },
	{ "map header", run_map_header, undo_map, OPERATION_INSIDE },
	{ "map control", run_map_control, undo_map, OPERATION_INSIDE },
	{ "detach", run_detach, run_attach, OPERATION_INSIDE },
};
const int nr_operations = sizeof(operations) / sizeof(operations[0]);

int operation_find(const char *name)
{
	int i = 0;

	while (strcmp(operations[i].name, name) != 0)
		i++;
	return i;
}

struct operation_target operation_target_of(const struct region *r, uint64_t step)
{
	struct operation_target t = {
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
	struct peer *p;

	if (client)
		return peer_join(r, "injected-inside");
	p = peer_new();
	assert_ok(peer_call(p, device_for_self, NULL, 0));
	return p;
}
