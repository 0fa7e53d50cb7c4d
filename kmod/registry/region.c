// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region as an object: its parts, who may use it, and how long it lives.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "memory/backing.h"
#include "memory/reserve.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/region.h"
#include "registry/root.h"
#include "types.h"

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

/**
 * peershm_region_owned() - may the caller do what only the owner may?
 * @region: of which
 */
bool peershm_region_owned(const struct peershm_region *region)
{
	return uid_eq(current_fsuid(), region->uid) ||
	       ns_capable(region->user_ns, CAP_IPC_OWNER);
}

static void free_region(struct peershm_region *region)
{
	peershm_event_log_free(&region->events);
	peershm_header_free(region->header);
	peershm_root_free_all(region);
	kvfree(region->kept_slots);
	kvfree(region->clients);
	put_pid_ns(region->pid_ns);
	put_user_ns(region->user_ns);
	kfree(region);
	module_put(THIS_MODULE);
}

static int alloc_parts(struct peershm_region *region)
{
	u32 n = region->max_clients;

	region->clients = kvcalloc(n, sizeof(*region->clients),
				   GFP_KERNEL_ACCOUNT);
	region->kept_slots = kvcalloc(n, sizeof(*region->kept_slots),
				      GFP_KERNEL_ACCOUNT);
	region->header = peershm_header_alloc(region);
	if (peershm_event_log_init(&region->events, n) || !region->clients ||
	    !region->kept_slots || !region->header)
		return -ENOMEM;
	return 0;
}

/**
 * peershm_region_new() - make a region of the caller's
 * @args: of CREATE, checked
 * @backing: its kind, as the module numbers it
 * @max_clients: how many it may have
 *
 * It has neither memory nor an address yet.
 *
 * Returns: a region with one user, or NULL without memory.
 */
struct peershm_region *peershm_region_new(const struct peershm_create *args,
					  unsigned int backing, u32 max_clients)
{
	struct peershm_region *region;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return NULL;
	__module_get(THIS_MODULE);	/* the open file holds one already */
	kref_init(&region->users);
	kref_init(&region->ref);
	mutex_init(&region->resize_mutex);
	init_rwsem(&region->tables_rwsem);
	spin_lock_init(&region->registry_lock);
	INIT_LIST_HEAD(&region->roots);
	memcpy(region->name, args->name, sizeof(region->name));
	region->backing = backing;
	region->page_size = peershm_backing_page_size(backing);
	region->mode = args->mode;
	region->max_clients = max_clients;
	region->uid = current_fsuid();
	region->gid = current_fsgid();
	region->limited = !peershm_backing_pooled(backing) &&
			  !capable(CAP_SYS_RESOURCE);
	region->capacity = args->capacity;
	region->user_ns = get_user_ns(current_user_ns());
	region->pid_ns = get_pid_ns(task_active_pid_ns(current));
	if (alloc_parts(region)) {
		free_region(region);
		return NULL;
	}
	return region;
}

static void struct_release(struct kref *ref)
{
	free_region(container_of(ref, struct peershm_region, ref));
}

static void release_memory(struct peershm_region *region)
{
	peershm_reserve_release(region);
	if (region->control)
		fput(region->control);
	if (region->file)
		peershm_backing_release(region->backing, region->file,
					region->size + region->reserve.have);
}

static void users_release(struct kref *users)
{
	struct peershm_region *region =
		container_of(users, struct peershm_region, users);

	if (region->remove)
		region->remove(region);
	release_memory(region);
	peershm_region_put_struct(region);
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
 * Takes the region list lock then, and waits for the work on the reserve.
 */
void peershm_region_put(struct peershm_region *region)
{
	kref_put(&region->users, users_release);
}

/**
 * peershm_region_get_struct() - keep the struct alone
 * @region: which
 */
void peershm_region_get_struct(struct peershm_region *region)
{
	kref_get(&region->ref);
}

/**
 * peershm_region_put_struct() - undo peershm_region_get_struct()
 * @region: freed with the last one
 */
void peershm_region_put_struct(struct peershm_region *region)
{
	kref_put(&region->ref, struct_release);
}

/**
 * peershm_region_describe() - a region as STAT and REGIONS show it
 * @region: which
 * @info: to fill
 */
void peershm_region_describe(struct peershm_region *region,
			     struct peershm_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->id = region->id;
	info->base = region->base;
	info->capacity = region->capacity;
	info->backing = peershm_backing_id(region->backing);
	info->page_size = region->page_size;
	info->max_clients = region->max_clients;
	info->uid = from_kuid_munged(current_user_ns(), region->uid);
	info->gid = from_kgid_munged(current_user_ns(), region->gid);
	info->mode = region->mode;
	memcpy(info->name, region->name, sizeof(info->name));

	spin_lock(&region->registry_lock);
	info->active = region->size;
	info->reserve = region->reserve.want;
	info->reserved = region->reserve.have;
	info->root = peershm_root_address_locked(region, &region->root);
	info->root_generation = region->root.generation;
	info->nr_roots = region->nr_roots;
	info->generation = region->generation;
	info->nr_clients = region->nr_clients;
	info->flags = region->linked ? 0 : PEERSHM_HEADER_UNLINKED;
	spin_unlock(&region->registry_lock);
}
