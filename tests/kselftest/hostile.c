/* SPDX-License-Identifier: GPL-2.0-only */
/* Users who mean harm, and calls that nobody makes by accident. */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"
#include "common/race.h"

#define ALICE 1000
#define BOB 1001
#define CAROL 1002

/* Which none of the other tests uses: the regions of the others count, too. */
#define MALLORY 1003

static const struct backing *const small = &backings[PEERSHM_SMALL];

/* The name that is made and unlinked: the same in all peers of the race. */
static char contested[PEERSHM_NAME_SIZE];

/* What the peers of that race tell each other in race_shared->values. */
enum {
	LAST_ID,
	CREATOR_DONE,
	UNLINKED_BY_NAME,
	UNLINKED_BY_ID
};

static uint64_t shared_value(int which)
{
	return __atomic_load_n(&race_shared->values[which], __ATOMIC_ACQUIRE);
}

static void share_value(int which, uint64_t value)
{
	__atomic_store_n(&race_shared->values[which], value, __ATOMIC_RELEASE);
}

static long create_for_ever(void *arg)
{
	const struct race *race = arg;
	uint64_t id, last = race->id;
	int fd = device_open(O_RDWR);

	race_expect(fd >= 0, fd);
	share_value(LAST_ID, last);
	race_together();
	for (unsigned int i = 0; i < race->rounds; i++) {
		uint64_t end = now_ms() + DEADLINE_MS;
		long err;

		do {
			err = do_create(fd, contested, small, GIB, &id);
			race_expect(now_ms() < end, i);
		} while (err == -EEXIST);
		race_expect(err == 0, err);
		/* It counts; others may have made regions meanwhile, but not that many. */
		race_expect(id > last, id);
		race_expect(id - last < 100000, id);
		last = id;
		share_value(LAST_ID, last);
	}
	share_value(CREATOR_DONE, 1);
	close(fd);
	return 0;
}

static long unlink_by_name_for_ever(void *arg)
{
	int fd = device_open(O_RDWR);
	uint64_t n = 0;

	(void)arg;
	race_expect(fd >= 0, fd);
	race_together();
	while (!shared_value(CREATOR_DONE)) {
		long err = do_unlink(fd, contested);

		race_expect(err == 0 || err == -ENOENT, err);
		n += err == 0;
	}
	share_value(UNLINKED_BY_NAME, n);
	close(fd);
	return 0;
}

/* Of the region that comes next, before its creator knows the id. */
static long unlink_by_id_for_ever(void *arg)
{
	int fd = device_open(O_RDWR);
	uint64_t n = 0;

	(void)arg;
	race_expect(fd >= 0, fd);
	race_together();
	while (!shared_value(CREATOR_DONE)) {
		long err = do_unlink_id(fd, shared_value(LAST_ID) + 1);

		race_expect(err == 0 || err == -ENOENT, err);
		n += err == 0;
	}
	share_value(UNLINKED_BY_ID, n);
	close(fd);
	return 0;
}

static void a_region_unlinked_while_it_is_created_gives_its_own_id(void **state)
{
	static const peer_function functions[] = { create_for_ever, unlink_by_name_for_ever,
						   unlink_by_id_for_ever };
	struct region *r = region_new(small, GIB);
	unsigned int rounds = test_scale(2000);
	uint64_t unlinked;

	(void)state;
	region_name(contested);
	race_run(r, functions, 3, rounds);
	unlinked = shared_value(UNLINKED_BY_NAME) + shared_value(UNLINKED_BY_ID);
	/* The last one may be left. */
	assert_in_range(unlinked, rounds - 1, rounds);
	assert_error(do_unlink(r->fd, contested), unlinked == rounds ? -ENOENT : 0);
}

/* Try to get write access to a page at an address by mapping a page of its file anew. */
struct remap {
	char region[PEERSHM_NAME_SIZE];
	uint64_t page, size;
	uint64_t tries, writable; /* out: how many ended with memory that can be written */
};

static bool try_remap(uint64_t address, uint64_t page, uint64_t offset)
{
	bool writable;

	/* Whether the kernel takes it is no matter, but what is there then. */
	(void)syscall(SYS_remap_file_pages, address, page, 0, offset / SYSTEM_PAGE, 0);
	writable = touch(address, true) == 0;
	(void)mprotect(at_address(address), page, PROT_READ | PROT_WRITE);
	writable |= touch(address, true) == 0;
	return writable;
}

/* The second client's page of the control pages is its own; it may write no other. */
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
	/* Wherever it is after this, what is written must not be seen by others. */
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

