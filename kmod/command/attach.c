// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching: how a process becomes a client of a region through an open file,
 * and how it ends that.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "command/answer.h"
#include "command/commands.h"
#include "memory/backing.h"
#include "registry/client.h"
#include "registry/directory.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/region.h"
#include "window/control.h"
#include "window/map.h"
#include "window/window.h"
#include "types.h"

/*
 * Make the client live: from here on every grow maps it. The caller maps what
 * was there before, so it reads the size after this.
 */
static int go_live(struct peershm_file *pf, struct peershm_client *client,
		   struct peershm_attach *args, u64 *shrinks)
{
	struct peershm_region *region = client->region;
	int err = 0;

	spin_lock(&region->registry_lock);
	if (client->slot < 0) {
		err = -ENOTCONN;	/* unmapped by another thread */
	} else {
		client->live = true;
		region->nr_clients++;
		peershm_header_begin(region);
		peershm_header_set_client(region, client->slot, client);
		peershm_header_set_region(region);
		peershm_header_end(region);
		args->active = region->size;
		args->root = peershm_root_address_locked(region, &region->root);
		args->root_generation = region->root.generation;
		*shrinks = region->shrinks;
		peershm_event_connect_locked(region, &pf->reader, client);
		peershm_event_record_locked(region, PEERSHM_EVENT_JOINED,
					    client, 0, 0);
	}
	spin_unlock(&region->registry_lock);
	return err;
}

/* Claim the file for an ATTACH by this task, or fail if it has a client. */
static int claim(struct peershm_file *pf, u32 event_size)
{
	struct peershm_client *client, *old = NULL;
	int err = 0;

	client = peershm_client_of(pf);
	spin_lock(&pf->lock);
	if (pf->attacher || pf->reader.region || pf->client != client) {
		err = -EBUSY;
	} else if (client && peershm_client_live(client) &&
		   !peershm_client_ended(client)) {
		err = -EBUSY;
	} else {
		old = client;
		pf->client = NULL;
		/* read by the mmap op of any thread, without the lock */
		WRITE_ONCE(pf->attacher, current);
		if (old)
			peershm_event_disconnect(old->region, &pf->reader);
		WRITE_ONCE(pf->reader.record_size,
			   event_size ?: PEERSHM_EVENT_LEAST);
	}
	spin_unlock(&pf->lock);
	if (old)
		peershm_client_put(old);	/* the file's */
	if (client)
		peershm_client_put(client);
	return err;
}

/* End the ATTACH. A client that failed loses the file's reference. */
static void settle(struct peershm_file *pf, bool keep)
{
	struct peershm_client *client = NULL;

	spin_lock(&pf->lock);
	if (!keep)
		swap(client, pf->client);
	if (client)
		peershm_event_disconnect(client->region, &pf->reader);
	WRITE_ONCE(pf->attacher, NULL);
	spin_unlock(&pf->lock);
	if (client)
		peershm_client_put(client);
}

static int map_window(struct peershm_file *pf, struct peershm_client *client,
		      struct peershm_failure *failure)
{
	const struct peershm_region *region = client->region;
	unsigned long prot = PROT_READ;
	unsigned long addr;

	if (!(client->flags & PEERSHM_CLIENT_READ_ONLY))
		prot |= PROT_WRITE;
	addr = vm_mmap(pf->file, region->base, region->capacity, prot,
		       MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, 0);
	if (!IS_ERR_VALUE(addr))
		return 0;
	switch ((long)addr) {
	case -EEXIST:
		return peershm_fail(failure, -EADDRINUSE,
				    PEERSHM_REASON_PROCESS_RANGE, 0);
	case -EAGAIN:
		return peershm_fail(failure, -EAGAIN,
				    PEERSHM_REASON_LOCKED_MEMORY, 0);
	default:
		return (long)addr;
	}
}

/*
 * The mmap operation of hugetlbfs takes the inode's lock, which a grow holds for
 * as long as it allocates. Wait for the grow here first: the caller can still be
 * killed, and does not hold its mmap lock, which its threads need. Do not keep
 * resize_mutex, as somebody may hold the caller's mmap lock for long.
 */
static int await_grow(struct peershm_region *region)
{
	if (!peershm_backing_pooled(region->backing))
		return 0;
	if (mutex_lock_interruptible(&region->resize_mutex))
		return -ERESTARTSYS;
	mutex_unlock(&region->resize_mutex);
	return 0;
}

