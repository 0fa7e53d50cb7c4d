// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reserve of a region: memory that lies ready beyond its size, so that a
 * grow has nothing to allocate and nothing to zero.
 *
 * Each region has a work item of its own, of low priority, that fills its reserve
 * a chunk at a time: the limit of one memory cgroup slows down no other region.
 * The work only tries the resize_mutex: a change of the size goes first. When
 * memory runs short, the shrinker marks reserves, and the works give them back;
 * the shrinker itself cannot, as reclaim may hold the inode's lock.
 *
 * Lock order: the region's resize_mutex, then givers_lock or the region's
 * registry_lock, never both.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "memory/backing.h"
#include "memory/reserve.h"
#include "types.h"

/* How long until it is tried again: a size is being changed, memory is short. */
#define BUSY_MS 2
#define SHORT_MS 5000

/* How long what an interrupted grow has allocated waits for the grow to go on. */
#define INTERRUPTED_MS 1000

static struct workqueue_struct *queue;
static struct shrinker *shrinker;

/* The regions that have something to give back to the system. */
static DEFINE_SPINLOCK(givers_lock);
static LIST_HEAD(givers);

/* What is to lie ready: as much as was asked for, within the capacity. */
static u64 target(const struct peershm_region *region)
{
	return min(region->reserve.want, region->capacity - region->size);
}

static void set_have(struct peershm_region *region, u64 have)
{
	struct peershm_reserve *reserve = &region->reserve;

	lockdep_assert_held(&region->resize_mutex);
	spin_lock(&region->registry_lock);
	WRITE_ONCE(reserve->have, have); /* the shrinker looks without a lock */
	spin_unlock(&region->registry_lock);

	if (peershm_backing_pooled(region->backing))
		return;
	spin_lock(&givers_lock);
	list_del_init(&reserve->node);
	if (have && !reserve->closed)
		list_add_tail(&reserve->node, &givers);
	else
		reserve->pressed = false;
	spin_unlock(&givers_lock);
}

static int give_back(struct peershm_region *region)
{
	struct peershm_reserve *reserve = &region->reserve;
	u64 size = region->size;
	int err;

	lockdep_assert_held(&region->resize_mutex);
	err = peershm_backing_shrink(region->backing, region->file,
				     &region->tables_rwsem,
				     size + reserve->have, size);
	if (!err) {
		/* Before `have` shows that it is gone: clients lost page tables. */
		reserve->given_back(region);
		set_have(region, 0);
	}
	return err;
}

static int fill_chunk(struct peershm_region *region)
{
	struct peershm_reserve *reserve = &region->reserve;
	u64 chunk = max_t(u64, PEERSHM_ALLOC_PIECE, region->page_size);
	struct mem_cgroup *old;
	u64 ready, end;
	int err;

	lockdep_assert_held(&region->resize_mutex);
	ready = region->size + reserve->have;
	end = region->size + min(reserve->have + chunk, target(region));
	old = set_active_memcg(reserve->memcg);
	err = peershm_backing_reserve(region->backing, region->file, &ready,
				      end);
	set_active_memcg(old);
	set_have(region, ready - region->size);
	return err;
}

/* Returns: when to look again, in ms. */
static unsigned int give_back_excess(struct peershm_region *region)
{
	long left = region->reserve.kept_until - jiffies;

	if (left > 0)
		return jiffies_to_msecs(left);
	return give_back(region) ? SHORT_MS : 0;
}

static bool pressed(struct peershm_region *region)
{
	bool yes;

	spin_lock(&givers_lock);
	yes = region->reserve.pressed;
	spin_unlock(&givers_lock);
	return yes;
}

static void refill_work(struct work_struct *item)
{
	struct delayed_work *delayed = to_delayed_work(item);
	struct peershm_region *region =
		container_of(delayed, struct peershm_region, reserve.work);
	struct peershm_reserve *reserve = &region->reserve;
	unsigned int delay_ms = 0;
	bool more;

	if (!mutex_trylock(&region->resize_mutex)) {
		queue_delayed_work(queue, &reserve->work,
				   msecs_to_jiffies(BUSY_MS));
		return;
	}
	set_user_nice(current, MAX_NICE);
	if (pressed(region)) {
		give_back(region);
		delay_ms = SHORT_MS;
	} else if (reserve->have > target(region)) {
		delay_ms = give_back_excess(region);
	} else if (reserve->have < target(region)) {
		delay_ms = fill_chunk(region) ? SHORT_MS : 0;
	}
	more = reserve->have != target(region);
	mutex_unlock(&region->resize_mutex);
	set_user_nice(current, 0);	/* as other works expect it */
	if (more)
		queue_delayed_work(queue, &reserve->work,
				   msecs_to_jiffies(delay_ms));
}

/**
 * peershm_reserve_prepare() - a region begins without a reserve
 * @region: which
 * @given_back: called with the resize lock held when the reserve has been given
 *              back, which took page tables from the clients
 */
void peershm_reserve_prepare(struct peershm_region *region,
			     void (*given_back)(struct peershm_region *region))
{
	region->reserve.given_back = given_back;
	INIT_LIST_HEAD(&region->reserve.node);
	INIT_DELAYED_WORK(&region->reserve.work, refill_work);
}

