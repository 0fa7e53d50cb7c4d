/* SPDX-License-Identifier: GPL-2.0-only */
/* Rare system calls on a window: remap_file_pages(), madvise(MADV_REMOVE) and mseal(). */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/harness.h"

/* An attempt to get write access to memory by mapping a page of its file anew. */
struct remap {
	char region[PEERSHM_NAME_SIZE];
	uint64_t page, size;
	uint64_t tries, writable; /* out: how many ended with memory that can be written */
};

static bool try_remap(uint64_t address, uint64_t page, uint64_t offset)
{
	bool writable;

	/* The kernel may accept or refuse it: what counts is what can be written then. */
	(void)syscall(SYS_remap_file_pages, address, page, 0, offset / SYSTEM_PAGE, 0);
	writable = touch(address, true) == 0;
	(void)mprotect(at_address(address), page, PROT_READ | PROT_WRITE);
	writable |= touch(address, true) == 0;
	return writable;
}

/* The second client may write to its own control page, and to no other. */
static int try_control_pages(int fd, size_t control_length)
{
	off_t own = (off_t)PEERSHM_CONTROL_OFFSET + 2 * (off_t)SYSTEM_PAGE;
	const struct {
		off_t offset;
		size_t length;
	} others[] = {
		{ (off_t)PEERSHM_CONTROL_OFFSET, control_length },
		{ (off_t)PEERSHM_CONTROL_OFFSET, SYSTEM_PAGE },
		{ own - (off_t)SYSTEM_PAGE, SYSTEM_PAGE },
		{ own - (off_t)SYSTEM_PAGE, 2 * SYSTEM_PAGE },
		{ own, 2 * SYSTEM_PAGE },
		{ own + (off_t)SYSTEM_PAGE, SYSTEM_PAGE },
	};
	char *page;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (mmap(NULL, others[i].length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 others[i].offset) != MAP_FAILED ||
		    errno != EACCES)
			return 1;
	}
	page = mmap(NULL, SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, own);
	if (page == MAP_FAILED)
		return -errno;
	/* Whatever page is there after this, others must not see what is written to it. */
	(void)syscall(SYS_remap_file_pages, page, SYSTEM_PAGE, 0, 1, 0);
	(void)touch((uintptr_t)page, true);
	return madvise(page, SYSTEM_PAGE, MADV_REMOVE) == 0;
}

static long remap_as_read_only_client(void *arg)
{
	struct remap *m = arg;
	int fd = device_open(O_RDWR);
	struct peershm_attach at;
	void *header, *control;
	long err;

	if (fd < 0)
		return fd;
	err = do_attach(fd, m->region, "reader", PEERSHM_ATTACH_READ_ONLY, &at);
	if (err)
		return err;
	header = mmap(NULL, at.header_length, PROT_READ, MAP_SHARED, fd,
		      (off_t)PEERSHM_HEADER_OFFSET);
	control = mmap(NULL, at.control_length, PROT_READ, MAP_SHARED, fd,
		       (off_t)PEERSHM_CONTROL_OFFSET);
	if (header == MAP_FAILED || control == MAP_FAILED)
		return -errno;
	for (uint64_t offset = 0; offset < m->size; offset += m->page) {
		m->writable += try_remap(at.base + offset, m->page, m->size - m->page - offset);
		m->tries++;
	}
	m->writable += try_remap((uintptr_t)control, SYSTEM_PAGE, 0);
	m->writable += try_remap((uintptr_t)control, SYSTEM_PAGE, PEERSHM_CONTROL_OFFSET);
	m->writable += try_remap((uintptr_t)header, SYSTEM_PAGE, 0);
	m->writable += try_remap((uintptr_t)header, SYSTEM_PAGE, PEERSHM_CONTROL_OFFSET);
	m->writable += try_remap((uintptr_t)header, SYSTEM_PAGE, PEERSHM_HEADER_OFFSET);
	m->tries += 5;
	err = try_control_pages(fd, at.control_length);
	if (err < 0)
		return err;
	m->writable += (int)err;
	return 0;
}

CASES(a_read_only_client_gains_no_write_access_by_remap_file_pages, ALL_BACKINGS)
{
	struct remap m = { .page = b->page };
	struct peer *alice = peer_new();
	struct region *r;
	struct client *owner;
	const unsigned char *memory;
	unsigned char *control;

	/* Two pages at least, so that there is another page to map. */
	m.size = backing_is_hugetlb(b) ? 2 * b->page : 16 * b->page;
	backing_needs(b, m.size);
	r = region_of_mode(b, 0644, 0);
	memcpy(m.region, r->name, sizeof(m.region));
	owner = client_new(r, "owner");
	assert_ok(do_grow(owner->fd, 0, m.size, NULL));
	memory = at_address(owner->at.base);
	control = mmap(NULL, owner->at.control_length, PROT_READ | PROT_WRITE, MAP_SHARED,
		       owner->fd, (off_t)PEERSHM_CONTROL_OFFSET);
	assert_ptr_not_equal(control, MAP_FAILED);
	memset(at_address(owner->at.base), POISON, m.size);
	memset(control, POISON, owner->at.control_length);

	peer_become(alice, ALICE, ALICE);
	assert_ok(peer_call(alice, remap_as_read_only_client, &m, sizeof(m)));
	assert_true(m.tries > 5);
	assert_int_equal(m.writable, 0);
	for (uint64_t i = 0; i < m.size; i += SYSTEM_PAGE)
		assert_int_equal(memory[i], POISON);
	/* The page of the second client is another matter: that client was given it empty. */
	for (uint64_t i = 0; i < owner->at.control_length; i++)
		assert_true(i / SYSTEM_PAGE == 2 || control[i] == POISON);
	assert_int_equal(control[3 * SYSTEM_PAGE - 1], 0);
	munmap(control, owner->at.control_length);
}

