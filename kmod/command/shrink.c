// SPDX-License-Identifier: GPL-2.0-only
/*
 * SHRINK: take memory away from every client, or announce that.
 */
#include <linux/align.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>

#include "command/answer.h"
#include "command/commands.h"
#include "memory/backing.h"
#include "memory/pins.h"
#include "memory/reserve.h"
#include "registry/directory.h"
#include "registry/size.h"
#include "window/map.h"
#include "types.h"

/* How long a shrink waits for a client whose mmap lock is taken. */
#define REMAP_MS 1

#define DEFAULT_TIMEOUT_MS 1000

int peershm_shrink_check(void *arg)
{
	struct peershm_shrink *args = arg;
	bool waits = true;

	switch (args->flags) {
	case PEERSHM_SHRINK_FORCE:
		waits = false;
		fallthrough;
	case 0:
		if (args->cookie)
			return -EINVAL;
		break;
	case PEERSHM_SHRINK_ANNOUNCE:
	case PEERSHM_SHRINK_CANCEL:
	case PEERSHM_SHRINK_ANNOUNCED | PEERSHM_SHRINK_FORCE:
		waits = false;
		break;
	case PEERSHM_SHRINK_ANNOUNCED:
		break;
	default:
		return -EINVAL;
	}
	if (args->reserved || (args->timeout_ms && !waits))
		return -EINVAL;
	return peershm_answer_timeout(args->timeout_ms, &args->failure);
}

static int shrink_locked(struct peershm_region *region,
			 const struct peershm_client *client,
			 struct peershm_shrink *args)
{
	u64 old_size = region->size;
	int err;

	lockdep_assert_held(&region->resize_mutex);
	args->old_size = old_size;
	/* Nothing larger is announced: somebody has shrunk the region further. */
	if (args->new_size > old_size)
		return args->flags & PEERSHM_SHRINK_ANNOUNCED ?
			       peershm_fail(&args->failure, -ECANCELED,
					    PEERSHM_REASON_NOT_IN_FORCE, 0) :
			       peershm_fail(&args->failure, -EINVAL,
					    PEERSHM_REASON_SIZE, old_size);
	if (args->new_size == old_size &&
	    !(args->flags & PEERSHM_SHRINK_ANNOUNCED))
		return 0;
	/* The header first, so that nobody learns of memory that is going. */
	err = peershm_size_begin_shrink(region, client, args);
	if (err)
		return err;
	if (args->new_size < old_size) {
		err = peershm_backing_shrink(region->backing, region->file,
					     &region->tables_rwsem,
					     old_size + region->reserve.have,
					     args->new_size);
		if (err) {
			peershm_size_undo_shrink(region, old_size);
			return err;
		}
		peershm_directory_grant(region, args->new_size,
					region->reserve.want);
		peershm_reserve_used(region, 0);
	}
	peershm_size_end_shrink(region, client, old_size);
	return 0;
}

/*
 * Wait until nothing is pinned of what would go. The caller holds no lock, so that
 * whoever has pinned it can do what it likes meanwhile; it can pin more afterwards.
 */
static int await_pins(struct peershm_region *region, struct peershm_shrink *args)
{
	int timeout_ms = args->timeout_ms;
	unsigned int pause_ms = 1;
	ktime_t deadline;
	u64 bytes;

	if (args->flags & PEERSHM_SHRINK_FORCE)
		return 0;
	if (timeout_ms == PEERSHM_TIMEOUT_DEFAULT)
		timeout_ms = DEFAULT_TIMEOUT_MS;
	deadline = timeout_ms < 0 ? KTIME_MAX :
				    ktime_add_ms(ktime_get(), timeout_ms);
	/* The reserve goes, too. */
	while ((bytes = peershm_pinned(region->file, args->new_size,
				       region->capacity))) {
		if (!ktime_before(ktime_get(), deadline))
			return peershm_fail(&args->failure, -EBUSY,
					    PEERSHM_REASON_PINNED, bytes);
		if (msleep_interruptible(pause_ms))
			return -ERESTARTSYS;
		pause_ms = min(2 * pause_ms, 64U);
	}
	return 0;
}

static int shrink(struct peershm_region *region,
		  const struct peershm_client *client,
		  struct peershm_shrink *args)
{
	u64 mapped = peershm_size_mapped(region, args->new_size);
	struct peershm_map_call call = {};
	int err = 0;

	err = await_pins(region, args);
	if (err)
		return err;
	/* Clients map again what they lose of their page tables below the size. */
	if (mapped < args->new_size)
		err = peershm_map_begin(&call, region, REMAP_MS);
	if (err)
		return err;
	err = -ERESTARTSYS;
	if (mutex_lock_interruptible(&region->resize_mutex))
		goto end_call;
	err = shrink_locked(region, client, args);
	mutex_unlock(&region->resize_mutex);
	if (!err && mapped < args->new_size)
		peershm_map_peers(&call, NULL, mapped, args->new_size);
	peershm_reserve_refill(region);
end_call:
	peershm_map_end(&call);
	return err;
}

long peershm_shrink_run(struct peershm_region *region,
			struct peershm_client *client, void *arg)
{
	struct peershm_shrink *args = arg;
	bool cancel = args->flags & PEERSHM_SHRINK_CANCEL;

	if (!IS_ALIGNED(args->new_size, region->page_size))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_ALIGNMENT,
				    region->page_size);
	if (!cancel && !(args->flags & PEERSHM_SHRINK_ANNOUNCE))
		return shrink(region, client, args);
	if (cancel && args->new_size)
		return -EINVAL;
	if (!client)
		return -ENOTCONN;
	return peershm_size_announce(region, client, args);
}
