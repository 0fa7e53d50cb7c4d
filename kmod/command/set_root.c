// SPDX-License-Identifier: GPL-2.0-only
/*
 * SET_ROOT, GET_ROOT, ROOTS: the pointers that a region keeps for its clients.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "command/answer.h"
#include "command/commands.h"
#include "registry/region.h"
#include "registry/root.h"
#include "types.h"

/* Bytes of a record in the first published version. */
#define ROOT_LEAST 80

static bool root_name_valid(const char *name)
{
	return peershm_name_valid(name) ||
	       !memchr_inv(name, 0, PEERSHM_NAME_SIZE);
}

int peershm_set_root_check(void *arg)
{
	const struct peershm_set_root *args = arg;

	if (args->flags & ~PEERSHM_ROOT_GENERATION ||
	    !root_name_valid(args->name) ||
	    (!(args->flags & PEERSHM_ROOT_GENERATION) &&
	     args->expected_generation))
		return -EINVAL;
	return 0;
}

long peershm_set_root_run(struct peershm_region *region,
			  struct peershm_client *client, void *arg)
{
	struct peershm_set_root *args = arg;
	struct peershm_root *spare = NULL;
	int err;

	/* All that can fail comes before anything changes. */
	if (args->name[0] && args->root) {
		spare = kzalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
		if (!spare)
			return -ENOMEM;
		memcpy(spare->name, args->name, sizeof(spare->name));
	}
	spin_lock(&region->registry_lock);
	err = peershm_root_set_locked(region, client, args, &spare);
	spin_unlock(&region->registry_lock);
	kfree(spare);
	return err;
}

int peershm_get_root_check(void *arg)
{
	const struct peershm_get_root *args = arg;

	return args->flags || !root_name_valid(args->info.name) ? -EINVAL : 0;
}

long peershm_get_root_run(struct peershm_region *region,
			  struct peershm_client *client, void *arg)
{
	struct peershm_get_root *args = arg;
	struct peershm_root *root;

	spin_lock(&region->registry_lock);
	root = peershm_root_find_locked(region, args->info.name);
	if (root)
		peershm_root_describe_locked(region, root, &args->info);
	spin_unlock(&region->registry_lock);
	return root ? 0 : peershm_fail(&args->failure, -ENOENT,
				       PEERSHM_REASON_NO_ROOT, 0);
}

int peershm_roots_check(void *arg)
{
	struct peershm_roots *args = arg;

	return args->flags ?
		       -EINVAL :
		       peershm_answer_check(args->roots, args->nr_roots,
					    args->record_size, ROOT_LEAST,
					    &args->failure);
}

long peershm_roots_run(struct peershm_region *region,
		       struct peershm_client *client, void *arg)
{
	struct peershm_roots *args = arg;
	struct peershm_root_info *infos = NULL;
	u32 room = min_t(u32, args->nr_roots, PEERSHM_MAX_ROOTS);
	u32 n;
	int err;

	if (room) {
		infos = kcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			return -ENOMEM;
	}
	spin_lock(&region->registry_lock);
	n = peershm_root_list_locked(region, infos, room);
	spin_unlock(&region->registry_lock);

	err = peershm_answer_array(args->roots, args->record_size, infos,
				   min(n, room), sizeof(*infos));
	args->nr_roots = n;
	kfree(infos);
	return err;
}
