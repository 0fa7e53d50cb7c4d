/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"

_Thread_local struct peershm_failure last_failure;

int xioctl(int fd, unsigned long command, void *arg)
{
	static const struct peershm_failure none;
	const struct peershm_detach *any = arg; /* all begin alike */
	int err = ioctl(fd, command, arg) < 0 ? -errno : 0;
	bool told = err && err != -EFAULT && err != -ENOTTY && any->size >= sizeof(*any);

	last_failure = told ? any->failure : none;
	return err;
}

int device_open(int flags)
{
	int fd = open(PEERSHM_DEVICE, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void put_name(char *to, const char *name)
{
	memset(to, 0, PEERSHM_NAME_SIZE);
	strncpy(to, name, PEERSHM_NAME_SIZE - 1);
}

int do_create(int fd, const char *name, const struct backing *b, uint64_t capacity, uint64_t *id)
{
	struct peershm_create c = { .size = sizeof(c), .capacity = capacity, .mode = 0600 };
	int err;

	put_name(c.name, name);
	c.backing = b->id;
	memset(&c.region, POISON, sizeof(c.region));
	err = xioctl(fd, PEERSHM_IOC_CREATE, &c);
	if (id)
		*id = c.region;
	return err;
}

int do_create_mode(int fd, const char *name, uint32_t mode, uint32_t max_clients)
{
	struct peershm_create c = { .size = sizeof(c), .capacity = GIB };

	put_name(c.name, name);
	c.mode = mode;
	c.max_clients = max_clients;
	return xioctl(fd, PEERSHM_IOC_CREATE, &c);
}

int do_attach(int fd, const char *region, const char *client, uint32_t flags,
	      struct peershm_attach *out)
{
	struct peershm_attach a;
	int err;

	memset(&a, POISON, sizeof(a));
	a.size = sizeof(a);
	a.event_size = 0;
	a.reserved = 0;
	a.flags = flags;
	put_name(a.region_name, region);
	put_name(a.client_name, client);
	err = xioctl(fd, PEERSHM_IOC_ATTACH, &a);
	if (out)
		*out = a;
	return err;
}

int do_detach(int fd)
{
	struct peershm_detach d = { .size = sizeof(d) };

	return xioctl(fd, PEERSHM_IOC_DETACH, &d);
}

static int grow(int fd, uint64_t region, uint32_t flags, uint64_t length, struct peershm_grow *out)
{
	struct peershm_grow g;
	int err;

	memset(&g, POISON, sizeof(g));
	g.size = sizeof(g);
	g.flags = flags;
	g.region = region;
	g.length = length;
	g.report.peers = 0;
	g.report.nr_peers = 0;
	g.report.timeout_ms = 10000;
	g.report.reserved = 0;
	err = xioctl(fd, PEERSHM_IOC_GROW, &g);
	if (out)
		*out = g;
	return err;
}

int do_grow(int fd, uint64_t region, uint64_t length, struct peershm_grow *out)
{
	return grow(fd, region, 0, length, out);
}

int do_grow_to(int fd, uint64_t region, uint64_t size, struct peershm_grow *out)
{
	return grow(fd, region, PEERSHM_GROW_TO, size, out);
}

static int peer_map(int fd, struct peershm_peer_map *m, struct peershm_peer_map *out)
{
	int err;

	m->size = sizeof(*m);
	m->report.timeout_ms = 10000;
	memset(&m->report.mapped, POISON, 4 * sizeof(uint32_t));
	err = xioctl(fd, PEERSHM_IOC_PEER_MAP, m);
	if (out)
		*out = *m;
	return err;
}

int do_peer_map(int fd, uint64_t region, struct peershm_peer_map *out)
{
	struct peershm_peer_map m = { .region = region };

	return peer_map(fd, &m, out);
}

int do_map_pid(int fd, uint64_t region, pid_t pid, struct peershm_peer_map *out)
{
	struct peershm_peer_map m = { .flags = PEERSHM_MAP_BY_PID, .region = region, .pid = pid };

	return peer_map(fd, &m, out);
}

int do_map_name(int fd, uint64_t region, const char *name, struct peershm_peer_map *out)
{
	struct peershm_peer_map m = { .flags = PEERSHM_MAP_BY_NAME, .region = region };

	put_name(m.name, name);
	return peer_map(fd, &m, out);
}

int do_shrink_flags(int fd, uint64_t region, uint32_t flags, uint64_t new_size, uint64_t *cookie)
{
	struct peershm_shrink s = {
		.size = sizeof(s), .flags = flags, .region = region, .new_size = new_size
	};
	int err;

	if (flags == PEERSHM_SHRINK_ANNOUNCE)
		memset(&s.cookie, POISON, sizeof(s.cookie));
	else if (cookie)
		s.cookie = *cookie;
	err = xioctl(fd, PEERSHM_IOC_SHRINK, &s);
	if (!err && cookie)
		*cookie = s.cookie;
	return err;
}

int do_watch(int fd, uint64_t region)
{
	struct peershm_watch w = { .size = sizeof(w), .region = region };

	return xioctl(fd, PEERSHM_IOC_WATCH, &w);
}

int do_shrink(int fd, uint64_t region, uint64_t new_size, uint64_t *old_size)
{
	struct peershm_shrink s = { .size = sizeof(s), .region = region, .new_size = new_size };
	int err;

	memset(&s.old_size, POISON, sizeof(s.old_size));
	err = xioctl(fd, PEERSHM_IOC_SHRINK, &s);
	if (old_size)
		*old_size = s.old_size;
	return err;
}

int do_set_reserve(int fd, uint64_t region, uint64_t bytes)
{
	struct peershm_set_reserve s = { .size = sizeof(s), .region = region, .reserve = bytes };

	return xioctl(fd, PEERSHM_IOC_SET_RESERVE, &s);
}

int do_set_root(int fd, uint64_t region, uint64_t expected, uint64_t root)
{
	struct peershm_set_root s = {
		.size = sizeof(s), .region = region, .expected = expected, .root = root
	};

	return xioctl(fd, PEERSHM_IOC_SET_ROOT, &s);
}

int do_publish(int fd, uint64_t region, const char *name, uint64_t expected, uint64_t root)
{
	struct peershm_set_root s = {
		.size = sizeof(s), .region = region, .expected = expected, .root = root
	};

	put_name(s.name, name);
	return xioctl(fd, PEERSHM_IOC_SET_ROOT, &s);
}

int do_set_root_generation(int fd, uint64_t region, const struct peershm_root_info *expected,
			   uint64_t root, uint64_t *generation)
{
	struct peershm_set_root s = {
		.size = sizeof(s),
		.flags = PEERSHM_ROOT_GENERATION,
		.region = region,
		.expected = expected->root,
		.root = root,
		.expected_generation = expected->generation,
	};
	int err;

	memcpy(s.name, expected->name, sizeof(s.name));
	memset(&s.generation, POISON, sizeof(s.generation));
	err = xioctl(fd, PEERSHM_IOC_SET_ROOT, &s);
	if (generation)
		*generation = s.generation;
	return err;
}

int do_get_root(int fd, uint64_t region, const char *name, struct peershm_root_info *info)
{
	struct peershm_get_root g = { .size = sizeof(g), .region = region };
	int err;

	memset(&g.info, POISON, sizeof(g.info));
	put_name(g.info.name, name ? name : "");
	err = xioctl(fd, PEERSHM_IOC_GET_ROOT, &g);
	if (info)
		*info = g.info;
	return err;
}

int do_roots(int fd, uint64_t region, struct peershm_root_info *roots, uint32_t n)
{
	struct peershm_roots r = { .size = sizeof(r), .region = region };
	int err;

	if (roots)
		memset(roots, POISON, n * sizeof(*roots));
	r.roots = (uintptr_t)roots;
	r.nr_roots = roots ? n : 0;
	r.record_size = sizeof(*roots);
	err = xioctl(fd, PEERSHM_IOC_ROOTS, &r);
	return err ? err : (int)r.nr_roots;
}

int do_stat(int fd, uint64_t region, const char *name, struct peershm_region_info *info)
{
	struct peershm_stat s = { .size = sizeof(s), .region = region };
	int err;

	if (name)
		put_name(s.name, name);
	memset(&s.info, POISON, sizeof(s.info));
	err = xioctl(fd, PEERSHM_IOC_STAT, &s);
	if (info)
		*info = s.info;
	return err;
}

int do_resolve_name(int fd, uint64_t region, const char *name, pid_t *pid)
{
	struct peershm_resolve r = { .size = sizeof(r), .region = region, .pid = -1 };
	int err;

	put_name(r.name, name);
	err = xioctl(fd, PEERSHM_IOC_RESOLVE, &r);
	if (pid)
		*pid = r.pid;
	return err;
}

int do_resolve_pid(int fd, uint64_t region, pid_t pid, char name[PEERSHM_NAME_SIZE])
{
	struct peershm_resolve r = {
		.size = sizeof(r), .flags = PEERSHM_RESOLVE_BY_PID, .region = region, .pid = pid
	};
	int err = xioctl(fd, PEERSHM_IOC_RESOLVE, &r);

	if (name)
		memcpy(name, r.name, PEERSHM_NAME_SIZE);
	return err;
}

int do_unlink(int fd, const char *name)
{
	struct peershm_unlink u = { .size = sizeof(u) };

	put_name(u.name, name);
	return xioctl(fd, PEERSHM_IOC_UNLINK, &u);
}

int do_unlink_id(int fd, uint64_t region)
{
	struct peershm_unlink u = { .size = sizeof(u), .region = region };

	return xioctl(fd, PEERSHM_IOC_UNLINK, &u);
}

int do_clients(int fd, uint64_t region, struct peershm_client_info *clients, uint32_t n)
{
	struct peershm_clients c = { .size = sizeof(c), .region = region };
	int err;

	if (clients)
		memset(clients, POISON, n * sizeof(*clients));
	c.clients = (uintptr_t)clients;
	c.nr_clients = clients ? n : 0;
	c.record_size = sizeof(*clients);
	err = xioctl(fd, PEERSHM_IOC_CLIENTS, &c);
	return err ? err : (int)c.nr_clients;
}

#define MAX_REGIONS 64
static struct region made[MAX_REGIONS];
static size_t nr_made;

static void unlink_name(void *name)
{
	int fd = device_open(O_RDWR);

	if (fd >= 0) {
		do_unlink(fd, name);
		close(fd);
	}
	free(name);
}

void region_name(char name[PEERSHM_NAME_SIZE])
{
	static unsigned int number;
	char *copy;

	memset(name, 0, PEERSHM_NAME_SIZE);
	snprintf(name, PEERSHM_NAME_SIZE, "t-%d-%u-%s", (int)getpid(), ++number, test_name());
	copy = strdup(name);
	assert_non_null(copy);
	test_cleanup(unlink_name, copy);
}

/* Regions in the list whose names begin with this, which are unlinked if wanted; or an error. */
static int regions_like(int fd, const char *name, size_t length, bool unlink)
{
	static _Thread_local struct peershm_region_info infos[256];
	struct peershm_regions r = { .size = sizeof(r),
				     .regions = (uintptr_t)infos,
				     .nr_regions = 256,
				     .record_size = sizeof(infos[0]) };
	int n = 0, err = xioctl(fd, PEERSHM_IOC_REGIONS, &r);

	for (uint32_t i = 0; !err && i < r.nr_regions && i < 256; i++) {
		if (strncmp(infos[i].name, name, length) != 0)
			continue;
		n++;
		if (unlink)
			do_unlink_id(fd, infos[i].id);
	}
	return err ? err : n;
}

int region_is_listed(int fd, const char *name)
{
	return regions_like(fd, name, PEERSHM_NAME_SIZE, false);
}

int regions_unlink(pid_t pid)
{
	int fd = device_open(O_RDWR), n;
	char prefix[32];

	if (fd < 0)
		return 0;
	snprintf(prefix, sizeof(prefix), "t-%d-", (int)pid);
	n = regions_like(fd, prefix, strlen(prefix), true);
	close(fd);
	return n;
}

static struct region *region_make(const struct backing *b, struct peershm_create *c)
{
	struct peershm_region_info info;
	struct region *r;

	assert_true(nr_made < MAX_REGIONS);
	r = &made[nr_made];
	r->backing = b;
	region_name(r->name);
	r->fd = device_open(O_RDWR);
	assert_true(r->fd >= 0);
	nr_made++;
	c->size = sizeof(*c);
	c->backing = b->id;
	memcpy(c->name, r->name, sizeof(c->name));
	memset(&c->region, POISON, sizeof(c->region));
	assert_ok(xioctl(r->fd, PEERSHM_IOC_CREATE, c));
	r->id = c->region;
	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	r->base = info.base;
	return r;
}

struct region *region_new(const struct backing *b, uint64_t capacity)
{
	return region_make(b, &(struct peershm_create){ .capacity = capacity, .mode = 0600 });
}

struct region *region_with(const struct backing *b, uint64_t size, uint64_t needs)
{
	struct region *r;

	backing_needs(b, needs);
	r = region_new(b, b->capacity);
	if (size)
		region_grow(r, size);
	return r;
}

struct region *region_of_mode(const struct backing *b, uint32_t mode, uint32_t max_clients)
{
	struct peershm_create c = { .mode = mode, .max_clients = max_clients };

	c.capacity = b->capacity;
	return region_make(b, &c);
}

void regions_end(void)
{
	while (nr_made > 0) {
		struct region *r = &made[--nr_made];

		do_unlink(r->fd, r->name);
		close(r->fd);
	}
}

void regions_forget(void)
{
	while (nr_made > 0)
		close(made[--nr_made].fd);
}

uint64_t region_size(const struct region *r)
{
	struct peershm_region_info info;

	assert_ok(do_stat(r->fd, r->id, NULL, &info));
	return info.active;
}

int region_nr_clients(const struct region *r)
{
	return do_clients(r->fd, r->id, NULL, 0);
}

void region_grow(const struct region *r, uint64_t length)
{
	uint64_t before = region_size(r);
	struct peershm_grow g;

	assert_ok(do_grow(r->fd, r->id, length, &g));
	assert_int_equal(g.old_size, before);
	assert_int_equal(g.new_size, before + length);
	assert_int_equal(region_size(r), before + length);
}

struct expected_clients {
	const struct region *region;
	int n;
};

static bool has_clients(void *arg)
{
	const struct expected_clients *e = arg;

	return region_nr_clients(e->region) == e->n;
}

bool region_until_clients(const struct region *r, int n, unsigned int ms)
{
	struct expected_clients e = { r, n };

	return test_until(has_clients, &e, ms);
}

int client_attach(struct client *c, const char *region, const char *name, uint32_t flags)
{
	void *header;
	int err;

	memset(c, 0, sizeof(*c));
	/* Also to read only, as the library does: then the module alone keeps the client from it. */
	c->fd = device_open(O_RDWR);
	if (c->fd < 0)
		return c->fd;
	err = do_attach(c->fd, region, name, flags, &c->at);
	if (!err) {
		header = mmap(NULL, c->at.header_length, PROT_READ, MAP_SHARED, c->fd,
			      (off_t)PEERSHM_HEADER_OFFSET);
		if (header != MAP_FAILED) {
			c->header = header;
			return 0;
		}
		err = -errno;
		do_detach(c->fd);
	}
	close(c->fd);
	c->fd = -1;
	return err;
}

void client_leave(struct client *c)
{
	if (c->fd < 0)
		return;
	do_detach(c->fd);
	if (c->header)
		munmap((void *)c->header, c->at.header_length);
	close(c->fd);
	c->header = NULL;
	c->fd = -1;
}

static void leave(void *arg)
{
	client_leave(arg);
	free(arg);
}

struct client *client_new(const struct region *r, const char *name)
{
	struct client *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_ok(client_attach(c, r->name, name, 0));
	test_cleanup(leave, c);
	return c;
}

int header_copy(const struct client *c, void *copy)
{
	uint64_t end = now_ms() + DEADLINE_MS;

	do {
		uint32_t seq = __atomic_load_n(&c->header->seq, __ATOMIC_ACQUIRE);

		if (seq & 1)
			continue;
		memcpy(copy, c->header, c->at.header_length);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&c->header->seq, __ATOMIC_RELAXED) == seq)
			return 0;
	} while (now_ms() < end);
	return -ETIMEDOUT;
}

const struct peershm_header_client *header_client(const void *copy, unsigned int i)
{
	const struct peershm_header *h = copy;

	return (const void *)((const char *)copy + h->client_offset + (size_t)i * h->client_size);
}
