// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of a region: who its clients are.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "client.h"
#include "control.h"
#include "device.h"
#include "event.h"
#include "header.h"
#include "map.h"
#include "region.h"
#include "size.h"
#include "straggler.h"
#include "window.h"

static uint max_user_clients = 128;
module_param(max_user_clients, uint, 0644);
MODULE_PARM_DESC(max_user_clients,
		 "clients in a region of one user without CAP_SYS_RESOURCE, but its owner");

/*
 * How long a process that is being killed may take to stop running, from when
 * somebody first waited for its name.
 */
#define DYING_MS 1000

static void client_release(struct kref *ref)
{
	struct peershm_client *client =
		container_of(ref, struct peershm_client, ref);
	struct peershm_region *region = client->region;

	put_pid(client->pid);
	mmdrop(client->mm);
	kfree(client);
	peershm_region_drop(region);
}

/**
 * peershm_client_put() - drop a reference
 * @client: freed with the last one
 */
void peershm_client_put(struct peershm_client *client)
{
	kref_put(&client->ref, client_release);
}

/*
 * Attached, and with an address space: somebody else may hold the window's
 * file for longer, such as a child of fork after MADV_DOFORK.
 */
static bool present(const struct peershm_client *client)
{
	return client->live && atomic_read(&client->mm->mm_users);
}

/*
 * Has the process ended, or become another program, although its old memory is
 * still being torn down? What it was named is free then.
 */
static bool ended(const struct peershm_client *client)
{
	struct task_struct *task;
	bool dead;

	if (client->pid == task_tgid(current) && client->mm != current->mm)
		return true;
	rcu_read_lock();
	task = pid_task(client->pid, PIDTYPE_TGID);
	dead = !task || !atomic_read(&task->signal->live);
	rcu_read_unlock();
	return dead;
}

/* Is the process being killed, or dumping core? Its threads stop any moment. */
static bool dying(const struct peershm_client *client)
{
	struct task_struct *task;
	bool yes;

	rcu_read_lock();
	task = pid_task(client->pid, PIDTYPE_TGID);
	yes = task && READ_ONCE(task->signal->flags) & PEERSHM_GROUP_EXIT;
	rcu_read_unlock();
	return yes;
}

/* Did it go because its process did? */
static bool died(const struct peershm_client *client)
{
	return !present(client) || ended(client) || dying(client);
}

/* Out of the registry; nothing if it is out already. */
static void leave_locked(struct peershm_client *client)
{
	struct peershm_region *region = client->region;
	bool announced = region->announcer == client;
	int slot = client->slot;
	enum peershm_event_type type;

	lockdep_assert_held(&region->registry);
	if (slot < 0)
		return;
	region->clients[slot] = NULL;
	WRITE_ONCE(client->slot, -1);
	if (!client->live)
		return;
	type = died(client) ? PEERSHM_EVENT_DIED : PEERSHM_EVENT_LEFT;
	client->live = false;
	peershm_name_remember_locked(client);
	region->nr_clients--;
	if (announced)
		peershm_size_unannounce_locked(region);
	peershm_header_begin(region);
	peershm_header_set_client(region, slot, NULL);
	peershm_header_set_region(region);
	peershm_header_end(region);
	peershm_straggler_gone_locked(client);
	if (announced)
		peershm_event_record_locked(region, PEERSHM_EVENT_SHRINKING,
					    client, region->size, region->size);
	peershm_event_record_locked(region, type, client, 0, 0);
	peershm_event_leave_locked(client);
}

/**
 * peershm_client_leave() - take a client out of the registry
 * @client: that may have left already
 */
void peershm_client_leave(struct peershm_client *client)
{
	spin_lock(&client->region->registry);
	leave_locked(client);
	spin_unlock(&client->region->registry);
}

bool peershm_client_live(struct peershm_client *client)
{
	bool live;

	spin_lock(&client->region->registry);
	live = client->live;
	spin_unlock(&client->region->registry);
	return live;
}

/**
 * peershm_client_pid() - a client's PID for the caller
 * @client: which
 *
 * Another process may go on with the memory of one that has ended, whose PID is
 * then free for a third.
 *
 * Returns: the PID in the caller's PID namespace, 0 if it has none there or the
 * process has ended.
 */
s32 peershm_client_pid(const struct peershm_client *client)
{
	bool there;

	rcu_read_lock();
	there = pid_task(client->pid, PIDTYPE_TGID);
	rcu_read_unlock();
	return there ? pid_nr_ns(client->pid, task_active_pid_ns(current)) : 0;
}