struct anew {
	char region[PEERSHM_NAME_SIZE];
	uint64_t length;
	long remapped, moved; /* 0 or a negative errno value */
};

/*
 * In a peer: a read-only client whose file is open for writing. Because of that the kernel counts
 * its mapping as shared, and remap_file_pages() is for shared mappings.
 */
static long remap_whole_window_and_move_it(void *arg)
{
	struct anew *a = arg;
	int fd = device_open(O_RDWR);
	struct peershm_attach at;
	long err;

	if (fd < 0)
		return fd;
	err = do_attach(fd, a->region, "reader", PEERSHM_ATTACH_READ_ONLY, &at);
	if (err)
		return err;
	a->remapped = syscall(SYS_remap_file_pages, at.base, a->length, 0, 0, 0) ? -errno : 0;
	(void)touch(at.base, false);
	a->moved = move_mapping(at.base, a->length, ELSEWHERE);
	return 0;
}

/* Otherwise a client could get a window that waits for itself when it is moved. */
CASES(a_read_only_window_is_not_mapped_anew, ALL_BACKINGS)
{
	struct anew a = { .length = b->capacity };
	struct peer *reader = peer_new();
	struct region *r = region_with(b, b->step, b->step);

	snprintf(a.region, sizeof(a.region), "%s", r->name);
	assert_ok(peer_call(reader, remap_whole_window_and_move_it, &a, sizeof(a)));
	assert_error(a.remapped, -EACCES);
	/* The kernel moves no mapping of 1 GiB pages. */
	if (b->id == PEERSHM_HUGETLB_1G)
		return;
	assert_ok(a.moved);
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
}

struct beyond {
	uint64_t address, length, offset;
	long err;
	int signal; /* that a write to the memory gives then */
};

static long remap_beyond(void *arg)
{
	struct beyond *b = arg;

	b->err = syscall(SYS_remap_file_pages, b->address, b->length, 0, b->offset / SYSTEM_PAGE,
			 0) ?
			 -errno :
			 0;
	b->signal = touch(b->address, true);
	return 0;
}

CASES(remap_file_pages_does_not_extend_the_memory_beyond_the_size, ALL_BACKINGS)
{
	struct beyond beyond = { .length = b->page > 2 * MIB ? b->page : 2 * MIB };
	struct region *r = region_with(b, b->step, b->step);
	struct peer *writer = peer_join(r, "writer"), *other = peer_join(r, "other");

	beyond.address = r->base;
	for (beyond.offset = b->step; beyond.offset < 2 * b->step; beyond.offset += b->step / 2) {
		assert_ok(peer_call(writer, remap_beyond, &beyond, sizeof(beyond)));
		assert_int_equal(beyond.signal, beyond.err ? 0 : SIGBUS);
		for (uint64_t i = b->step; i < 2 * b->step; i += b->step / 4) {
			assert_int_equal(peer_touch(other, r->base + i), SIGBUS);
			assert_int_equal(peer_touch_write(other, r->base + i), SIGBUS);
		}
	}
	assert_int_equal(region_size(r), b->step);
	assert_int_equal(peer_touch_write(other, r->base + b->step - 1), 0);
}

static long remove_memory(void *arg)
{
	const uint64_t *range = arg;

	return madvise(at_address(range[0]), range[1], MADV_REMOVE) ? -errno : 0;
}

CASES(madvise_remove_punches_no_holes, ALL_BACKINGS)
{
	uint64_t range[2] = { 0, b->page };
	struct region *r = region_with(b, b->step, b->step);
	struct peer *p = peer_join(r, "remover"), *other = peer_join(r, "other");
	long err, pages;

	peer_write(p, r->base, b->step);
	pages = backing_free_pages(b);
	for (range[1] = b->page; range[1] <= b->step; range[1] *= 2) {
		range[0] = r->base + b->step - range[1];
		err = peer_call(p, remove_memory, range, sizeof(range));
		assert_true(err == -EPERM || err == -EACCES);
		assert_int_equal(peer_present(p, r->base, b->step), b->step);
		assert_int_equal(peer_present(other, r->base, b->step), b->step);
	}
	assert_int_equal(backing_free_pages(b), pages);
	/* The contents are what peer_write() wrote. */
	for (uint64_t i = 0; i < b->step; i += b->step / 16)
		assert_int_equal(peer_load(other, r->base + i), i + 1);
}

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static long seal(void *arg)
{
	const uint64_t *range = arg;

	return syscall(SYS_mseal, range[0], range[1], 0) ? -errno : 0;
}

CASES(a_client_whose_window_cannot_be_unmapped_stays_whole, ALL_BACKINGS)
{
	uint64_t range[2] = { 0, b->capacity };
	struct region *r = region_with(b, 0, b->step);
	struct peer *p = peer_join(r, "sealed");
	long err;

	range[0] = r->base;
	err = peer_call(p, seal, range, sizeof(range));
	if (err)
		skip_because("mseal: %s", strerror((int)-err));
	assert_error(peer_detach(p), -EPERM);
	assert_int_equal(region_nr_clients(r), 1);
	region_grow(r, b->step);
	peer_has_all(p, r->base, b->step);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, 5000));
}