/**
 * peershm_reserve_release() - nobody grows the region any more
 * @region: whose memory is about to be released
 *
 * Waits for the work to be done with it.
 */
void peershm_reserve_release(struct peershm_region *region)
{
	struct peershm_reserve *reserve = &region->reserve;

	spin_lock(&givers_lock);
	reserve->closed = true;
	list_del_init(&reserve->node);	/* the shrinker queues no more work */
	spin_unlock(&givers_lock);
	cancel_delayed_work_sync(&reserve->work);
	mem_cgroup_put(reserve->memcg);
	reserve->memcg = NULL;
}

/* Have the work look at the reserve, once whoever changes the size is done. */
static void queue_refill(struct peershm_region *region)
{
	mod_delayed_work(queue, &region->reserve.work, 0);
}

/**
 * peershm_reserve_refill() - have the reserve made what it is to be
 * @region: whose size or reserve has changed
 *
 * After a grow not before the clients are mapped: zeroing would compete with
 * that for the CPUs.
 */
void peershm_reserve_refill(struct peershm_region *region)
{
	bool wanted;

	spin_lock(&region->registry_lock);
	wanted = region->reserve.want || region->reserve.have;
	spin_unlock(&region->registry_lock);
	if (wanted)
		queue_refill(region);
}

/**
 * peershm_reserve_used() - the size has changed
 * @region: whose resize lock is held
 * @have: what now lies ready beyond it
 */
void peershm_reserve_used(struct peershm_region *region, u64 have)
{
	if (have != region->reserve.have)
		set_have(region, have);
}

/**
 * peershm_reserve_keep() - a grow that has been interrupted will go on
 * @region: whose resize lock is held
 * @have: what lies ready beyond the size, with what the grow has allocated
 *
 * If the grow does not go on soon, what is too much for the reserve is given
 * back, after a call of peershm_reserve_refill().
 */
void peershm_reserve_keep(struct peershm_region *region, u64 have)
{
	region->reserve.kept_until = jiffies + msecs_to_jiffies(INTERRUPTED_MS);
	peershm_reserve_used(region, have);
}

/**
 * peershm_reserve_kept() - was a grow interrupted a moment ago?
 * @region: whose resize lock is held
 */
bool peershm_reserve_kept(const struct peershm_region *region)
{
	return time_before(jiffies, region->reserve.kept_until);
}

/**
 * peershm_reserve_set() - say how much is to lie ready
 * @region: whose resize lock is held
 * @want: bytes, a multiple of the page size
 *
 * It is charged to the caller's memory cgroup from now on, which stays for as
 * long as there may be something to charge. The caller has it filled, and what an
 * interrupted grow has allocated beyond it given back.
 */
void peershm_reserve_set(struct peershm_region *region, u64 want)
{
	struct peershm_reserve *reserve = &region->reserve;
	struct mem_cgroup *memcg = NULL;

	lockdep_assert_held(&region->resize_mutex);
	if (want)
		memcg = get_mem_cgroup_from_mm(current->mm);
	swap(memcg, reserve->memcg);
	reserve->kept_until = jiffies;
	spin_lock(&region->registry_lock);
	reserve->want = want;
	spin_unlock(&region->registry_lock);
	mem_cgroup_put(memcg);
}

static unsigned long count_reserves(struct shrinker *self,
				    struct shrink_control *sc)
{
	struct peershm_region *region;
	unsigned long pages = 0;

	spin_lock(&givers_lock);
	list_for_each_entry(region, &givers, reserve.node)
		if (!region->reserve.pressed)
			pages += READ_ONCE(region->reserve.have) >> PAGE_SHIFT;
	spin_unlock(&givers_lock);
	return pages ?: SHRINK_EMPTY;
}

static unsigned long press_reserves(struct shrinker *self,
				    struct shrink_control *sc)
{
	struct peershm_region *region;
	unsigned long pages = 0;

	spin_lock(&givers_lock);
	list_for_each_entry(region, &givers, reserve.node) {
		if (pages >= sc->nr_to_scan)
			break;
		if (region->reserve.pressed)
			continue;
		region->reserve.pressed = true;
		pages += READ_ONCE(region->reserve.have) >> PAGE_SHIFT;
		queue_refill(region);
	}
	spin_unlock(&givers_lock);
	sc->nr_scanned = pages;
	return pages ?: SHRINK_STOP;
}

int peershm_reserve_init(void)
{
	int err;

	queue = alloc_workqueue("peershm_reserve", WQ_UNBOUND, 0);
	if (!queue)
		return -ENOMEM;
	err = -ENOMEM;
	shrinker = shrinker_alloc(0, "peershm");
	if (!shrinker)
		goto destroy;
	shrinker->count_objects = count_reserves;
	shrinker->scan_objects = press_reserves;
	err = peershm_shrinker_register(shrinker);
	if (err)
		goto free;
	return 0;

free:
	shrinker_free(shrinker);
destroy:
	destroy_workqueue(queue);
	return err;
}

void peershm_reserve_exit(void)
{
	shrinker_free(shrinker);
	destroy_workqueue(queue);
}