/**
 * peershm_client_of() - the client that an open file stands for
 * @pf: the file
 *
 * Returns: a reference, or NULL if there is none.
 */
struct peershm_client *peershm_client_of(struct peershm_file *pf)
{
	struct peershm_client *client;

	spin_lock(&pf->lock);
	client = pf->client;
	if (client)
		kref_get(&client->ref);
	spin_unlock(&pf->lock);
	return client;
}

/**
 * peershm_client_acting() - the calling process as a client of a region
 * @pf: through which file
 * @region: which
 *
 * Returns: a reference, or NULL if the file does not make it one.
 */
struct peershm_client *peershm_client_acting(struct peershm_file *pf,
					     struct peershm_region *region)
{
	struct peershm_client *client = peershm_client_of(pf);

	if (!client)
		return NULL;
	if (client->region == region && client->mm == current->mm &&
	    peershm_client_live(client))
		return client;
	peershm_client_put(client);
	return NULL;
}

/**
 * peershm_client_region() - the region that the caller is attached to
 * @pf: through which file
 * @mask: what it means to do there, MAY_READ, MAY_WRITE or both
 *
 * Returns: a reference to it, -ENOTCONN or -EACCES.
 */
struct peershm_region *peershm_client_region(struct peershm_file *pf, int mask)
{
	struct peershm_client *client = peershm_client_of(pf);
	struct peershm_region *region;

	if (!client)
		return ERR_PTR(-ENOTCONN);
	region = client->region;
	/* A client that is live has a window, which is a user. */
	spin_lock(&region->registry);
	if (client->mm != current->mm || !client->live)
		region = ERR_PTR(-ENOTCONN);
	else if (mask & MAY_WRITE && client->flags & PEERSHM_CLIENT_READ_ONLY)
		region = ERR_PTR(-EACCES);
	else
		peershm_region_get(region);
	spin_unlock(&client->region->registry);
	peershm_client_put(client);
	return region;
}

/**
 * peershm_client_trim_locked() - no client has more mapped than that
 * @region: of which a change of the header has begun
 * @limit: bytes from the base
 */
void peershm_client_trim_locked(struct peershm_region *region, u64 limit)
{
	struct peershm_client *client;
	unsigned int slot;

	lockdep_assert_held(&region->registry);
	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || client->mapped <= limit)
			continue;
		client->mapped = limit;
		if (client->live)
			peershm_header_set_client(region, slot, client);
	}
}

/**
 * peershm_client_mapped() - a range is in the client's page tables
 * @client: whose
 * @start: in bytes from the base
 * @end: likewise
 * @shrinks: how often the region had shrunk when mapping began: what was
 *           mapped before a shrink says nothing about memory granted after it
 */
void peershm_client_mapped(struct peershm_client *client, u64 start, u64 end,
			   u64 shrinks)
{
	struct peershm_region *region = client->region;

	spin_lock(&region->registry);
	end = min(end, region->size);
	if (shrinks != region->shrinks)
		goto unlock;
	if (start <= client->mapped && end > client->mapped) {
		client->mapped = end;
		if (client->live) {
			peershm_header_begin(region);
			peershm_header_set_client(region, client->slot, client);
			peershm_header_end(region);
		}
	}
	peershm_straggler_reached_locked(client, start, end);
unlock:
	spin_unlock(&region->registry);
}

/**
 * peershm_client_partial() - the client has been at its window
 * @client: for which no peer map tries again what it could not map
 * @start: what was tried, in bytes from the base
 * @end: likewise
 * @shrinks: as for peershm_client_mapped()
 */
void peershm_client_partial(struct peershm_client *client, u64 start, u64 end,
			    u64 shrinks)
{
	struct peershm_region *region = client->region;

	spin_lock(&region->registry);
	client->partial = true;
	if (shrinks == region->shrinks)
		peershm_straggler_reached_locked(client, start,
						 min(end, region->size));
	spin_unlock(&region->registry);
}

static int same_name(struct peershm_client *other)
{
	if (!other->live || !dying(other))
		return -EEXIST;
	if (!other->awaited)
		other->awaited = jiffies ?: 1;
	if (time_before(jiffies, other->awaited + msecs_to_jiffies(DYING_MS)))
		return -EINPROGRESS;
	leave_locked(other);
	return 0;
}

/*
 * Put @client into a free slot, not yet shown. The name of a client that is
 * dying is -EINPROGRESS, until it has had time enough to stop running.
 */