/* As region_new(), but with that mode. */
static uint64_t region_of_mode(int fd, char name[PEERSHM_NAME_SIZE], const struct backing *b,
			       uint32_t mode)
{
	struct peershm_create c = { .size = sizeof(c), .capacity = b->capacity, .mode = mode };

	region_name(name);
	memcpy(c.name, name, PEERSHM_NAME_SIZE);
	c.backing = b->id;
	assert_ok(xioctl(fd, PEERSHM_IOC_CREATE, &c));
	return c.region;
}

static void a_read_only_client_gains_no_write_access_by_remap_file_pages(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region r = { .backing = b };
	struct remap m = { .page = b->page };
	struct client *owner;
	struct peer *alice = peer_new();
	const unsigned char *memory;
	unsigned char *control;
	int fd;

	/* Two pages at least, to have others than the one that is mapped there. */
	m.size = backing_is_hugetlb(b) ? 2 * b->page : 16 * b->page;
	backing_needs(b, m.size);
	fd = device_open(O_RDWR);
	assert_true(fd >= 0);
	region_of_mode(fd, r.name, b, 0644);
	close(fd);
	memcpy(m.region, r.name, sizeof(m.region));
	owner = client_new(&r, "owner");
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
	/* But for the page of the second client, which it was given empty. */
	for (uint64_t i = 0; i < owner->at.control_length; i++)
		assert_true(i / SYSTEM_PAGE == 2 || control[i] == POISON);
	assert_int_equal(control[3 * SYSTEM_PAGE - 1], 0);
	munmap(control, owner->at.control_length);
}

struct beyond {
	uint64_t address, length, offset;
	long err;
	int signal; /* what a write gives then */
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

static void remap_file_pages_does_not_extend_the_memory_beyond_the_size(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct beyond beyond = { .length = b->page > 2 * MIB ? b->page : 2 * MIB };
	struct peer *writer, *other;
	struct region *r;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	writer = peer_join(r, "writer");
	other = peer_join(r, "other");
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

static void madvise_remove_punches_no_holes(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t range[2] = { 0, b->page };
	struct peer *p, *other;
	struct region *r;
	long err, pages;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	region_grow(r, b->step);
	p = peer_join(r, "remover");
	other = peer_join(r, "other");
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
	/* What peer_write() wrote. */
	for (uint64_t i = 0; i < b->step; i += b->step / 16)
		assert_int_equal(peer_load(other, r->base + i), i + 1);
}

#define MOST_NAMES 8

struct making {
	uint64_t capacity;
	char names[MOST_NAMES][PEERSHM_NAME_SIZE];
	unsigned int made; /* out */
	int unlink_first;  /* give one back before */
};

/* Make regions until that is an error, which is the answer. */
static long make_regions(void *arg)
{
	struct making *m = arg;
	int fd = device_open(O_RDWR);
	long err = 0;

	if (fd < 0)
		return fd;
	if (m->unlink_first)
		err = do_unlink(fd, m->names[0]);
	m->made = 0;
	for (int i = 0; !err && i < MOST_NAMES; i++) {
		err = do_create(fd, m->names[i], small, m->capacity, NULL);
		if (err == -EEXIST)
			err = 0;
		else
			m->made += err == 0;
	}
	close(fd);
	return err;
}

static long become_root_of_a_namespace(void *arg)
{
	(void)arg;
	return unshare(CLONE_NEWUSER) ? -errno : 0;
}

/* Mallory has 3 regions' worth and no more; others are not kept from having theirs. */
static void mallory_takes_only_three_regions(void)
{
	struct making mallorys = { .capacity = GIB }, bobs = { .capacity = GIB };
	struct peer *mallory = peer_new(), *bob = peer_new();
	char name[PEERSHM_NAME_SIZE];
	int fd;

	for (int i = 0; i < MOST_NAMES; i++) {
		region_name(mallorys.names[i]);
		region_name(bobs.names[i]);
	}
	peer_become(mallory, MALLORY, MALLORY);
	peer_become(bob, BOB, BOB);
	assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)), -ENOSPC);
	assert_int_equal(mallorys.made, 3);
	assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)), -ENOSPC);
	assert_int_equal(mallorys.made, 0);

	/* What is given back can be had again. */
	mallorys.unlink_first = 1;
	assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)), -ENOSPC);
	assert_int_equal(mallorys.made, 1);

	/* To be root of a namespace of one's own does not help. */
	mallorys.unlink_first = 0;
	if (peer_call(mallory, become_root_of_a_namespace, NULL, 0) == 0) {
		assert_error(peer_call(mallory, make_regions, &mallorys, sizeof(mallorys)),
			     -ENOSPC);
		assert_int_equal(mallorys.made, 0);
	}

	assert_error(peer_call(bob, make_regions, &bobs, sizeof(bobs)), -ENOSPC);
	assert_int_equal(bobs.made, 3);
	fd = device_open(O_RDWR);
	for (int i = 0; i < 5; i++) {
		region_name(name);
		assert_ok(do_create(fd, name, small, GIB, NULL));
	}
	close(fd);
}

