// SPDX-License-Identifier: GPL-2.0-only
/*
 * CREATE: make a region.
 */
#include <linux/align.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "command/commands.h"
#include "command/reserve.h"
#include "memory/backing.h"
#include "memory/reserve.h"
#include "registry/directory.h"
#include "registry/limits.h"
#include "registry/region.h"
#include "registry/size.h"
#include "window/control.h"
#include "window/follow.h"
#include "types.h"

/* Below it, address 0 and what may not be mapped (vm.mmap_min_addr) are near. */
#define MIN_BASE SZ_16M

static int check_base(struct peershm_create *args, unsigned long align)
{
	unsigned long end;

	if (args->base < MIN_BASE)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_BASE, MIN_BASE);
	if (!IS_ALIGNED(args->base, align))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ALIGNMENT, align);
	if (check_add_overflow((unsigned long)args->base,
			       (unsigned long)args->capacity, &end) ||
	    end > TASK_SIZE)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ADDRESS_SPACE, TASK_SIZE);
	return 0;
}

static int check_sizes(struct peershm_create *args, unsigned long page_size)
{
	if (!args->capacity)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ZERO, 0);
	if (!IS_ALIGNED(args->capacity, page_size) ||
	    !IS_ALIGNED(args->reserve, page_size))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ALIGNMENT, page_size);
	if (args->capacity > TASK_SIZE)
		return peershm_fail(&args->failure, -ENOSPC,
				    PEERSHM_REASON_NO_RANGE, 0);
	if (args->reserve > args->capacity)
		return peershm_fail(&args->failure, -ENOSPC,
				    PEERSHM_REASON_CAPACITY, args->capacity);
	return 0;
}

int peershm_create_check(void *arg)
{
	struct peershm_create *args = arg;
	int backing = peershm_backing_find(args->backing);
	int err;

	if (args->flags || args->reserved)
		return -EINVAL;
	if (backing < 0)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_BACKING, 0);
	if (args->mode & ~0777)
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_MODE, 0);
	if (!peershm_name_valid(args->name))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_NAME, 0);
	if (!peershm_backing_available(backing))
		return peershm_fail(&args->failure, -ENODEV,
				    PEERSHM_REASON_NO_BACKING, 0);
	if (!peershm_backing_permitted(backing))
		return peershm_fail(&args->failure, -EPERM, PEERSHM_REASON_POOL,
				    peershm_backing_group());
	err = check_sizes(args, peershm_backing_page_size(backing));
	if (!err && args->base)
		err = check_base(args, peershm_backing_align(backing));
	return err;
}

/* The files of the region's memory and of its control pages. */
static int open_files(struct peershm_region *region)
{
	char title[PEERSHM_NAME_SIZE + 16];
	struct file *file;

	snprintf(title, sizeof(title), "peershm:%s", region->name);
	file = peershm_backing_open(region->backing, title);
	if (IS_ERR(file))
		return PTR_ERR(file);
	region->file = file;

	snprintf(title, sizeof(title), "peershm-control:%s", region->name);
	region->control_length = peershm_control_length(region->max_clients);
	file = peershm_backing_open_control(title, region->control_length);
	if (IS_ERR(file))
		return PTR_ERR(file);
	region->control = file;
	return 0;
}

long peershm_create_run(struct peershm_file *pf, void *arg)
{
	struct peershm_create *args = arg;
	struct peershm_region *region;
	u32 limit;
	int err;

	if (!peershm_file_writable(pf))
		return peershm_fail(&args->failure, -EACCES,
				    PEERSHM_REASON_DEVICE_READ_ONLY, 0);
	limit = peershm_limits_clients();
	if (args->max_clients > limit)
		return peershm_fail(&args->failure, -ENOSPC,
				    PEERSHM_REASON_MAX_CLIENTS, limit);

	region = peershm_region_new(args, peershm_backing_find(args->backing),
				    args->max_clients ?: max(limit, 1U));
	if (!region)
		return -ENOMEM;
	peershm_reserve_prepare(region, peershm_size_given_back);
	peershm_follow_prepare(region);
	err = open_files(region);
	if (!err && args->reserve)
		err = peershm_set_reserve(region, args->reserve,
					  &args->failure);
	if (!err)
		err = peershm_directory_add(region, args->base, &args->region,
					    &args->failure);
	/* The name now stands for the one user that the region began with. */
	if (err)
		peershm_region_put(region);
	return err;
}

/* The answer could not be written. */
void peershm_create_undo(struct peershm_file *pf, void *arg)
{
	struct peershm_create *args = arg;
	struct peershm_region *region;

	region = peershm_directory_find(NULL, args->region, 0, &args->failure);
	if (IS_ERR(region))
		return;		/* somebody unlinked it already */
	peershm_directory_unlink(region, NULL);
	peershm_region_put(region);
}
