/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every allocation and every copy from and to user space that a command passes fails once,
 * one at a time: the first, the second, and so on until the command passes without one left
 * to fail. Whatever fails, the command either succeeds all the same or gives an error after
 * which nothing has changed. Needs a kernel with fault injection (make check-debug).
 */
#include <sys/mman.h>
#include <unistd.h>

#include "common/harness.h"

/* Few pages: each one is many sites, and each site is a run. */
#define STEP(b) ((b)->id == PEERSHM_SMALL ? 16 * (b)->page : (b)->page)
#define MAX_SITES 5000

enum where {
	OUTSIDE, /* in a peer that is no client */
	UNDONE,	 /* the same, and the command is undone if its answer cannot be given */
	INSIDE,	 /* in a client */
};

/* A command as a peer runs it, and how to take it back if it succeeded. */
struct operation {
	const char *name;
	peer_function run;
	peer_function undo;
	enum where where;
};

/* What a run is told, and what it tells. */
struct injection {
	char region[PEERSHM_NAME_SIZE];
	uint64_t id, base, step, capacity;
	enum peershm_backing backing;
	int operation;
	unsigned int nth;
	/* out */
	long err;
	bool injected;
};

static int fd = -1; /* in the peer: what it opened; a client's is self.fd */

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
	const struct injection *in = arg;
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
	const struct injection *in = arg;
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
	const struct injection *in = arg;
	struct peershm_peer peers[4];
	struct peershm_grow g = {
		.size = sizeof(g),
		.length = in->step,
		.report = { .peers = (uintptr_t)peers, .nr_peers = 4 },
	};

	return xioctl(self.fd, PEERSHM_IOC_GROW, &g);
}

static long run_shrink(void *arg)
{
	const struct injection *in = arg;

	return do_shrink(self.fd, 0, in->step, NULL);
}

static long run_shrink_to_nothing(void *arg)
{
	(void)arg;
	return do_shrink(self.fd, 0, 0, NULL);
}

static long undo_shrink(void *arg)
{
	const struct injection *in = arg;

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
	const struct injection *in = arg;

	return do_set_root(self.fd, 0, 0, in->base + 64);
}

static long undo_set_root(void *arg)
{
	const struct injection *in = arg;

	return do_set_root(self.fd, 0, in->base + 64, 0);
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

static const struct operation operations[] = {
	{ "open", run_open, undo_open, OUTSIDE },
	{ "create", run_create, undo_create, UNDONE },
	{ "attach", run_attach, run_detach, UNDONE },
	{ "grow", run_grow, run_shrink, INSIDE },
	{ "shrink", run_shrink_to_nothing, undo_shrink, INSIDE },
	{ "peer map", run_peer_map, NULL, INSIDE },
	{ "set root", run_set_root, undo_set_root, INSIDE },
	{ "clients", run_clients, NULL, INSIDE },
	{ "resolve", run_resolve, NULL, INSIDE },
	{ "regions", run_regions, NULL, INSIDE },
	{ "stat", run_stat, NULL, INSIDE },
	{ "map header", run_map_header, undo_map, INSIDE },
	{ "map control", run_map_control, undo_map, INSIDE },
	{ "detach", run_detach, run_attach, INSIDE },
};

/* In the peer: run the operation with its nth site failing. */
static long inject(void *arg)
{
	struct injection *in = arg;
	char text[16] = "";
	int nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (nth < 0)
		return -errno;
	snprintf(text, sizeof(text), "%u", in->nth);
	if (pwrite(nth, text, strlen(text), 0) < 0) {
		close(nth);
		return -errno;
	}
	in->err = operations[in->operation].run(in);
	/* The read is a site of its own: if that failed, the operation had none left. */
	n = pread(nth, text, sizeof(text) - 1, 0);
	in->injected = n > 0 && text[0] == '0';
	pwrite(nth, "0", 1, 0);
	close(nth);
	return 0;
}

static long undo(void *arg)
{
	struct injection *in = arg;

	return operations[in->operation].undo ? operations[in->operation].undo(in) : 0;
}

static long device_for_self(void *arg)
{
	(void)arg;
	self.fd = device_open(O_RDWR);
	return self.fd < 0 ? self.fd : 0;
}

/* All sites count, also those that may sleep, and a failure is no news for the log. */
static void faults_on(void)
{
	static const char *const settings[][2] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
		{ "/sys/kernel/debug/fail_usercopy/verbose", "0" },
	};

	if (access("/proc/thread-self/fail-nth", W_OK))
		skip_because("this kernel has no fault injection (CONFIG_FAULT_INJECTION)");
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (file_write(settings[i][0], settings[i][1]))
			skip_because("%s cannot be set", settings[i][0]);
	}
}