static void one_user_takes_only_his_share_of_regions(void **state)
{
	(void)state;
	parameter_set("max_user_regions", 3);
	mallory_takes_only_three_regions();
}

static void one_user_takes_only_his_share_of_address_space(void **state)
{
	(void)state;
	parameter_set("max_user_capacity", (long)(4 * GIB - SYSTEM_PAGE));
	mallory_takes_only_three_regions();
}

static volatile sig_atomic_t nr_alarms;

static void count_alarm(int signal)
{
	(void)signal;
	nr_alarms++;
}

struct timed_grow {
	uint64_t length;
	unsigned int tries; /* out: until a signal came while it grew */
	int mask_changed;   /* out */
};

static long grow_under_a_timer(void *arg)
{
	const struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = count_alarm, .sa_flags = SA_RESTART };
	struct timed_grow *t = arg;
	sigset_t before, after;
	int alarms;
	long err;

	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	if (sigaction(SIGALRM, &action, NULL) || sigprocmask(SIG_SETMASK, NULL, &before))
		return -errno;
	if (setitimer(ITIMER_REAL, &often, NULL))
		return -errno;
	do {
		t->tries++;
		alarms = nr_alarms;
		err = do_grow(self.fd, 0, t->length, NULL);
		alarms = nr_alarms - alarms;
		if (!err && !alarms)
			err = do_shrink(self.fd, 0, 0, NULL);
	} while (!err && !alarms && t->tries < 50);
	setitimer(ITIMER_REAL, &never, NULL);
	if (sigprocmask(SIG_SETMASK, NULL, &after))
		return -errno;
	for (int i = 1; i < SIGRTMAX; i++)
		t->mask_changed |= sigismember(&before, i) != sigismember(&after, i);
	return err ? err : alarms;
}

static void a_periodic_signal_with_sa_restart_does_not_keep_a_grow_from_ending(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct timed_grow t = { .length = b->page > 64 * MIB ? b->page : 64 * MIB };
	struct region *r;
	struct peer *p;

	backing_needs(b, t.length);
	r = region_new(b, b->capacity);
	p = peer_join(r, "alarmed");
	/* The handler has run when the grow was done. */
	assert_true(peer_call(p, grow_under_a_timer, &t, sizeof(t)) > 0);
	assert_int_equal(t.mask_changed, 0);
	assert_int_equal(region_size(r), t.length);
	assert_int_equal(peer_present(p, r->base, t.length), t.length);
}

struct heir {
	pid_t pid; /* out */
	int fd;	   /* out */
};

/* A child of the client's that has its open file and does nothing with it. */
static long leave_an_heir(void *arg)
{
	struct heir *h = arg;

	h->fd = self.fd;
	h->pid = fork();
	if (h->pid < 0)
		return -errno;
	if (h->pid == 0) {
		for (;;)
			pause();
	}
	return 0;
}

static void end_heir(void *arg)
{
	const struct heir *h = arg;

	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

struct gone {
	const struct region *region;
	long memory; /* what was taken before */
};

/* Memory of that backing that is in use. */
static long taken(const struct backing *b)
{
	if (backing_is_hugetlb(b))
		return -backing_free_pages(b) * (long)b->page;
	return meminfo("Shmem:");
}

static bool is_gone(void *arg)
{
	const struct gone *g = arg;

	return do_stat(g->region->fd, g->region->id, NULL, NULL) == -ENOENT &&
	       taken(g->region->backing) <= g->memory;
}

static void an_inherited_file_does_not_keep_the_memory(void **state)
{
	static struct heir heir;
	const struct backing *b = param_of(state)->backing;
	struct peershm_create again = { .size = sizeof(again), .capacity = b->capacity };
	struct gone gone = { .memory = taken(b) + (long)MIB };
	struct peer *parent;
	struct region *r;
	char path[64];

	backing_needs(b, b->step);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	r = region_new(b, b->capacity);
	gone.region = r;
	region_grow(r, b->step);
	parent = peer_join(r, "parent");
	assert_ok(peer_call(parent, leave_an_heir, &heir, sizeof(heir)));
	test_cleanup(end_heir, &heir);
	assert_false(is_gone(&gone));
	assert_ok(do_unlink(r->fd, r->name));
	peer_kill(parent);
	assert_true(test_until(is_gone, &gone, 10000));

	/* Its address is free as well, and the child still has the file. */
	region_name(again.name);
	again.base = r->base;
	again.backing = b->id;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_CREATE, &again));
	assert_int_equal(again.base, r->base);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)heir.pid, heir.fd);
	assert_int_equal(access(path, F_OK), 0);
}

