// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roots: the pointers that a region keeps for its clients.
 *
 * A root whose address is beyond the size counts as none. So a shrink needs to
 * change no root before it is done, and one that fails has nothing to put back;
 * what it cut off is dropped after it, before the region can grow again.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "registry/client.h"
#include "device/device.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/region.h"
#include "registry/root.h"
#include "types.h"

static bool named(const struct peershm_root *root)
{
	return root->name[0];
}

/* One that is there; a named one that a shrink is cutting off is not. */
static bool present(const struct peershm_region *region,
		    const struct peershm_root *root)
{
	return !named(root) || peershm_root_address_locked(region, root);
}

static struct peershm_root *find_locked(struct peershm_region *region,
					const char *name)
{
	struct peershm_root *root;

	lockdep_assert_held(&region->registry);
	if (!name[0])
		return &region->root;
	list_for_each_entry(root, &region->roots, node)
		if (!strcmp(root->name, name))
			return root;
	return NULL;
}

/* A root has another address now, for everyone to see. */
static void change_locked(struct peershm_region *region,
			  const struct peershm_client *client,
			  struct peershm_root *root, u64 address)
{
	u64 old = root->address;

	root->address = address;
	root->generation = ++region->root_changes;
	peershm_header_begin(region);
	peershm_header_set_region(region);
	peershm_header_end(region);
	peershm_event_root_locked(region, client, root->name, old, address);
}

/* Out of the list; the caller frees it. */
static void withdraw_locked(struct peershm_region *region,
			    const struct peershm_client *client,
			    struct peershm_root *root)
{
	list_del(&root->node);
	region->nr_roots--;
	change_locked(region, client, root, 0);
}

/**
 * peershm_root_trim() - drop the roots that a shrink has cut off
 * @region: which cannot grow again before this is done
 * @client: who shrank it, or NULL
 */
void peershm_root_trim(struct peershm_region *region,
		       const struct peershm_client *client)
{
	struct peershm_root *root, *next;

	lockdep_assert_held(&region->resize);
	spin_lock(&region->registry);
	if (region->root.address && !peershm_region_has_locked(region, region->root.address))
		change_locked(region, client, &region->root, 0);
	list_for_each_entry_safe(root, next, &region->roots, node) {
		if (present(region, root))
			continue;
		withdraw_locked(region, client, root);
		kfree(root);
	}
	spin_unlock(&region->registry);
}

/**
 * peershm_root_free_all() - free the named roots
 * @region: that nobody uses any more
 */
void peershm_root_free_all(struct peershm_region *region)
{
	struct peershm_root *root, *next;

	list_for_each_entry_safe(root, next, &region->roots, node)
		kfree(root);
}

static bool name_valid(const char *name)
{
	return peershm_name_valid(name) ||
	       !memchr_inv(name, 0, PEERSHM_NAME_SIZE);
}

/* @spare: what a new name is put into, or else is the caller's to free */
static int set_locked(struct peershm_region *region,
		      const struct peershm_client *client,
		      struct peershm_set_root *args,
		      struct peershm_root **spare)
{
	struct peershm_root *root = find_locked(region, args->name);
	bool there = root && present(region, root);
	u64 address = there ? peershm_root_address_locked(region, root) : 0;
	u64 generation = there ? root->generation : 0;

	if (args->root && !peershm_region_has_locked(region, args->root))
		return -EINVAL;
	if (address != args->expected)
		return -EEXIST;
	if (args->flags & PEERSHM_ROOT_GENERATION &&
	    generation != args->expected_generation)
		return -EEXIST;
	if (!there && !args->root)
		return -ENOENT;

	args->generation = 0;
	if (root && named(root) && !args->root) {
		withdraw_locked(region, client, root);
		*spare = root;
		return 0;
	}
	if (!root) {
		if (region->nr_roots >= PEERSHM_MAX_ROOTS)
			return -ENOSPC;
		root = *spare;
		*spare = NULL;
		list_add_tail(&root->node, &region->roots);
		region->nr_roots++;
	}
	change_locked(region, client, root, args->root);
	args->generation = root->generation;
	return 0;
}

long peershm_root_set(struct peershm_file *pf, void *arg)
{
	struct peershm_set_root *args = arg;
	struct peershm_root *spare = NULL;
	struct peershm_client *client;
	struct peershm_region *region;
	int err = -ENOMEM;

	if (args->flags & ~PEERSHM_ROOT_GENERATION || !name_valid(args->name) ||
	    (!(args->flags & PEERSHM_ROOT_GENERATION) &&
	     args->expected_generation))
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_WRITE);
	if (IS_ERR(region))
		return PTR_ERR(region);
	/* All that can fail comes before anything changes. */
	if (args->name[0] && args->root) {
		spare = kzalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
		if (!spare)
			goto put_region;
		memcpy(spare->name, args->name, sizeof(spare->name));
	}
	client = peershm_client_acting(pf, region);
	spin_lock(&region->registry);
	err = set_locked(region, client, args, &spare);
	spin_unlock(&region->registry);
	if (client)
		peershm_client_put(client);
	kfree(spare);
put_region:
	peershm_region_put(region);
	return err;
}

static void fill_info(const struct peershm_region *region,
		      const struct peershm_root *root,
		      struct peershm_root_info *info)
{
	info->root = peershm_root_address_locked(region, root);
	info->generation = root->generation;
	memcpy(info->name, root->name, sizeof(info->name));
}

long peershm_root_get(struct peershm_file *pf, void *arg)
{
	struct peershm_get_root *args = arg;
	struct peershm_region *region;
	struct peershm_root *root;
	int err = -ENOENT;

	if (args->flags || !name_valid(args->info.name))
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	spin_lock(&region->registry);
	root = find_locked(region, args->info.name);
	if (root && present(region, root)) {
		fill_info(region, root, &args->info);
		err = 0;
	}
	spin_unlock(&region->registry);
	peershm_region_put(region);
	return err;
}

long peershm_root_list(struct peershm_file *pf, void *arg)
{
	struct peershm_roots *args = arg;
	struct peershm_root_info *infos = NULL;
	struct peershm_region *region;
	struct peershm_root *root;
	u32 room, n = 0;
	int err = -ENOMEM;

	if (args->flags || args->reserved || (!args->roots && args->nr_roots))
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	room = min_t(u32, args->nr_roots, PEERSHM_MAX_ROOTS);
	if (room) {
		infos = kcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			goto put_region;
	}
	spin_lock(&region->registry);
	list_for_each_entry(root, &region->roots, node) {
		if (!present(region, root))
			continue;
		if (n < room)
			fill_info(region, root, &infos[n]);
		n++;
	}
	spin_unlock(&region->registry);

	err = peershm_copy_array(args->roots, infos, min(n, room),
				 sizeof(*infos));
	args->nr_roots = n;
	kfree(infos);
put_region:
	peershm_region_put(region);
	return err;
}
