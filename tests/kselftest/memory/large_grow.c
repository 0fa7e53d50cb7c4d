/* SPDX-License-Identifier: GPL-2.0-only */
/* A large grow: several CPUs allocate and zero its memory, unless somebody forbids that. */
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

/* So much that kernel threads on other CPUs help with a grow. */
/* Nobody helps with the first page of it (FIRST_STEP in the module), which may be 32 MiB. */
static uint64_t large(const struct backing *b)
{
	return b->page > 8 * MIB ? 4 * b->page : 64 * MIB;
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

CASES(every_word_of_a_large_grow_is_zero, TMPFS)
{
	struct region *r = region_new(b, GIB);
	struct peer *p = peer_join(r, "peer");
	const uint64_t length = large(b);
	struct range range = { r->base, length, 0 };

	/* The kernel gives out first what was freed last: pages full of garbage. */
	for (unsigned int i = 0; i < 3; i++) {
		region_grow(r, length);
		assert_int_equal(peer_present(p, r->base, length), length);
		assert_ok(peer_call(p, find_garbage, &range, sizeof(range)));
		peer_has_all(p, r->base, length);
		assert_ok(peer_call(p, fill_with_garbage, &range, sizeof(range)));
		assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	}
}

/* In a peer: how many bytes of the mapping that begins at the address are mapped as huge pages. */
static long mapped_huge(void *arg)
{
	const struct range *r = arg;
	bool here = false;
	long kib = -1;
	char line[512];
	uint64_t start;
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

CASE(a_large_grow_has_no_small_page_where_huge_ones_are_to_be_had)
{
	const struct backing *b = thp;
	const uint64_t length = large(b);
	struct region *r = region_new(b, GIB);
	struct peer *p = peer_join(r, "peer");
	struct range range = { .address = r->base };
	long huge = 0;

	/* Several times: compaction may not find enough huge pages at once. */
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
	bool yes;

	helpers_came();
	assert_ok(peer_grow(grower, length));
	yes = helpers_came();
	assert_ok(do_shrink(r->fd, r->id, 0, NULL));
	return yes;
}

CASES(several_cpus_take_part_in_a_large_grow_alone, TMPFS)
{
	struct region *r = region_new(b, GIB);
	struct peer *grower = peer_join(r, "grower");
	bool helped = false;

	helpers_watch();
	assert_false(is_helped(grower, r, b->page));
	/* Several times: a helper comes too late if its CPU is busy. */
	for (unsigned int i = 0; !helped && i < 20; i++)
		helped = is_helped(grower, r, large(b));
	assert_true(helped);
}

static long be_nice(void *arg)
{
	(void)arg;
	return setpriority(PRIO_PROCESS, 0, 1) ? -errno : 0;
}

/* A real-time task would prove nothing: a helper on its CPU cannot run before it is done. */
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

CASES(nobody_helps_who_may_use_one_cpu_or_waits_otherwise_for_it, TMPFS)
{
	static const struct {
		const char *name;
		peer_function become;
	} growers[] = {
		{ "on one CPU", use_one_cpu },
		{ "nice", be_nice },
		{ "idle", be_idle },
	};
	struct region *r = region_new(b, GIB);

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

CASES(nobody_helps_who_could_be_throttled, TMPFS)
{
	nobody_helps_in_a_cgroup_with("memory.high", b);
}

CASES(nobody_helps_who_could_be_throttled_for_swap, TMPFS)
{
	nobody_helps_in_a_cgroup_with("memory.swap.high", b);
}

#define NOBODY 65534

/* The kernel keeps some memory for an administrator: its threads do not give it to others. */
CASES(what_is_kept_for_the_administrator_is_refused, TMPFS)
{
	struct region *r = region_new(b, GIB);
	struct peer *p = peer_join(r, "nobody");
	char all[32];

	peer_become(p, NOBODY, NOBODY);
	snprintf(all, sizeof(all), "%ld", meminfo("CommitLimit:") / 1024);
	setting_set("/proc/sys/vm/admin_reserve_kbytes", all);
	setting_set("/proc/sys/vm/overcommit_memory", "2");
	assert_error(peer_grow(p, large(b)), -ENOMEM);
	assert_int_equal(region_size(r), 0);
	/* An administrator can have it. */
	region_grow(r, large(b));
}
