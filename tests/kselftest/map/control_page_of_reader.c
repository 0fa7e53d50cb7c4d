/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control page of a client that may only read. It is that client's alone, and the next client
 * does not get it as long as it is mapped somewhere.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <liburing.h>

#include "support/fault.h"
#include "support/harness.h"

/*
 * In a peer: a read-only client, whose file is open for writing all the same; and its control page,
 * which stays mapped after it has left.
 */
static int file;
static uint32_t *page;
static struct io_uring ring;

static off_t page_offset(unsigned int entry)
{
	return (off_t)PEERSHM_CONTROL_OFFSET + (1 + (off_t)entry) * (off_t)SYSTEM_PAGE;
}

struct reader {
	char region[PEERSHM_NAME_SIZE], name[PEERSHM_NAME_SIZE];
	uint64_t id; /* out */
};

static long attach(void *arg)
{
	struct reader *r = arg;
	struct peershm_attach at;
	int err;

	if (!file)
		file = device_open(O_RDWR);
	err = do_attach(file, r->region, r->name, PEERSHM_ATTACH_READ_ONLY, &at);
	r->id = at.client;
	return err;
}

static long detach(void *arg)
{
	(void)arg;
	return do_detach(file);
}

static long map_page(void *arg)
{
	page = mmap(NULL, SYSTEM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		    page_offset(*(unsigned int *)arg));
	return page == MAP_FAILED ? -errno : 0;
}

static long unmap_page(void *arg)
{
	(void)arg;
	return munmap(page, SYSTEM_PAGE) ? -errno : 0;
}

static long fill_page(void *arg)
{
	memset(page, *(int *)arg, SYSTEM_PAGE);
	return 0;
}

/* Register the page with an io_uring: the kernel can then write to it even after munmap(). */
static long pin_page(void *arg)
{
	struct iovec buffer = { .iov_base = page, .iov_len = SYSTEM_PAGE };
	int err = io_uring_queue_init(2, &ring, 0);

	(void)arg;
	if (err)
		return -ENOSYS;
	return io_uring_register_buffers(&ring, &buffer, 1);
}