struct unlinking {
	char name[PEERSHM_NAME_SIZE];
	uint64_t region;
	int by_name, by_id; /* out */
};

static long try_unlink(void *arg)
{
	struct unlinking *u = arg;
	int fd = device_open(O_RDWR);

	if (fd < 0)
		return fd;
	u->by_name = do_unlink(fd, u->name);
	u->by_id = do_unlink_id(fd, u->region);
	close(fd);
	return 0;
}

static long create_in_peer(void *arg)
{
	struct unlinking *u = arg;
	int fd = device_open(O_RDWR);
	long err;

	if (fd < 0)
		return fd;
	err = do_create_mode(fd, u->name, 0060, 0);
	close(fd);
	return err;
}

static void only_the_owner_may_unlink(void **state)
{
	struct unlinking u = { .region = 0 };
	struct peer *bob = peer_new(), *alice = peer_new(), *carol = peer_new();
	struct peershm_region_info info;
	int fd = device_open(O_RDWR);

	(void)state;
	assert_true(fd >= 0);
	peer_become(bob, BOB, BOB);
	peer_become(alice, ALICE, CAROL);
	peer_become(carol, CAROL, CAROL);

	u.region = region_of_mode(fd, u.name, small, 0666);
	assert_ok(peer_call(bob, try_unlink, &u, sizeof(u)));
	assert_error(u.by_name, -EACCES);
	assert_error(u.by_id, -EACCES);
	assert_ok(do_stat(fd, 0, u.name, &info));
	assert_int_equal(info.id, u.region);
	assert_int_equal(info.flags & PEERSHM_HEADER_UNLINKED, 0);
	assert_ok(do_unlink(fd, u.name));

	/* Not the group; and the owner whatever the mode is. */
	region_name(u.name);
	assert_ok(peer_call(alice, create_in_peer, &u, sizeof(u)));
	assert_ok(do_stat(fd, 0, u.name, &info));
	u.region = info.id;
	assert_ok(peer_call(carol, try_unlink, &u, sizeof(u)));
	assert_error(u.by_name, -EACCES);
	assert_error(u.by_id, -EACCES);
	assert_ok(peer_call(alice, try_unlink, &u, sizeof(u)));
	assert_error(u.by_name, 0);
	assert_error(u.by_id, -ENOENT);
	assert_error(do_stat(fd, 0, u.name, NULL), -ENOENT);
	close(fd);
}

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

static long seal(void *arg)
{
	const uint64_t *range = arg;

	return syscall(SYS_mseal, range[0], range[1], 0) ? -errno : 0;
}

static void a_client_whose_window_cannot_be_unmapped_stays_whole(void **state)
{
	const struct backing *b = param_of(state)->backing;
	uint64_t range[2] = { 0, b->capacity };
	struct region *r;
	struct peer *p;
	long err;

	backing_needs(b, b->step);
	r = region_new(b, b->capacity);
	p = peer_join(r, "sealed");
	range[0] = r->base;
	err = peer_call(p, seal, range, sizeof(range));
	if (err)
		skip_because("mseal: %s", strerror((int)-err));
	assert_error(peer_detach(p), -EPERM);
	assert_int_equal(region_nr_clients(r), 1);
	region_grow(r, b->step);
	assert_int_equal(peer_present(p, r->base, b->step), b->step);
	assert_int_equal(peer_write(p, r->base, b->step).minor, 0);
	peer_kill(p);
	assert_true(region_until_clients(r, 0, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_region_unlinked_while_it_is_created_gives_its_own_id),
		TEST_BACKINGS(a_read_only_client_gains_no_write_access_by_remap_file_pages),
		TEST_BACKINGS(remap_file_pages_does_not_extend_the_memory_beyond_the_size),
		TEST_BACKINGS(madvise_remove_punches_no_holes),
		TEST(one_user_takes_only_his_share_of_regions),
		TEST(one_user_takes_only_his_share_of_address_space),
		TEST_BACKINGS(a_periodic_signal_with_sa_restart_does_not_keep_a_grow_from_ending),
		TEST_BACKINGS(an_inherited_file_does_not_keep_the_memory),
		TEST(only_the_owner_may_unlink),
		TEST_BACKINGS(a_client_whose_window_cannot_be_unmapped_stays_whole),
	};

	return test_run(tests);
}