static int attach(struct peershm_file *pf, struct peershm_client *client,
		  struct peershm_attach *args)
{
	struct file *window;
	u64 shrinks;
	int err;

	err = peershm_client_enter(client, &args->failure);
	if (err)
		return err;
	err = peershm_control_renew(client);
	if (err)
		goto leave;
	err = await_grow(client->region);
	if (err)
		goto leave;
	window = peershm_window_open(client);
	if (IS_ERR(window)) {
		err = PTR_ERR(window);
		goto leave;
	}
	client->window = window;	/* for the mmap operation */
	err = map_window(pf, client, &args->failure);
	client->window = NULL;
	if (err)
		goto put_window;
	err = go_live(pf, client, args, &shrinks);
	if (!err)
		err = peershm_map_self(client, args->active, shrinks);
	/* A window that cannot be unmapped goes when the process ends. */
	if (err && peershm_window_unmap(client))
		pr_debug("peershm: a window that was not wanted stays\n");
put_window:
	fput(window);
leave:
	if (err)
		peershm_client_leave(client);
	return err;
}

int peershm_attach_check(void *arg)
{
	struct peershm_attach *args = arg;

	if (args->flags & ~(PEERSHM_ATTACH_READ_ONLY | PEERSHM_ATTACH_DUMP) ||
	    args->reserved)
		return -EINVAL;
	if (!peershm_name_valid(args->region_name) ||
	    !peershm_name_valid(args->client_name))
		return peershm_fail(&args->failure, -EINVAL,
				    PEERSHM_REASON_NAME, 0);
	return peershm_answer_event_size(args->event_size, &args->failure);
}

long peershm_attach_run(struct peershm_file *pf, void *arg)
{
	struct peershm_attach *args = arg;
	struct peershm_client *client;
	struct peershm_region *region;
	int mask = MAY_READ;
	int err;

	if (!(args->flags & PEERSHM_ATTACH_READ_ONLY)) {
		if (!peershm_file_writable(pf))
			return peershm_fail(&args->failure, -EACCES,
					    PEERSHM_REASON_DEVICE_READ_ONLY, 0);
		mask |= MAY_WRITE;
	}
	region = peershm_directory_find(args->region_name, 0, mask,
					&args->failure);
	if (IS_ERR(region))
		return PTR_ERR(region);

	err = claim(pf, args->event_size);
	if (err) {
		peershm_fail(&args->failure, err, PEERSHM_REASON_FILE_BOUND, 0);
		goto put_region;
	}
	err = -ENOMEM;
	client = peershm_client_new(region, args);
	if (client) {
		spin_lock(&pf->lock);
		pf->client = client;	/* the first reference is the file's */
		spin_unlock(&pf->lock);
		err = attach(pf, client, args);
	}
	if (!err) {
		args->region = region->id;
		args->client = client->id;
		args->base = region->base;
		args->capacity = region->capacity;
		args->header_length =
			peershm_header_length(region->max_clients);
		args->control_length = region->control_length;
		args->slot = client->entry;
		args->max_clients = region->max_clients;
	}
	settle(pf, !err);
put_region:
	peershm_region_put(region);
	return err;
}

/* @id: of the client that it must be, or 0 */
static int detach(struct peershm_file *pf, u64 id)
{
	struct peershm_client *client = peershm_client_of(pf);
	bool mine = false;
	int err = 0;

	if (!client)
		return -ENOTCONN;
	if (client->mm != current->mm || !peershm_client_live(client) ||
	    (id && client->id != id)) {
		err = -ENOTCONN;
		goto put_client;
	}
	err = peershm_window_unmap(client);
	if (err)
		goto put_client;
	peershm_client_leave(client);

	spin_lock(&pf->lock);
	if (pf->client == client && !pf->attacher) {
		pf->client = NULL;
		peershm_event_disconnect(client->region, &pf->reader);
		mine = true;
	}
	spin_unlock(&pf->lock);
	if (mine)
		peershm_client_put(client);	/* the file's */
put_client:
	peershm_client_put(client);
	return err;
}

int peershm_detach_check(void *arg)
{
	const struct peershm_detach *args = arg;

	return args->flags ? -EINVAL : 0;
}

long peershm_detach_run(struct peershm_file *pf, void *arg)
{
	return detach(pf, 0);
}

/* The answer could not be written. The client may have detached since. */
void peershm_attach_undo(struct peershm_file *pf, void *arg)
{
	struct peershm_attach *args = arg;

	if (detach(pf, args->client))
		pr_debug("peershm: a client that was not wanted stays\n");
}
