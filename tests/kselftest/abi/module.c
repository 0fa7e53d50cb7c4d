/* SPDX-License-Identifier: GPL-2.0-only */
/* The module can be removed when nothing uses it, not before, and leaves nothing behind. */
#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/harness.h"

#define SOON 5000
#define MAX_SITES 1000000

static const char *module_path(void)
{
	const char *path = getenv("PEERSHM_MODULE");

	if (!path)
		path = "/lib/modules/peershm.ko";
	if (access(path, R_OK) != 0)
		skip_because("no module at %s: set PEERSHM_MODULE", path);
	if (geteuid() != 0)
		skip_because("not root");
	return path;
}

/* With nth != 0 the nth site fails; *left is how many sites were still to be passed. */
static int insert_with(const char *path, const char *parameters, unsigned int nth,
		       unsigned int *left)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int armed = 0, err = 0;

	if (fd < 0)
		return -errno;
	if (nth)
		armed = fault_arm(nth);
	if (armed < 0) {
		close(fd);
		return armed;
	}
	if (syscall(SYS_finit_module, fd, parameters, 0))
		err = -errno;
	if (nth)
		*left = fault_disarm(armed);
	close(fd);
	return err;
}

static int module_remove(void)
{
	return syscall(SYS_delete_module, "peershm", O_NONBLOCK) ? -errno : 0;
}

static int module_insert(const char *path)
{
	return insert_with(path, "", 0, NULL);
}

static void insert_again(void *path)
{
	int err;

	if (access(PEERSHM_DEVICE, F_OK) == 0)
		return;
	err = module_insert(path);
	if (err)
		print_error("the module cannot be inserted again: %s\n", strerror(-err));
}

/* After the test the module is inserted again, with its parameters as they were. */
static const char *module_with_cleanup(void)
{
	static const char *const names[] = { "max_regions", "max_clients", "max_bytes" };
	const char *path = module_path();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		parameter_set(names[i], parameter(names[i]));
	test_cleanup(insert_again, (void *)path);
	return path;
}

static bool is_removed(void *arg)
{
	return (*(int *)arg = module_remove()) == 0;
}

static bool remove_soon(void)
{
	int err = 0;
	bool removed = test_until(is_removed, &err, SOON);

	if (!removed)
		print_error("rmmod gives %s, references: %ld\n", strerror(-err),
			    file_number("/sys/module/peershm/refcnt"));
	return removed;
}

CASE(a_module_with_a_region_is_not_removed)
{
	int fd;

	module_with_cleanup();
	fd = device_open(O_RDWR);
	assert_ok(do_create(fd, "t-module", small, GIB, NULL));
	close(fd);
	assert_error(module_remove(), -EAGAIN);
	fd = device_open(O_RDWR);
	assert_ok(do_stat(fd, 0, "t-module", NULL));
	assert_ok(do_unlink(fd, "t-module"));
	close(fd);
}

CASE(a_module_with_a_client_of_an_unlinked_region_is_not_removed)
{
	struct region *r;
	struct peer *p;

	module_with_cleanup();
	r = region_new(small, GIB);
	p = peer_join(r, "last");
	region_grow(r, MIB);
	assert_ok(do_unlink(r->fd, r->name));
	regions_end();
	assert_error(module_remove(), -EAGAIN);
	assert_int_equal(peer_touch_write(p, p->at.base), 0);
}

CASE(a_module_with_an_open_file_is_not_removed)
{
	int fd;

	module_with_cleanup();
	fd = device_open(O_RDWR);
	assert_error(module_remove(), -EAGAIN);
	close(fd);
}

static long close_and_keep_a_piece(void *arg)
{
	uint64_t *keep = arg;

	/* All that is left of the client is one page of its window, moved far away. */
	if (mremap(at_address(keep[0]), SYSTEM_PAGE, SYSTEM_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   at_address(keep[1])) == MAP_FAILED ||
	    munmap(at_address(keep[0]), GIB) || close(self.fd))
		return -errno;
	return munmap((void *)self.header, self.at.header_length) ? -errno : 0;
}

CASE(a_module_whose_window_is_mapped_somewhere_is_not_removed)
{
	uint64_t keep[2] = { 0, 0x400000000000 };
	struct region *r;
	struct peer *p;

	module_with_cleanup();
	r = region_new(small, GIB);
	region_grow(r, MIB);
	p = peer_join(r, "keeper");
	keep[0] = r->base;
	assert_ok(peer_call(p, close_and_keep_a_piece, keep, sizeof(keep)));
	assert_ok(do_unlink(r->fd, r->name));
	regions_end();
	assert_error(module_remove(), -EAGAIN);
	assert_int_equal(peer_touch_write(p, keep[1]), 0);
	assert_ok(peer_munmap(p, keep[1], SYSTEM_PAGE));
	assert_true(remove_soon());
}

/* Lines of a file that have this word in them; -1 if it cannot be read. */
static int lines_with(const char *path, const char *word)
{
	FILE *f = fopen(path, "re");
	char line[1024];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n += strstr(line, word) != NULL;
	fclose(f);
	return n;
}

