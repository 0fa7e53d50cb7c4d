/* SPDX-License-Identifier: GPL-2.0-only */
#include <unistd.h>

#include "fixture.h"
#include "harness.h"

#define STEP (1 * MIB)

static struct fixture fixture;

void fixture_end(void *arg)
{
	struct fixture *f = arg;

	while (f->nr_files > 0)
		close(f->files[--f->nr_files]);
}

struct fixture *fixture_new(void)
{
	struct fixture *f = &fixture;

	memset(f, 0, sizeof(*f));
	test_cleanup(fixture_end, f);
	f->region = region_new(&backings[PEERSHM_SMALL], GIB);
	f->other = region_new(&backings[PEERSHM_SMALL], GIB);
	region_grow(f->region, STEP);
	region_grow(f->other, STEP);
	f->witness = client_new(f->region, "witness");
	f->before = snapshot_take(f->witness);
	assert_ok(do_stat(f->other->fd, f->other->id, NULL, &f->other_before));
	return f;
}

int fixture_file(struct fixture *f)
{
	int fd = device_open(O_RDWR);

	assert_true(fd >= 0 && f->nr_files < 64);
	f->files[f->nr_files++] = fd;
	return fd;
}

void fixture_unchanged(struct fixture *f)
{
	struct peershm_region_info now;

	snapshot_same(f->before);
	assert_ok(do_stat(f->other->fd, f->other->id, NULL, &now));
	assert_memory_equal(&f->other_before, &now, sizeof(now));
}

static int fill_create(struct fixture *f, union argument *a)
{
	region_name(a->create.name);
	a->create.capacity = GIB;
	return fixture_file(f);
}

static int fill_attach(struct fixture *f, union argument *a)
{
	put_name(a->attach.region_name, f->other->name);
	put_name(a->attach.client_name, "client");
	return fixture_file(f);
}

static int fill_detach(struct fixture *f, union argument *a)
{
	(void)a;
	return f->witness->fd;
}

static int fill_grow(struct fixture *f, union argument *a)
{
	a->grow.length = SYSTEM_PAGE;
	return f->witness->fd;
}

static int fill_nothing(struct fixture *f, union argument *a)
{
	(void)a;
	return f->witness->fd;
}

static int fill_shrink(struct fixture *f, union argument *a)
{
	a->shrink.new_size = STEP - SYSTEM_PAGE;
	return f->witness->fd;
}

static int fill_set_root(struct fixture *f, union argument *a)
{
	a->set_root.root = f->region->base;
	return f->witness->fd;
}

static int fill_resolve(struct fixture *f, union argument *a)
{
	put_name(a->resolve.name, "witness");
	return f->witness->fd;
}

static int fill_unlink(struct fixture *f, union argument *a)
{
	put_name(a->unlink.name, f->other->name);
	return fixture_file(f);
}

static int fill_watch(struct fixture *f, union argument *a)
{
	a->watch.region = f->other->id;
	return fixture_file(f);
}

const struct call calls[] = {
	{ "CREATE", PEERSHM_IOC_CREATE, sizeof(struct peershm_create), fill_create },
	{ "ATTACH", PEERSHM_IOC_ATTACH, sizeof(struct peershm_attach), fill_attach },
	{ "GROW", PEERSHM_IOC_GROW, sizeof(struct peershm_grow), fill_grow },
	{ "PEER_MAP", PEERSHM_IOC_PEER_MAP, sizeof(struct peershm_peer_map), fill_nothing },
	{ "SHRINK", PEERSHM_IOC_SHRINK, sizeof(struct peershm_shrink), fill_shrink },
	{ "SET_ROOT", PEERSHM_IOC_SET_ROOT, sizeof(struct peershm_set_root), fill_set_root },
	{ "SET_RESERVE", PEERSHM_IOC_SET_RESERVE, sizeof(struct peershm_set_reserve),
	  fill_nothing },
	{ "GET_ROOT", PEERSHM_IOC_GET_ROOT, sizeof(struct peershm_get_root), fill_nothing },
	{ "ROOTS", PEERSHM_IOC_ROOTS, sizeof(struct peershm_roots), fill_nothing },
	{ "CLIENTS", PEERSHM_IOC_CLIENTS, sizeof(struct peershm_clients), fill_nothing },
	{ "RESOLVE", PEERSHM_IOC_RESOLVE, sizeof(struct peershm_resolve), fill_resolve },
	{ "REGIONS", PEERSHM_IOC_REGIONS, sizeof(struct peershm_regions), fill_nothing },
	{ "STAT", PEERSHM_IOC_STAT, sizeof(struct peershm_stat), fill_nothing },
	{ "WATCH", PEERSHM_IOC_WATCH, sizeof(struct peershm_watch), fill_watch },
	{ "UNLINK", PEERSHM_IOC_UNLINK, sizeof(struct peershm_unlink), fill_unlink },
	{ "DETACH", PEERSHM_IOC_DETACH, sizeof(struct peershm_detach), fill_detach },
};

const unsigned int nr_calls = sizeof(calls) / sizeof(calls[0]);

int call_prepare(struct fixture *f, const struct call *c, union argument *a)
{
	memset(a, 0, sizeof(*a));
	a->size = (uint32_t)c->size;
	return c->fill(f, a);
}

void call_expect(struct fixture *f, const struct call *c, int fd, void *arg, int want,
		 const char *how)
{
	int got = xioctl(fd, c->command, arg);

	if (got != want) {
		print_error("with %s: ", how);
		test_error(got, want, c->name, __FILE__, __LINE__);
	}
	if (want)
		fixture_unchanged(f);
}
