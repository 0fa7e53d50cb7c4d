// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roots: the pointers that a region keeps for its clients.
 *
 * A root whose address is beyond the size counts as not set. So a shrink changes
 * no root before it is done, and has none to put back if it fails. The roots that
 * it has cut off are dropped after it, before the region can grow again.
 */
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "registry/event.h"
#include "registry/header.h"
#include "registry/root.h"
#include "types.h"

static bool is_named(const struct peershm_root *root)
{
	return root->name[0];
}

/* A named root beyond the size counts as not there: a shrink is cutting it off. */
static bool is_there(const struct peershm_region *region,
		     const struct peershm_root *root)
{
	return !is_named(root) || peershm_root_address_locked(region, root);
}

static struct peershm_root *find_locked(struct peershm_region *region,
					const char *name)
{
	struct peershm_root *root;

	lockdep_assert_held(&region->registry_lock);
	if (!name[0])
		return &region->root;
	list_for_each_entry(root, &region->roots, node)
		if (!strcmp(root->name, name))
			return root;
	return NULL;
}

/* Set a root's address, and publish it. */
static void change_locked(struct peershm_region *region,
			  const struct peershm_client *client,
			  struct peershm_root *root, u64 address)
{
	u64 old = root->address;

	root->address = address;
	root->generation = ++region->root_changes;
	peershm_header_show_region(region);
	peershm_event_root_locked(region, client, root->name, old, address);
}

/* Take a root out of the list; the caller frees it. */
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

	lockdep_assert_held(&region->resize_mutex);
	spin_lock(&region->registry_lock);
	if (region->root.address &&
	    !peershm_region_has_locked(region, region->root.address))
		change_locked(region, client, &region->root, 0);
	list_for_each_entry_safe(root, next, &region->roots, node) {
		if (is_there(region, root))
			continue;
		withdraw_locked(region, client, root);
		kfree(root);
	}
	spin_unlock(&region->registry_lock);
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

/**
 * peershm_root_find_locked() - look up a root
 * @region: whose registry lock is held
 * @name: of the root; empty: the one without a name
 *
 * Returns: the root, or NULL if it is not there.
 */
struct peershm_root *peershm_root_find_locked(struct peershm_region *region,
					      const char *name)
{
	struct peershm_root *root = find_locked(region, name);

	return root && is_there(region, root) ? root : NULL;
}

/* May the root be changed as the caller of SET_ROOT expects it to be? */
static int check_expected(const struct peershm_region *region,
			  const struct peershm_root *root,
			  struct peershm_set_root *args)
{
	u64 address = root ? peershm_root_address_locked(region, root) : 0;
	u64 generation = root ? root->generation : 0;

	if (args->root && !peershm_region_has_locked(region, args->root))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_SIZE, region->size);
	if (address != args->expected ||
	    (args->flags & PEERSHM_ROOT_GENERATION &&
	     generation != args->expected_generation))
		return peershm_fail(&args->failure, -EEXIST,
				    PEERSHM_REASON_ROOT_CHANGED, 0);
	if (!root && !args->root)
		return peershm_fail(&args->failure, -ENOENT,
				    PEERSHM_REASON_NO_ROOT, 0);
	return 0;
}

/**
 * peershm_root_set_locked() - compare and set a root
 * @region: whose registry lock is held
 * @client: who does it, or NULL
 * @args: of SET_ROOT; its generation is set
 * @spare: what a new name is put into; what is left here is the caller's to free
 *
 * Returns: 0, or an error and nothing has changed.
 */
int peershm_root_set_locked(struct peershm_region *region,
			    const struct peershm_client *client,
			    struct peershm_set_root *args,
			    struct peershm_root **spare)
{
	struct peershm_root *root = find_locked(region, args->name);
	int err;

	err = check_expected(region,
			     root && is_there(region, root) ? root : NULL,
			     args);
	if (err)
		return err;
	if (!root && region->nr_roots >= PEERSHM_MAX_ROOTS)
		return peershm_fail(&args->failure, -ENOSPC,
				    PEERSHM_REASON_MAX_ROOTS,
				    PEERSHM_MAX_ROOTS);

	args->generation = 0;
	if (root && is_named(root) && !args->root) {
		withdraw_locked(region, client, root);
		*spare = root;
		return 0;
	}
	if (!root) {
		root = *spare;
		*spare = NULL;
		list_add_tail(&root->node, &region->roots);
		region->nr_roots++;
	}
	change_locked(region, client, root, args->root);
	args->generation = root->generation;
	return 0;
}

/**
 * peershm_root_describe_locked() - a root as GET_ROOT and ROOTS show it
 * @region: whose registry lock is held
 * @root: of the region
 * @info: to fill
 */
void peershm_root_describe_locked(const struct peershm_region *region,
				  const struct peershm_root *root,
				  struct peershm_root_info *info)
{
	info->root = peershm_root_address_locked(region, root);
	info->generation = root->generation;
	memcpy(info->name, root->name, sizeof(info->name));
}

/**
 * peershm_root_list_locked() - the named roots
 * @region: whose registry lock is held
 * @infos: to fill
 * @room: how many fit
 *
 * Returns: how many there are.
 */
u32 peershm_root_list_locked(const struct peershm_region *region,
			     struct peershm_root_info *infos, u32 room)
{
	struct peershm_root *root;
	u32 n = 0;

	lockdep_assert_held(&region->registry_lock);
	list_for_each_entry(root, &region->roots, node) {
		if (!is_there(region, root))
			continue;
		if (n < room)
			peershm_root_describe_locked(region, root, &infos[n]);
		n++;
	}
	return n;
}