static void nothing_is_seen(void)
{
	assert_int_equal(access(PEERSHM_DEVICE, F_OK), -1);
	assert_int_equal(access("/sys/module/peershm", F_OK), -1);
	assert_int_equal(access("/sys/class/misc/peershm", F_OK), -1);
	assert_int_equal(lines_with("/proc/modules", "peershm"), 0);
	assert_int_equal(lines_with("/proc/misc", "peershm"), 0);
	assert_int_equal(lines_with("/proc/mounts", "peershm"), 0);
}

static void nothing_is_left(void)
{
	nothing_is_seen();
	assert_true(lines_with("/proc/slabinfo", "peershm") <= 0);
	assert_true(lines_with("/proc/vmallocinfo", "peershm") <= 0);
	assert_true(lines_with("/proc/kallsyms", "[peershm]") <= 0);
}

CASE(a_removed_module_leaves_nothing_behind)
{
	module_with_cleanup();
	assert_true(remove_soon());
	nothing_is_left();
}

/* A region of each backing that there is, with memory, clients and an end. */
static void use_everything(void)
{
	for (int i = 0; i < 4; i++) {
		const struct backing *b = &backings[i];
		char name[16];
		struct region *r;

		if (b->id == PEERSHM_HUGETLB_1G ||
		    (backing_is_hugetlb(b) && backing_free_pages(b) < 8))
			continue;
		r = region_new(b, b->capacity);
		for (int j = 0; j < 3; j++) {
			snprintf(name, sizeof(name), "peer %d", j);
			peer_join(r, name);
		}
		region_grow(r, b->step);
		assert_ok(do_shrink(r->fd, r->id, b->page, NULL));
	}
	peers_end();
	regions_end();
}

/* Give free slab memory back to the system, also what KASAN keeps in quarantine. */
static void shrink_slabs(void)
{
	glob_t caches;

	if (glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches))
		return;
	for (size_t i = 0; i < caches.gl_pathc; i++)
		file_write(caches.gl_pathv[i], "1");
	globfree(&caches);
}

CASE(twenty_insertions_and_removals_leave_no_memory_behind)
{
	const char *path;
	long pages = backing_free_pages(hugetlb_2m);
	long shmem, slab;

	path = module_with_cleanup();
	/* The kernel allocates some things at the first use and keeps them: not to be counted. */
	use_everything();
	assert_true(remove_soon());
	assert_ok(module_insert(path));
	shrink_slabs();
	shmem = meminfo("Shmem:");
	slab = meminfo("SUnreclaim:");
	for (int i = 0; i < 20; i++) {
		use_everything();
		assert_true(remove_soon());
		assert_ok(module_insert(path));
	}
	assert_int_equal(backing_free_pages(hugetlb_2m), pages);
	shrink_slabs();
	assert_true(meminfo_until_at_most("Shmem:", shmem + (long)(64 * KIB), SOON));
	assert_true(meminfo_until_at_most("SUnreclaim:", slab + (long)(4 * MIB), SOON));
}

/* Which of the four backings this machine has. */
static void look_for_backings(bool there[4])
{
	int fd = device_open(O_RDWR);

	assert_true(fd >= 0);
	for (int i = 0; i < 4; i++) {
		int err = do_create(fd, "t-module", &backings[i], backings[i].capacity, NULL);

		there[i] = err != -ENODEV;
		if (!there[i])
			continue;
		assert_ok(err);
		assert_ok(do_unlink(fd, "t-module"));
	}
	close(fd);
}

/*
 * How many sites the kernel passes before it parses the module's parameters, which are wrong
 * here: these are not the module's. Allocations of pages are not counted. Their number varies,
 * and the nth site of one insertion would not be the nth of the next.
 */
static unsigned int sites_of_loading(const char *path)
{
	unsigned int left = 0;

	assert_error(insert_with(path, "max_regions=none", MAX_SITES, &left), -EINVAL);
	return MAX_SITES - left;
}

/*
 * Let each site of an insertion fail, in two sweeps. One sweep would miss some: for every so many
 * files sysfs allocates once more, so that the Nth site of one insertion can be site N+1 of the
 * next.
 */
CASE(an_insertion_that_fails_anywhere_leaves_nothing_behind)
{
	unsigned int nth, first, left = 0, failed = 0, sweeps = 0;
	bool before[4], after[4];
	const char *path;

	faults_of_slabs_on();
	path = module_with_cleanup();
	look_for_backings(before);
	assert_true(remove_soon());
	first = sites_of_loading(path) + 1;
	for (nth = first; sweeps < 2 && nth < MAX_SITES; nth++) {
		int err;

		test_goes_on();
		err = insert_with(path, "", nth, &left);
		if (err) {
			if (err != -EFAULT) /* when it copied the parameters */
				assert_error(err, -ENOMEM);
			nothing_is_seen();
			failed++;
			continue;
		}
		look_for_backings(after);
		assert_memory_equal(after, before, sizeof(before));
		assert_true(remove_soon());
		if (left) {
			print_message("# %u sites, %u failures\n", nth - first, failed);
			sweeps++;
			nth = first - 1;
		}
	}
	assert_int_equal(sweeps, 2);
	assert_true(failed > 0);
	nothing_is_left();
}
