// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: their names and addresses.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/pid_namespace.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "memory/backing.h"
#include "memory/reserve.h"
#include "registry/client.h"
#include "window/control.h"
#include "device/device.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/region.h"
#include "registry/root.h"
#include "registry/straggler.h"
#include "types.h"

static uint max_regions = 256;
module_param(max_regions, uint, 0644);
MODULE_PARM_DESC(max_regions, "regions at a time");

static uint max_clients = 256;
module_param(max_clients, uint, 0644);
MODULE_PARM_DESC(max_clients,
		 "clients of a region made from now on (at most 1024)");

static uint max_user_regions = 64;
module_param(max_user_regions, uint, 0644);
MODULE_PARM_DESC(max_user_regions,
		 "regions at a time of one user without CAP_SYS_RESOURCE");

static ulong max_user_capacity = 1UL << 40;
module_param(max_user_capacity, ulong, 0644);
MODULE_PARM_DESC(max_user_capacity,
		 "bytes of address space of all regions of one user without CAP_SYS_RESOURCE");

static ulong max_user_bytes;
module_param(max_user_bytes, ulong, 0644);
MODULE_PARM_DESC(max_user_bytes,
		 "bytes of memory of all small and thp regions of one user without CAP_SYS_RESOURCE (0: half of max_bytes)");

#define MAX_CLIENTS 1024U

/* Below it, address 0 and what may not be mapped (vm.mmap_min_addr) are near. */
#define MIN_BASE SZ_16M

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
static DEFINE_MUTEX(list_lock);
static LIST_HEAD(list);			/* all that live, by base */
static unsigned int nr_regions;		/* all that live; read without lock */
static u64 last_id;

/**
 * peershm_name_valid() - is it 1 to 63 bytes without '/' and control bytes?
 * @name: of PEERSHM_NAME_SIZE bytes, zero beyond the name
 */
bool peershm_name_valid(const char *name)
{
	size_t n = strnlen(name, PEERSHM_NAME_SIZE);
	size_t i;

	if (!n || n == PEERSHM_NAME_SIZE)
		return false;
	for (i = 0; i < n; i++) {
		unsigned char c = name[i];

		if (c == '/' || c < 0x20 || c == 0x7f)
			return false;
	}
	return !memchr_inv(name + n, 0, PEERSHM_NAME_SIZE - n);
}

/**
 * peershm_region_may() - do owner, group and mode allow the caller?
 * @region: of which
 * @mask: MAY_READ, MAY_WRITE or both
 */
bool peershm_region_may(const struct peershm_region *region, int mask)
{
	u32 mode = region->mode;

	if (uid_eq(current_fsuid(), region->uid))
		mode >>= 6;
	else if (in_group_p(region->gid))
		mode >>= 3;
	if (!(mask & ~mode))
		return true;
	return ns_capable(region->user_ns, CAP_IPC_OWNER);
}

/* Also what creation has made of a region that has no address yet. */
static void free_region(struct peershm_region *region)
{
	peershm_event_log_free(&region->events);
	peershm_header_free(region->header);
	peershm_root_free_all(region);
	kvfree(region->names);
	kvfree(region->leavers);
	kvfree(region->clients);
	put_pid_ns(region->pid_ns);
	put_user_ns(region->user_ns);
	kfree(region);
	module_put(THIS_MODULE);
}

static void release_memory(struct peershm_region *region)
{
	peershm_reserve_release(region);
	if (region->control)
		fput(region->control);
	if (!IS_ERR_OR_NULL(region->file))
		peershm_backing_release(region->backing, region->file,
					region->size + region->reserve.have);
}

static void region_release(struct kref *ref)
{
	free_region(container_of(ref, struct peershm_region, ref));
}

static void users_release(struct kref *users)
{
	struct peershm_region *region =
		container_of(users, struct peershm_region, users);

	list_del(&region->node);
	WRITE_ONCE(nr_regions, nr_regions - 1);
	mutex_unlock(&list_lock);
	release_memory(region);
	peershm_region_drop(region);
}

/**
 * peershm_region_get() - become a user
 * @region: that has one
 */
void peershm_region_get(struct peershm_region *region)
{
	kref_get(&region->users);
}

/**
 * peershm_region_put() - be a user no more
 * @region: its memory is freed with the last one
 *
 * Takes the region list lock.
 */
void peershm_region_put(struct peershm_region *region)
{
	kref_put_mutex(&region->users, users_release, &list_lock);
}

/**
 * peershm_region_hold() - keep the struct alone
 * @region: which
 */
void peershm_region_hold(struct peershm_region *region)
{
	kref_get(&region->ref);
}

/**
 * peershm_region_drop() - undo peershm_region_hold()
 * @region: freed with the last one
 */
