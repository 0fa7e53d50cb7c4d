// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directory of all regions: their names, their addresses, and what each
 * user has in them.
 */
#include <linux/err.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "memory/backing.h"
#include "registry/directory.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/limits.h"
#include "registry/region.h"
#include "types.h"

/*
 * Where the module places regions: addresses that programs, their heaps and
 * libraries, and the shadow memory of AddressSanitizer, ThreadSanitizer and
 * MemorySanitizer leave alone (all three on x86-64, the first on arm64). The
 * second range, for when the first is full, is not ThreadSanitizer's.
 */
static const struct {
	unsigned long start;
	unsigned long end;
} arenas[] = {
	{ 0x550000000000, 0x555000000000 },
	{ 0x510000000000, 0x550000000000 },
};

/* The region list lock: names and addresses. */
static DEFINE_MUTEX(list_mutex);
static LIST_HEAD(list);			/* all that live, by base */
static unsigned int nr_regions;		/* all that live; read without lock */
static u64 last_id;

static struct peershm_region *find_locked(const char *name, u64 id)
{
	struct peershm_region *region;

	lockdep_assert_held(&list_mutex);
	list_for_each_entry(region, &list, node) {
		if (!region->linked)
			continue;
		if (id ? region->id == id : !strcmp(region->name, name))
			return region;
	}
	return NULL;
}

/**
 * peershm_directory_find() - look up a linked region and take a reference
 * @name: its name, if @id is 0
 * @id: its id, or 0
 * @mask: what the caller means to do, MAY_READ, MAY_WRITE or both
 * @failure: says why not
 *
 * Returns: the region, -ENOENT or -EACCES.
 */
struct peershm_region *peershm_directory_find(const char *name, u64 id,
					      int mask,
					      struct peershm_failure *failure)
{
	struct peershm_region *region;
	int err = 0;

	mutex_lock(&list_mutex);
	region = find_locked(name, id);
	if (!region)
		err = peershm_fail(failure, -ENOENT, PEERSHM_REASON_NO_REGION,
				   0);
	else if (!peershm_region_may(region, mask))
		err = peershm_fail(failure, -EACCES, PEERSHM_REASON_DENIED, 0);
	else
		peershm_region_get(region);
	mutex_unlock(&list_mutex);
	return err ? ERR_PTR(err) : region;
}

/* Place @region between its neighbours, at @base if it is free. */
static bool place_at(struct peershm_region *region, unsigned long base)
{
	struct peershm_region *other;
	struct list_head *next = &list;

	lockdep_assert_held(&list_mutex);
	list_for_each_entry(other, &list, node) {
		if (other->base + other->capacity <= base)
			continue;
		if (other->base < base + region->capacity)
			return false;
		next = &other->node;
		break;
	}
	region->base = base;
	list_add_tail(&region->node, next);
	return true;
}

/* First fit in an arena, in slots of 1 GiB, whatever the page size is. */
static bool place_in(struct peershm_region *region, unsigned long start,
		     unsigned long end)
{
	struct peershm_region *other;
	unsigned long base = start;

	lockdep_assert_held(&list_mutex);
	if (end > TASK_SIZE || region->capacity > end - start)
		return false;
	list_for_each_entry(other, &list, node) {
		if (other->base + other->capacity <= base)
			continue;
		if (base + region->capacity <= other->base)
			break;
		base = round_up(other->base + other->capacity, SZ_1G);
		if (base > end || region->capacity > end - base)
			return false;
	}
	return place_at(region, base);
}

static bool place_anywhere(struct peershm_region *region)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arenas); i++)
		if (place_in(region, arenas[i].start, arenas[i].end))
			return true;
	return false;
}

/* Is there room for one more region of this user, with this capacity? */
static int user_may_add(kuid_t uid, u64 capacity,
			struct peershm_failure *failure)
{
	struct peershm_region *region;
	u64 total = capacity;
	unsigned int n = 1;

	lockdep_assert_held(&list_mutex);
	list_for_each_entry(region, &list, node) {
		if (!uid_eq(region->uid, uid))
			continue;
		total += region->capacity;
		n++;
	}
	return peershm_limits_user_regions(n, total, failure);
}

/* What the small and thp regions of the user have, but for @except. */
static u64 granted_to(kuid_t uid, const struct peershm_region *except)
{
	struct peershm_region *region;
	u64 total = 0;

	lockdep_assert_held(&list_mutex);
	list_for_each_entry(region, &list, node)
		if (region != except && uid_eq(region->uid, uid) &&
		    !peershm_backing_pooled(region->backing))
			total += region->granted;
	return total;
}

static bool user_may_have(const struct peershm_region *region, u64 bytes)
{
	return !region->limited ||
	       granted_to(region->uid, region) + bytes <=
		       peershm_limits_user_bytes();
}

