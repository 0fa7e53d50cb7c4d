/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory of a large grow, which several CPUs allocate and zero. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/helped.h"
#include "support/memory.h"

#define GARBAGE 0xb5

/* A grow so large that others help. */
static uint64_t large(const struct backing *b)
{
	return b->page > 32 * MIB ? 2 * b->page : 64 * MIB;
}

struct range {
	uint64_t address, length;
	uint64_t at; /* out: the first word that is not zero */
};

static long fill_with_garbage(void *arg)
{
	struct range *r = arg;

	memset(at_address(r->address), GARBAGE, r->length);
	return 0;
}

static long find_garbage(void *arg)
{
	struct range *r = arg;

	for (r->at = r->address; r->at < r->address + r->length; r->at += sizeof(uint64_t)) {
		if (*(volatile uint64_t *)at_address(r->at))
			return -EBADMSG;
	}
	return 0;
}

static void every_word_of_a_large_grow_is_zero(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r = region_new(b, GIB);
	struct peer *p = peer_join(r, "peer");
	const uint64_t length = large(b);
	struct range range = { r->base, length, 0 };
	struct faults faults;

	/* Memory that has just been freed is the first to be given out again. */
	for (unsigned int i = 0; i < 3; i++) {
		region_grow(r, length);
		assert_int_equal(peer_present(p, r->base, length), length);
		assert_ok(peer_call(p, find_garbage, &range, sizeof(range)));
		faults = peer_write(p, r->base, length);
		assert_int_equal(faults.minor + faults.major, 0);
		assert_ok(peer_call(p, fill_with_garbage, &range, sizeof(range)));
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
}

/* Bytes of the process's mapping at an address that are mapped by huge pages. */
static long mapped_huge(void *arg)
{
	const struct range *r = arg;
	char line[512];
	uint64_t start;
	bool here = false;
	long kib = -1;
	FILE *file;

	file = fopen("/proc/self/smaps", "re");
	if (!file)
		return -errno;
	while (kib < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-", &start) == 1 && strchr(line, '-'))
			here = start == r->address;
		else if (here)
			sscanf(line, "ShmemPmdMapped: %ld", &kib);
	}
	fclose(file);
	return kib < 0 ? -ENODATA : kib * (long)KIB;
}

static void a_large_grow_has_no_small_page_where_huge_ones_are_to_be_had(void **state)
{
	const struct backing *b = param_of(state)->backing;
	const uint64_t length = large(b);
	struct region *r = region_new(b, GIB);
	struct peer *p = peer_join(r, "peer");
	struct range range = { .address = r->base };
	long huge = 0;

	/* Whether they are is up to what else memory is in pieces for. */
	for (unsigned int i = 0; huge != (long)length && i < 10; i++) {
		if (file_write("/proc/sys/vm/compact_memory", "1"))
			skip_because("memory cannot be compacted");
		region_grow(r, length);
		huge = peer_call(p, mapped_huge, &range, sizeof(range));
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
	assert_int_equal(huge, length);
}

static bool is_helped(struct peer *grower, const struct region *r, uint64_t length)
{
	struct peershm_grow g = { .size = sizeof(g), .length = length };
	bool yes;

	helpers_came();
	assert_ok(peer_ioctl(grower, PEERSHM_IOC_GROW, &g, sizeof(g)));
	yes = helpers_came();
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	return yes;
}

static void several_cpus_take_part_in_a_large_grow_alone(void **state)
{
	const struct backing *b = param_of(state)->backing;
	struct region *r = region_new(b, GIB);
	struct peer *grower = peer_join(r, "grower");
	bool helped = false;

	helpers_watch();
	assert_false(is_helped(grower, r, b->page));
	/* A helper that the other CPU has no time for is too late. */
	for (unsigned int i = 0; !helped && i < 20; i++)
		helped = is_helped(grower, r, large(b));
	assert_true(helped);
}

static long be_nice(void *arg)
{
	(void)arg;
	return setpriority(PRIO_PROCESS, 0, 1) ? -errno : 0;
}

/* A real-time task would not do: a helper on its CPU has no turn before it is done. */
static long be_idle(void *arg)
{
	const struct sched_param none = { 0 };

	(void)arg;
	return sched_setscheduler(0, SCHED_IDLE, &none) ? -errno : 0;
}

static void nobody_helps(struct peer *grower, const struct region *r)
{
	for (unsigned int i = 0; i < 5; i++)
		assert_false(is_helped(grower, r, large(r->backing)));
}

static void nobody_helps_who_may_use_one_cpu_or_waits_otherwise_for_it(void **state)
{
	static const struct {
		const char *name;
		peer_function become;
	} growers[] = {
		{ "on one CPU", use_one_cpu },
		{ "nice", be_nice },
		{ "idle", be_idle },
	};
	struct region *r = region_new(param_of(state)->backing, GIB);

	helpers_watch();
	for (unsigned int i = 0; i < sizeof(growers) / sizeof(growers[0]); i++) {
		struct peer *grower = peer_join(r, growers[i].name);

		assert_ok(peer_call(grower, growers[i].become, NULL, 0));
		nobody_helps(grower, r);
		peer_end(grower);
	}
}

static void nobody_helps_in_a_cgroup_with(const char *file, const struct backing *b)
{
	struct region *r = region_new(b, GIB);
	struct peer *grower = peer_join(r, "grower");
	const char *memcg = memcg_new(2 * GIB);
	char path[256];

	helpers_watch();
	cgroup_join(memcg, grower->pid);
	snprintf(path, sizeof(path), "%s/%s", memcg, file);
	if (access(path, F_OK))
		skip_because("this kernel has no %s", file);
	memcg_set(memcg, file, "1G");
	nobody_helps(grower, r);
}

static void nobody_helps_who_could_be_throttled(void **state)
{
	nobody_helps_in_a_cgroup_with("memory.high", param_of(state)->backing);
}

static void nobody_helps_who_could_be_throttled_for_swap(void **state)
{
	nobody_helps_in_a_cgroup_with("memory.swap.high", param_of(state)->backing);
}

#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"
#define ADMIN_RESERVE "/proc/sys/vm/admin_reserve_kbytes"
#define NOBODY 65534

struct setting {
	const char *path;
	long value;
};

static void put_setting_back(void *arg)
{
	const struct setting *s = arg;
	char text[32];

	snprintf(text, sizeof(text), "%ld", s->value);
	file_write(s->path, text);
}

/* What only an administrator may have is not had with the help of the kernel's threads. */
static void what_is_kept_for_the_administrator_is_refused(void **state)
{
	static struct setting overcommit = { .path = OVERCOMMIT };
	static struct setting admin_reserve = { .path = ADMIN_RESERVE };
	const struct backing *b = param_of(state)->backing;
	struct region *r = region_new(b, GIB);
	struct peer *p = peer_join(r, "nobody");
	struct peershm_grow g = { .size = sizeof(g), .length = large(b) };
	char all[32];

	peer_become(p, NOBODY, NOBODY);
	overcommit.value = file_number(OVERCOMMIT);
	admin_reserve.value = file_number(ADMIN_RESERVE);
	test_cleanup(put_setting_back, &admin_reserve);
	test_cleanup(put_setting_back, &overcommit);
	snprintf(all, sizeof(all), "%ld", meminfo("CommitLimit:") / 1024);
	assert_ok(file_write(ADMIN_RESERVE, all));
	assert_ok(file_write(OVERCOMMIT, "2"));
	assert_int_equal(peer_ioctl(p, PEERSHM_IOC_GROW, &g, sizeof(g)), -ENOMEM);
	assert_int_equal(region_size(r), 0);
	/* An administrator gets it. */
	region_grow(r, large(b));
}

#define TEST_TMPFS(f) \
	TEST_CASE(#f "_small", f, PEERSHM_SMALL, 0), TEST_CASE(#f "_thp", f, PEERSHM_THP, 0)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_TMPFS(every_word_of_a_large_grow_is_zero),
		TEST_CASE("a_large_grow_has_no_small_page_where_huge_ones_are_to_be_had",
			  a_large_grow_has_no_small_page_where_huge_ones_are_to_be_had, PEERSHM_THP,
			  0),
		TEST_TMPFS(several_cpus_take_part_in_a_large_grow_alone),
		TEST_TMPFS(nobody_helps_who_may_use_one_cpu_or_waits_otherwise_for_it),
		TEST_TMPFS(nobody_helps_who_could_be_throttled),
		TEST_TMPFS(nobody_helps_who_could_be_throttled_for_swap),
		TEST_TMPFS(what_is_kept_for_the_administrator_is_refused),
	};

	return test_run(tests);
}