void peershm_region_drop(struct peershm_region *region)
{
	kref_put(&region->ref, region_release);
}

static struct peershm_region *find_locked(const char *name, u64 id)
{
	struct peershm_region *region;

	lockdep_assert_held(&list_lock);
	list_for_each_entry(region, &list, node) {
		if (!region->linked)
			continue;
		if (id ? region->id == id : !strcmp(region->name, name))
			return region;
	}
	return NULL;
}

/**
 * peershm_region_find() - look up a linked region and take a reference
 * @name: its name, if @id is 0
 * @id: its id, or 0
 * @mask: what the caller means to do, MAY_READ, MAY_WRITE or both
 *
 * Returns: the region, -ENOENT or -EACCES.
 */
struct peershm_region *peershm_region_find(const char *name, u64 id, int mask)
{
	struct peershm_region *region;

	mutex_lock(&list_lock);
	region = find_locked(name, id);
	if (!region)
		region = ERR_PTR(-ENOENT);
	else if (!peershm_region_may(region, mask))
		region = ERR_PTR(-EACCES);
	else
		kref_get(&region->users);
	mutex_unlock(&list_lock);
	return region;
}

/**
 * peershm_region_of() - the region that a command is for
 * @pf: through which file
 * @id: which; 0: the one that the file is attached to
 * @mask: what the caller means to do, MAY_READ, MAY_WRITE or both
 *
 * Returns: a reference, -ENOENT, -ENOTCONN or -EACCES.
 */
struct peershm_region *peershm_region_of(struct peershm_file *pf, u64 id,
					 int mask)
{
	if (mask & MAY_WRITE && !peershm_file_writable(pf))
		return ERR_PTR(-EACCES);
	if (id)
		return peershm_region_find(NULL, id, mask);
	return peershm_client_region(pf, mask);
}

/* Place @region between its neighbours, at @base if it is free. */
static bool place_at(struct peershm_region *region, unsigned long base)
{
	struct peershm_region *other;
	struct list_head *next = &list;

	lockdep_assert_held(&list_lock);
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

	lockdep_assert_held(&list_lock);
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

static bool place(struct peershm_region *region)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arenas); i++)
		if (place_in(region, arenas[i].start, arenas[i].end))
			return true;
	return false;
}

static void publish_locked(struct peershm_region *region)
{
	peershm_header_begin(region);
	peershm_header_set_region(region);
	peershm_header_end(region);
}

/* Is there room for one more region of this user, with this capacity? */
static bool user_may(kuid_t uid, u64 capacity)
{
	struct peershm_region *region;
	u64 total = capacity;
	unsigned int n = 1;

	lockdep_assert_held(&list_lock);
	list_for_each_entry(region, &list, node) {
		if (!uid_eq(region->uid, uid))
			continue;
		total += region->capacity;
		n++;
	}
	return (n <= READ_ONCE(max_user_regions) &&
		total <= READ_ONCE(max_user_capacity)) ||
	       capable(CAP_SYS_RESOURCE);
}

/* What the small and thp regions of the user have, but for @except. */
static u64 granted_to(kuid_t uid, const struct peershm_region *except)
{
	struct peershm_region *region;
	u64 total = 0;

	lockdep_assert_held(&list_lock);
	list_for_each_entry(region, &list, node)
		if (region != except && uid_eq(region->uid, uid) &&
		    !peershm_backing_pooled(region->backing))
			total += region->granted;
	return total;
}

static bool user_may_have(const struct peershm_region *region, u64 bytes)
{
	u64 limit = READ_ONCE(max_user_bytes) ?: peershm_backing_limit() / 2;

	return !region->limited ||
	       granted_to(region->uid, region) + bytes <= limit;
}

/**
 * peershm_region_grant() - may the region's owner have so much memory in it?
 * @region: whose resize lock is held
 * @size: what the region is going to have
 * @reserve: and what is to lie ready beyond it
 *
 * If so it counts from now on, so that two regions of one user cannot both take
 * what is left. Never refused for less than there was.
 */
bool peershm_region_grant(struct peershm_region *region, u64 size, u64 reserve)
{
	u64 bytes = size + min(reserve, region->capacity - size);
	bool yes;

	lockdep_assert_held(&region->resize);
	mutex_lock(&list_lock);
	yes = bytes <= region->granted || user_may_have(region, bytes);
	if (yes)
		region->granted = bytes;
	mutex_unlock(&list_lock);
	return yes;
}

/*
 * Give a complete region its id, address and name: the last step of CREATE.
 * After it somebody may unlink and free the region at any moment.
 */