/**
 * peershm_directory_grant() - may the region's owner have so much memory in it?
 * @region: whose resize lock is held
 * @size: what the region is going to have
 * @reserve: and what is to lie ready beyond it
 *
 * If so, it counts as the owner's from now on, so that two regions of one user
 * cannot both take what is left. A smaller amount than before is never refused.
 */
bool peershm_directory_grant(struct peershm_region *region, u64 size,
			     u64 reserve)
{
	u64 bytes = size + min(reserve, region->capacity - size);
	bool yes;

	lockdep_assert_held(&region->resize_mutex);
	mutex_lock(&list_mutex);
	yes = bytes <= region->granted || user_may_have(region, bytes);
	if (yes)
		region->granted = bytes;
	mutex_unlock(&list_mutex);
	return yes;
}

/* Take a region that nobody uses any more out of the list. */
static void remove(struct peershm_region *region)
{
	mutex_lock(&list_mutex);
	list_del(&region->node);
	WRITE_ONCE(nr_regions, nr_regions - 1);
	mutex_unlock(&list_mutex);
}

static int place(struct peershm_region *region, u64 base,
		 struct peershm_failure *failure)
{
	int err;

	if (find_locked(region->name, 0))
		return peershm_fail(failure, -EEXIST,
				    PEERSHM_REASON_REGION_NAME, 0);
	err = peershm_limits_regions(nr_regions + 1, failure);
	if (!err)
		err = user_may_add(region->uid, region->capacity, failure);
	if (err)
		return err;
	if (!user_may_have(region, region->granted))
		return peershm_fail(failure, -ENOSPC,
				    PEERSHM_REASON_MAX_USER_BYTES,
				    peershm_limits_user_bytes());
	if (base ? place_at(region, base) : place_anywhere(region))
		return 0;
	return base ? peershm_fail(failure, -EADDRINUSE,
				   PEERSHM_REASON_REGION_RANGE, 0) :
		      peershm_fail(failure, -ENOSPC, PEERSHM_REASON_NO_RANGE,
				   0);
}

/**
 * peershm_directory_add() - give a complete region its id, address and name
 * @region: whose first user becomes its name
 * @base: the address, or 0: any that is free
 * @id: set
 * @failure: says why not
 *
 * After it somebody may unlink and free the region at any moment.
 *
 * Returns: 0, -EEXIST, -ENOSPC or -EADDRINUSE.
 */
int peershm_directory_add(struct peershm_region *region, u64 base, u64 *id,
			  struct peershm_failure *failure)
{
	int err;

	mutex_lock(&list_mutex);
	err = place(region, base, failure);
	if (err)
		goto unlock;
	region->id = ++last_id;
	region->remove = remove;
	*id = region->id;
	WRITE_ONCE(nr_regions, nr_regions + 1);
	spin_lock(&region->registry_lock);
	region->linked = true;
	peershm_header_begin(region);
	peershm_header_set_place(region);
	peershm_header_set_region(region);
	peershm_header_end(region);
	spin_unlock(&region->registry_lock);
unlock:
	mutex_unlock(&list_mutex);
	return err;
}

/**
 * peershm_directory_unlink() - take a region's name away
 * @region: that the caller uses
 * @client: who does it, or NULL
 *
 * The first caller also drops the use of the region that its name stands for.
 *
 * Returns: whether it still had its name.
 */
bool peershm_directory_unlink(struct peershm_region *region,
			      const struct peershm_client *client)
{
	bool was_linked;

	mutex_lock(&list_mutex);
	was_linked = region->linked;
	spin_lock(&region->registry_lock);
	region->linked = false;
	if (was_linked) {
		peershm_header_show_region(region);
		peershm_event_record_locked(region, PEERSHM_EVENT_UNLINKED,
					    client, 0, 0);
	}
	spin_unlock(&region->registry_lock);
	mutex_unlock(&list_mutex);

	if (was_linked)
		peershm_region_put(region);
	return was_linked;
}

/**
 * peershm_directory_count() - about how many regions there are
 */
u32 peershm_directory_count(void)
{
	return READ_ONCE(nr_regions);
}

/**
 * peershm_directory_describe() - the linked regions that the caller may read
 * @infos: to fill
 * @room: how many fit
 *
 * Returns: how many there are.
 */
u32 peershm_directory_describe(struct peershm_region_info *infos, u32 room)
{
	struct peershm_region *region;
	u32 n = 0;

	mutex_lock(&list_mutex);
	list_for_each_entry(region, &list, node) {
		if (!region->linked || !peershm_region_may(region, MAY_READ))
			continue;
		if (n < room)
			peershm_region_describe(region, &infos[n]);
		n++;
	}
	mutex_unlock(&list_mutex);
	return n;
}
