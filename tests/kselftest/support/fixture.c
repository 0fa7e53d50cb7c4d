/* SPDX-License-Identifier: GPL-2.0-only */
#include <unistd.h>

#include "fixture.h"
#include "harness.h"

#define SIZE (1 * MIB)

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
	f->region = region_new(small, GIB);
	f->other = region_new(small, GIB);
	region_grow(f->region, SIZE);
	region_grow(f->other, SIZE);
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

int fixture_fill(struct fixture *f, const struct command *c, union argument *a)
{
	struct target t = target_of(f->other, SIZE);

	/* INSIDE commands go to f->region, whose client this process is. */
	t.base = f->region->base;
	t.length = SYSTEM_PAGE;
	memcpy(t.unlinked, f->other->name, sizeof(t.unlinked));
	if (c->ioctl == PEERSHM_IOC_CREATE)
		region_name(t.created);
	command_fill(c, &t, a);
	return c->where == INSIDE ? f->witness->fd : fixture_file(f);
}

void fixture_expect(struct fixture *f, const struct command *c, int fd, void *arg, int want,
		    const char *how)
{
	int got = xioctl(fd, c->ioctl, arg);

	if (got != want) {
		print_error("with %s: ", how);
		test_error(got, want, c->name, __FILE__, __LINE__);
	}
	if (want)
		fixture_unchanged(f);
}