static int try_enter(struct peershm_client *client)
{
	struct peershm_region *region = client->region;
	struct peershm_client *other;
	unsigned int users = 0;
	unsigned int slot;
	int free = -1;
	int err = 0;

	spin_lock(&region->registry);
	for (slot = 0; slot < region->max_clients; slot++) {
		other = region->clients[slot];
		if (other && other->live && (!present(other) || ended(other)))
			leave_locked(other);
		else if (other && other->mm == client->mm)
			err = -EALREADY;
		else if (other && !strcmp(other->name, client->name))
			err = same_name(other);
		other = region->clients[slot];
		if (other && uid_eq(other->uid, client->uid))
			users++;
		if (free < 0 && !region->clients[slot])
			free = slot;
		if (err)
			break;
	}
	if (!err && (free < 0 || (client->limited &&
				  users >= READ_ONCE(max_user_clients))))
		err = -ENOSPC;
	if (!err) {
		client->id = ++region->next_client_id;
		client->generation =
			peershm_name_last_locked(region, client->name) + 1;
		client->slot = free;
		region->clients[free] = client;
	}
	spin_unlock(&region->registry);
	return err;
}

static int enter(struct peershm_client *client)
{
	int err;

	for (;;) {
		err = try_enter(client);
		if (err != -EINPROGRESS)
			return err;
		if (msleep_interruptible(1))
			return -ERESTARTSYS;
	}
}

/*
 * From here on every grow maps this client; what was granted before is up to
 * the caller, who reads the size after.
 */
static int go_live(struct peershm_file *pf, struct peershm_client *client,
		   struct peershm_attach *args, u64 *shrinks)
{
	struct peershm_region *region = client->region;
	int err = 0;

	spin_lock(&region->registry);
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
		peershm_event_connect_locked(region, &pf->reader,
					     client);
		peershm_event_record_locked(region, PEERSHM_EVENT_JOINED,
					    client, 0, 0);
	}
	spin_unlock(&region->registry);
	return err;
}

static struct peershm_client *client_alloc(struct peershm_region *region,
					   const struct peershm_attach *args)
{
	struct peershm_client *client;

	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return NULL;
	kref_init(&client->ref);
	peershm_region_hold(region);
	client->region = region;
	mmgrab(current->mm);
	client->mm = current->mm;
	client->pid = get_task_pid(current->group_leader, PIDTYPE_TGID);
	client->start_time = current->group_leader->start_boottime;
	if (args->flags & PEERSHM_ATTACH_READ_ONLY)
		client->flags = PEERSHM_CLIENT_READ_ONLY;
	client->uid = current_fsuid();
	client->limited = !uid_eq(client->uid, region->uid) &&
			  !capable(CAP_SYS_RESOURCE);
	client->dump = args->flags & PEERSHM_ATTACH_DUMP;
	memcpy(client->name, args->client_name, sizeof(client->name));
	client->slot = -1;
	client->behind = PEERSHM_NOT_BEHIND;
	return client;
}

/* Take the file for an ATTACH by this task. */
static int claim(struct peershm_file *pf)
{
	struct peershm_client *client, *old = NULL;
	int err = 0;

	client = peershm_client_of(pf);
	spin_lock(&pf->lock);
	if (pf->attacher || pf->reader.region || pf->client != client) {
		err = -EBUSY;
	} else if (client && peershm_client_live(client) && !ended(client)) {
		err = -EBUSY;
	} else {
		old = client;
		pf->client = NULL;
		/* read by the mmap op of any thread, without the lock */
		WRITE_ONCE(pf->attacher, current);
		if (old)
			peershm_event_disconnect(old->region, &pf->reader);
	}
	spin_unlock(&pf->lock);
	if (old)
		peershm_client_put(old);	/* the file's */
	if (client)
		peershm_client_put(client);
	return err;
}

/* The end of it; takes the file's reference away from a client that failed. */
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

static int map_window(struct peershm_file *pf, struct peershm_client *client)
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
	return (long)addr == -EEXIST ? -EADDRINUSE : (long)addr;
}

static int attach(struct peershm_file *pf, struct peershm_client *client,
		  struct peershm_attach *args)
{
	struct file *window;
	u64 shrinks;
	int err;

	err = enter(client);
	if (err)
		return err;
	err = peershm_control_clear(client);
	if (err)
		goto leave;
	window = peershm_window_open(client);
	if (IS_ERR(window)) {
		err = PTR_ERR(window);
		goto leave;
	}
	client->window = window;	/* for the mmap operation */
	err = map_window(pf, client);
	client->window = NULL;
	if (err)
		goto put_window;
	err = go_live(pf, client, args, &shrinks);
	if (!err)
		err = peershm_map_self(client, args->active, shrinks);
	/* What cannot be unmapped goes with the process. */
	if (err && peershm_window_unmap(client))
		pr_debug("peershm: a window that was not wanted stays\n");
put_window:
	fput(window);
leave:
	if (err)
		peershm_client_leave(client);
	return err;
}