static bool is_clean(long err)
{
	return err == 0 || err == -ENOMEM || err == -EFAULT || err == -ENFILE;
}

/*
 * An error whose cause was that the answer could not be copied, after the change: that is
 * undone, or stands (the ABI says which). Anything else has changed nothing.
 */
static void check_error(struct peer *p, struct injection *in, struct snapshot *before,
			const struct client *witness)
{
	struct peershm_region_info info;
	const struct operation *o = &operations[in->operation];

	if (in->err == -EFAULT && o->where == UNDONE) {
		snapshot_same_but_count(before);
		snapshot_again(before);
		return;
	}
	assert_ok(do_stat(witness->fd, 0, NULL, &info));
	if (in->err == -EFAULT && info.generation != snapshot_generation(before)) {
		print_message("# %s, site %u: done, but not answered\n", o->name, in->nth);
		assert_ok(peer_call(p, undo, in, sizeof(*in)));
		snapshot_again(before);
		return;
	}
	snapshot_same(before);
}

/*
 * Gives how many sites the operation passes: about, because it depends on what the caches of
 * the kernel's allocators have at hand.
 */
static unsigned int fail_each_site(struct peer *p, struct injection *in, struct client *witness)
{
	struct snapshot *before = snapshot_take(witness);

	for (in->nth = 1; in->nth <= MAX_SITES; in->nth++) {
		assert_ok(peer_call(p, inject, in, sizeof(*in)));
		if (!is_clean(in->err))
			print_error("%s, site %u: %s\n", operations[in->operation].name, in->nth,
				    strerror((int)-in->err));
		assert_true(is_clean(in->err));
		if (!in->injected) {
			assert_ok(in->err);
			assert_ok(peer_call(p, undo, in, sizeof(*in)));
			return in->nth - 1;
		}
		if (in->err) {
			check_error(p, in, before, witness);
			continue;
		}
		assert_ok(peer_call(p, undo, in, sizeof(*in)));
		snapshot_again(before);
	}
	fail_msg("%s passes more than %u sites", operations[in->operation].name, MAX_SITES);
	return 0;
}

static void every_site_of_every_command_fails_cleanly(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct injection in = { .step = STEP(b), .capacity = b->capacity, .backing = b->id };
	struct peer *outside, *inside;
	struct client *witness;
	struct region *r;
	unsigned int sites;

	faults_on();
	backing_needs(b, 2 * STEP(b));
	r = region_new(b, b->capacity);
	region_grow(r, STEP(b));
	memcpy(in.region, r->name, sizeof(in.region));
	in.id = r->id;
	in.base = r->base;
	witness = client_new(r, "witness");
	outside = peer_new();
	assert_ok(peer_call(outside, device_for_self, NULL, 0));
	inside = peer_join(r, "injected-inside");

	for (in.operation = 0; in.operation < (int)(sizeof(operations) / sizeof(operations[0]));
	     in.operation++) {
		const struct operation *o = &operations[in.operation];

		sites = fail_each_site(o->where == INSIDE ? inside : outside, &in, witness);
		print_message("# %s: %u sites\n", o->name, sites);
		if (o->run != run_resolve)
			assert_true(sites > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(every_site_of_every_command_fails_cleanly),
	};

	return test_run(tests);
}