/* Have the kernel write to the registered page. Gives how many bytes it has written. */
static long fill_pinned(void *arg)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe = NULL;
	char bytes[64];
	int ends[2];
	long got;

	memset(bytes, *(int *)arg, sizeof(bytes));
	if (pipe(ends))
		return -errno;
	if (write(ends[1], bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
		return -EIO;
	io_uring_prep_read_fixed(sqe, ends[0], page, sizeof(bytes), 0, 0);
	got = io_uring_submit(&ring);
	if (got == 1)
		got = io_uring_wait_cqe(&ring, &cqe);
	if (!got && cqe)
		got = cqe->res;
	close(ends[0]);
	close(ends[1]);
	return got;
}

static unsigned int entry_of(const struct client *c, uint64_t id)
{
	static char copy[1 << 20];

	assert_true(c->at.header_length <= sizeof(copy));
	assert_ok(header_copy(c, copy));
	for (unsigned int i = 0; i < c->header->max_clients; i++) {
		if (header_client(copy, i)->id == id)
			return i;
	}
	fail_msg("client %llu is not in the header", (unsigned long long)id);
	return 0;
}

/* The peer becomes a read-only client. Gives its entry in the header. */
static unsigned int join(struct peer *p, const struct region *r, const struct client *owner,
			 const char *name)
{
	struct reader reader = { .id = 0 };

	memcpy(reader.region, r->name, sizeof(reader.region));
	put_name(reader.name, name);
	assert_ok(peer_call(p, attach, &reader, sizeof(reader)));
	return entry_of(owner, reader.id);
}

/* It leaves again, but its page stays mapped. Gives the entry that was its own. */
static unsigned int leave_page_behind(struct peer *p, const struct region *r,
				      const struct client *owner, bool pin)
{
	unsigned int entry = join(p, r, owner, "leaver");

	assert_ok(peer_call(p, map_page, &entry, sizeof(entry)));
	if (pin && peer_call(p, pin_page, NULL, 0))
		skip_because("no io_uring");
	assert_ok(peer_call(p, detach, NULL, 0));
	return entry;
}

/* All control pages, as a client that may write to the region sees them. */
static const unsigned char *map_control(const struct client *owner)
{
	const unsigned char *all = mmap(NULL, owner->at.control_length, PROT_READ, MAP_SHARED,
					owner->fd, (off_t)PEERSHM_CONTROL_OFFSET);

	assert_ptr_not_equal(all, MAP_FAILED);
	return all;
}

static bool page_is(const unsigned char *control, unsigned int entry, unsigned char byte)
{
	const unsigned char *own = control + (1 + (size_t)entry) * SYSTEM_PAGE;

	for (size_t i = 0; i < SYSTEM_PAGE; i++) {
		if (own[i] != byte)
			return false;
	}
	return true;
}

CASE(the_page_of_a_reader_that_left_is_nobodys_while_it_is_mapped)
{
	struct region *r = region_new(small, GIB);
	struct client *owner = client_new(r, "owner");
	const unsigned char *control = map_control(owner);
	struct peer *leaver = peer_new();
	unsigned int entry = leave_page_behind(leaver, r, owner, false);
	struct peer *next = peer_new();
	unsigned int other = join(next, r, owner, "next");
	int ones = 0xff, sevens = 0x77;

	assert_int_equal(region_nr_clients(r), 2);
	assert_int_not_equal(other, entry);
	assert_ok(peer_call(next, map_page, &other, sizeof(other)));
	assert_ok(peer_call(next, fill_page, &sevens, sizeof(sevens)));
	assert_ok(peer_call(leaver, fill_page, &ones, sizeof(ones)));
	assert_true(page_is(control, other, 0x77));
	/* Meanwhile the leaver can have its name again, but not its entry. */
	assert_int_not_equal(join(leaver, r, owner, "leaver"), entry);
	assert_ok(peer_call(leaver, detach, NULL, 0));
	/* Once the page is unmapped, the next client gets it, empty. */
	assert_ok(peer_call(leaver, unmap_page, NULL, 0));
	assert_int_equal(join(peer_new(), r, owner, "third"), entry);
	assert_true(page_is(control, entry, 0));
	munmap((void *)(uintptr_t)control, owner->at.control_length);
}

CASE(who_dies_leaves_no_page_behind)
{
	struct region *r = region_new(small, GIB);
	struct client *owner = client_new(r, "owner");
	struct peer *p = peer_new();
	unsigned int entry = leave_page_behind(p, r, owner, false);

	peer_kill(p);
	assert_int_equal(join(peer_new(), r, owner, "next"), entry);
}

CASE(who_pinned_its_page_does_not_write_the_next_ones)
{
	struct region *r = region_new(small, GIB);
	struct client *owner = client_new(r, "owner");
	const unsigned char *control = map_control(owner);
	struct peer *leaver = peer_new();
	unsigned int entry = leave_page_behind(leaver, r, owner, true);
	int ones = 0xff;

	assert_int_equal(peer_call(leaver, fill_pinned, &ones, sizeof(ones)), 64);
	assert_int_equal(control[(1 + (size_t)entry) * SYSTEM_PAGE], 0xff);
	assert_ok(peer_call(leaver, unmap_page, NULL, 0));
	assert_int_equal(join(peer_new(), r, owner, "next"), entry);
	assert_true(page_is(control, entry, 0));
	assert_int_equal(peer_call(leaver, fill_pinned, &ones, sizeof(ones)), 64);
	assert_true(page_is(control, entry, 0));
	munmap((void *)(uintptr_t)control, owner->at.control_length);
}

CASE(a_page_outlives_its_region_and_does_not_hold_it)
{
	struct region *r = region_new(small, GIB);
	struct client *owner = client_new(r, "owner");
	long before = meminfo("Shmem:");
	struct peer *p = peer_new();
	int ones = 0xff;

	region_grow(r, 64 * MIB);
	leave_page_behind(p, r, owner, false);
	assert_ok(do_unlink(r->fd, r->name));
	assert_ok(do_detach(owner->fd));
	assert_true(meminfo_until_at_most("Shmem:", before + (long)(4 * MIB), DEADLINE_MS));
	assert_ok(peer_call(p, fill_page, &ones, sizeof(ones)));
	assert_ok(peer_call(p, unmap_page, NULL, 0));
}

struct failing {
	unsigned int entry, nth, left;
};

static long map_page_failing(void *arg)
{
	struct failing *f = arg;
	int armed = fault_arm(f->nth);
	long err;

	if (armed < 0)
		return armed;
	err = map_page(&f->entry);
	f->left = fault_disarm(armed);
	return err;
}

CASE(a_page_that_cannot_be_mapped_leaves_its_entry_free)
{
	struct region *r = region_new(small, GIB);
	struct client *owner = client_new(r, "owner");
	struct peer *p = peer_new();
	struct failing f = { .nth = 0 };
	unsigned int failed = 0;

	faults_on();
	f.entry = join(p, r, owner, "reader");
	do {
		long err;

		f.nth++;
		err = peer_call(p, map_page_failing, &f, sizeof(f));
		if (err) {
			failed++;
			if (err != -ENFILE)
				assert_error(err, -ENOMEM);
			continue;
		}
		assert_ok(peer_call(p, unmap_page, NULL, 0));
	} while (!f.left);
	assert_true(failed > 0);
	assert_ok(peer_call(p, detach, NULL, 0));
	assert_int_equal(join(peer_new(), r, owner, "next"), f.entry);
}