long peershm_client_attach(struct peershm_file *pf, void *arg)
{
	struct peershm_attach *args = arg;
	struct peershm_client *client;
	struct peershm_region *region;
	int mask = MAY_READ;
	int err;

	if (args->flags & ~(PEERSHM_ATTACH_READ_ONLY | PEERSHM_ATTACH_DUMP) ||
	    !peershm_name_valid(args->region_name) ||
	    !peershm_name_valid(args->client_name))
		return -EINVAL;
	if (!(args->flags & PEERSHM_ATTACH_READ_ONLY)) {
		if (!peershm_file_writable(pf))
			return -EACCES;
		mask |= MAY_WRITE;
	}
	region = peershm_region_find(args->region_name, 0, mask);
	if (IS_ERR(region))
		return PTR_ERR(region);

	err = claim(pf);
	if (err)
		goto put_region;
	err = -ENOMEM;
	client = client_alloc(region, args);
	if (client) {
		spin_lock(&pf->lock);
		pf->client = client;	/* the first reference is the file's */
		spin_unlock(&pf->lock);
		err = attach(pf, client, args);
	}
	if (!err) {
		args->region = region->id;
		args->client = client->id;
		args->generation = client->generation;
		args->base = region->base;
		args->capacity = region->capacity;
		args->header_length =
			peershm_header_length(region->max_clients);
		args->control_length = region->control_length;
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

long peershm_client_detach(struct peershm_file *pf, void *arg)
{
	struct peershm_detach *args = arg;

	return args->flags ? -EINVAL : detach(pf, 0);
}

/* The caller of ATTACH could not be told; it may have detached since. */
void peershm_client_unattach(struct peershm_file *pf, void *arg)
{
	struct peershm_attach *args = arg;

	if (detach(pf, args->client))
		pr_debug("peershm: a client that was not wanted stays\n");
}

static void fill_info(const struct peershm_client *client,
		      struct peershm_client_info *info)
{
	info->id = client->id;
	info->start_time = client->start_time;
	info->base = client->region->base;
	info->mapped = client->mapped;
	info->pid = peershm_client_pid(client);
	info->flags = client->flags;
	memcpy(info->name, client->name, sizeof(info->name));
	info->generation = client->generation;
}

long peershm_client_list(struct peershm_file *pf, void *arg)
{
	struct peershm_clients *args = arg;
	struct peershm_client_info *infos = NULL;
	struct peershm_client *client;
	struct peershm_region *region;
	u32 room, n = 0;
	unsigned int slot;
	int err = -ENOMEM;

	if (args->flags || args->reserved || (!args->clients && args->nr_clients))
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	room = min(args->nr_clients, region->max_clients);
	if (room) {
		infos = kvcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			goto put_region;
	}
	spin_lock(&region->registry);
	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || !present(client))
			continue;
		if (n < room)
			fill_info(client, &infos[n]);
		n++;
	}
	spin_unlock(&region->registry);

	err = peershm_copy_array(args->clients, infos, min(n, room),
				 sizeof(*infos));
	args->nr_clients = n;
	kvfree(infos);
put_region:
	peershm_region_put(region);
	return err;
}

long peershm_client_resolve(struct peershm_file *pf, void *arg)
{
	struct peershm_resolve *args = arg;
	bool by_pid = args->flags & PEERSHM_RESOLVE_BY_PID;
	struct peershm_client *client;
	struct peershm_region *region;
	unsigned int slot;
	int err = -ENOENT;

	if (args->flags & ~PEERSHM_RESOLVE_BY_PID || args->reserved ||
	    (by_pid ? args->pid <= 0 : !peershm_name_valid(args->name)))
		return -EINVAL;
	region = peershm_region_of(pf, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);

	spin_lock(&region->registry);
	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || !present(client))
			continue;
		if (by_pid ? peershm_client_pid(client) != args->pid :
			     strcmp(client->name, args->name))
			continue;
		args->client = client->id;
		args->pid = peershm_client_pid(client);
		memcpy(args->name, client->name, sizeof(args->name));
		err = 0;
		break;
	}
	spin_unlock(&region->registry);
	peershm_region_put(region);
	return err;
}