static int publish(struct peershm_region *region, struct peershm_create *args)
{
	u64 base = args->base;
	int err = 0;

	mutex_lock(&list_lock);
	if (find_locked(region->name, 0))
		err = -EEXIST;
	else if (nr_regions >= READ_ONCE(max_regions) ||
		 !user_may(region->uid, region->capacity) ||
		 !user_may_have(region, region->granted))
		err = -ENOSPC;
	else if (base && !place_at(region, base))
		err = -EADDRINUSE;
	else if (!base && !place(region))
		err = -ENOSPC;
	if (err)
		goto unlock;

	region->id = ++last_id;
	args->region = region->id;
	WRITE_ONCE(nr_regions, nr_regions + 1);
	spin_lock(&region->registry);
	region->linked = true;
	peershm_header_begin(region);
	peershm_header_set_place(region);
	peershm_header_set_region(region);
	peershm_header_end(region);
	spin_unlock(&region->registry);
unlock:
	mutex_unlock(&list_lock);
	return err;
}

static int check_create(const struct peershm_create *args)
{
	unsigned long page_size, end;

	if (args->flags || args->reserved ||
	    args->backing >= PEERSHM_NR_BACKINGS || args->mode & ~0777 ||
	    !peershm_name_valid(args->name))
		return -EINVAL;
	if (!peershm_backing_available(args->backing))
		return -ENODEV;
	if (!peershm_backing_permitted(args->backing))
		return -EPERM;

	page_size = peershm_backing_page_size(args->backing);
	if (!args->capacity || !IS_ALIGNED(args->capacity, page_size) ||
	    !IS_ALIGNED(args->reserve, page_size))
		return -EINVAL;
	if (args->capacity > TASK_SIZE || args->reserve > args->capacity)
		return -ENOSPC;
	if (!args->base)
		return 0;
	if (args->base < MIN_BASE ||
	    !IS_ALIGNED(args->base, peershm_backing_align(args->backing)) ||
	    check_add_overflow((unsigned long)args->base,
			       (unsigned long)args->capacity, &end) ||
	    end > TASK_SIZE)
		return -EINVAL;
	return 0;
}

long peershm_region_create(struct peershm_file *pf, void *arg)
{
	struct peershm_create *args = arg;
	char title[PEERSHM_NAME_SIZE + 16];
	struct peershm_region *region;
	u32 limit;
	int err;

	err = check_create(args);
	if (err)
		return err;
	if (!peershm_file_writable(pf))
		return -EACCES;
	limit = min(READ_ONCE(max_clients), MAX_CLIENTS);
	if (args->max_clients > limit)
		return -ENOSPC;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return -ENOMEM;
	__module_get(THIS_MODULE);	/* the open file holds one already */
	kref_init(&region->users);
	kref_init(&region->ref);
	mutex_init(&region->resize);
	init_rwsem(&region->tables);
	peershm_reserve_prepare(region);
	peershm_straggler_prepare(region);
	spin_lock_init(&region->registry);
	INIT_LIST_HEAD(&region->roots);
	memcpy(region->name, args->name, sizeof(region->name));
	region->backing = args->backing;
	region->page_size = peershm_backing_page_size(args->backing);
	region->mode = args->mode;
	region->max_clients = args->max_clients ?: max(limit, 1U);
	region->uid = current_fsuid();
	region->limited = !peershm_backing_pooled(args->backing) &&
			  !capable(CAP_SYS_RESOURCE);
	region->gid = current_fsgid();
	region->capacity = args->capacity;
	region->user_ns = get_user_ns(current_user_ns());
	region->pid_ns = get_pid_ns(task_active_pid_ns(current));
	region->control_length = peershm_control_length(region->max_clients);

	err = -ENOMEM;
	region->clients = kvcalloc(region->max_clients,
				   sizeof(*region->clients),
				   GFP_KERNEL_ACCOUNT);
	region->leavers = kvcalloc(region->max_clients,
				   sizeof(*region->leavers),
				   GFP_KERNEL_ACCOUNT);
	region->names = kvcalloc(region->max_clients, sizeof(*region->names),
				 GFP_KERNEL_ACCOUNT);
	region->header = peershm_header_alloc(region);
	if (peershm_event_log_init(&region->events, region->max_clients) ||
	    !region->clients || !region->leavers || !region->names ||
	    !region->header)
		goto free_region;

	snprintf(title, sizeof(title), "peershm:%s", region->name);
	region->file = peershm_backing_open(region->backing, title);
	if (IS_ERR(region->file)) {
		err = PTR_ERR(region->file);
		goto free_region;
	}
	snprintf(title, sizeof(title), "peershm-control:%s", region->name);
	region->control = peershm_backing_open_control(title,
						       region->control_length);
	if (IS_ERR(region->control)) {
		err = PTR_ERR(region->control);
		region->control = NULL;
		goto free_region;
	}
	if (args->reserve)
		err = peershm_reserve_set(region, args->reserve);
	else
		err = 0;
	if (!err)
		err = publish(region, args);
	if (err)
		goto free_region;

	return 0;

free_region:
	release_memory(region);
	free_region(region);
	return err;
}

static void fill_info(struct peershm_region *region,
		      struct peershm_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->id = region->id;
	info->base = region->base;
	info->capacity = region->capacity;
	info->backing = region->backing;
	info->page_size = region->page_size;
	info->max_clients = region->max_clients;
	info->uid = from_kuid_munged(current_user_ns(), region->uid);
	info->gid = from_kgid_munged(current_user_ns(), region->gid);
	info->mode = region->mode;
	memcpy(info->name, region->name, sizeof(info->name));

	spin_lock(&region->registry);
	info->active = region->size;
	info->reserve = region->reserve.want;
	info->reserved = region->reserve.have;
	info->root = peershm_root_address_locked(region, &region->root);
	info->root_generation = region->root.generation;
	info->nr_roots = region->nr_roots;
	info->generation = region->generation;
	info->nr_clients = region->nr_clients;
	info->flags = region->linked ? 0 : PEERSHM_HEADER_UNLINKED;
	spin_unlock(&region->registry);
}

long peershm_region_stat(struct peershm_file *pf, void *arg)
{
	struct peershm_stat *args = arg;
	struct peershm_region *region;

	if (args->flags || (args->region && args->name[0]) ||
	    (args->name[0] && !peershm_name_valid(args->name)))
		return -EINVAL;
	if (args->name[0])
		region = peershm_region_find(args->name, 0, MAY_READ);
	else
		region = peershm_region_of(pf, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	fill_info(region, &args->info);
	peershm_region_put(region);
	return 0;
}

long peershm_region_list(struct peershm_file *pf, void *arg)
{
	struct peershm_regions *args = arg;
	struct peershm_region_info *infos = NULL;
	struct peershm_region *region;
	u32 room, n = 0;
	bool all;
	int err;

	if (args->flags || args->reserved || (!args->regions && args->nr_regions))
		return -EINVAL;
	room = READ_ONCE(nr_regions);
	all = args->nr_regions >= room;
	room = min(args->nr_regions, room);
	if (room) {
		infos = kvcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			return -ENOMEM;
	}
	mutex_lock(&list_lock);
	list_for_each_entry(region, &list, node) {
		if (!region->linked || !peershm_region_may(region, MAY_READ))
			continue;
		/* There would be room, but not here: made since, so not told. */
		if (all && n == room)
			break;
		if (n < room)
			fill_info(region, &infos[n]);
		n++;
	}
	mutex_unlock(&list_lock);

	err = peershm_copy_array(args->regions, infos, min(n, room),
				 sizeof(*infos));
	args->nr_regions = n;
	kvfree(infos);
	return err;
}

/* Take the name away. Whoever is first drops the name's reference. */
static bool unlink_region(struct peershm_file *pf,
			  struct peershm_region *region)
{
	struct peershm_client *client = peershm_client_acting(pf, region);
	bool was_linked;

	mutex_lock(&list_lock);
	was_linked = region->linked;
	spin_lock(&region->registry);
	region->linked = false;
	if (was_linked) {
		publish_locked(region);
		peershm_event_record_locked(region, PEERSHM_EVENT_UNLINKED,
					    client, 0, 0);
	}
	spin_unlock(&region->registry);
	mutex_unlock(&list_lock);

	if (client)
		peershm_client_put(client);
	if (was_linked)
		peershm_region_put(region);
	return was_linked;
}

long peershm_region_unlink(struct peershm_file *pf, void *arg)
{
	struct peershm_unlink *args = arg;
	struct peershm_region *region;
	int err;

	if (args->flags || (args->region && args->name[0]) ||
	    (!args->region && !peershm_name_valid(args->name)))
		return -EINVAL;
	if (!peershm_file_writable(pf))
		return -EACCES;
	region = peershm_region_find(args->name, args->region, 0);
	if (IS_ERR(region))
		return PTR_ERR(region);
	err = -EACCES;
	if (uid_eq(current_fsuid(), region->uid) ||
	    ns_capable(region->user_ns, CAP_IPC_OWNER))
		err = unlink_region(pf, region) ? 0 : -ENOENT;
	peershm_region_put(region);
	return err;
}

/* The caller of CREATE could not be told. */
void peershm_region_uncreate(struct peershm_file *pf, void *arg)
{
	struct peershm_create *args = arg;
	struct peershm_region *region;

	region = peershm_region_find(NULL, args->region, 0);
	if (IS_ERR(region))
		return;		/* somebody unlinked it already */
	unlink_region(pf, region);
	peershm_region_put(region);
}
