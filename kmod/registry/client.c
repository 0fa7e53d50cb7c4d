// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of a region: who its clients are.
 */
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "registry/client.h"
#include "registry/deferred.h"
#include "registry/event.h"
#include "registry/header.h"
#include "registry/limits.h"
#include "registry/region.h"
#include "types.h"

/*
 * A process that is being killed may take this long to stop running. The time
 * begins when somebody first waits for the client's name.
 */
#define DYING_MS 1000

/*
 * This many dead clients are taken out of the registry before the registry
 * lock is dropped: each changes the header and wakes all readers of events.
 */
#define LEAVE_AT_ONCE 8

static void client_release(struct kref *ref)
{
	struct peershm_client *client =
		container_of(ref, struct peershm_client, ref);
	struct peershm_region *region = client->region;

	put_pid(client->pid);
	mmdrop(client->mm);
	kfree(client);
	peershm_region_put_struct(region);
}

/**
 * peershm_client_put() - drop a reference
 * @client: freed with the last one
 */
void peershm_client_put(struct peershm_client *client)
{
	kref_put(&client->ref, client_release);
}

/**
 * peershm_client_present_locked() - is it attached, with an address space?
 * @client: in the registry
 *
 * A client without an address space can still be in the registry, as somebody
 * else may hold its window's file, such as a child of fork after MADV_DOFORK.
 */
bool peershm_client_present_locked(const struct peershm_client *client)
{
	lockdep_assert_held(&client->region->registry_lock);
	return client->live && atomic_read(&client->mm->mm_users);
}

/**
 * peershm_client_ended() - has the process ended, or executed another program?
 * @client: the kernel may still be tearing down its old memory
 *
 * If so, another client can have its name.
 */
bool peershm_client_ended(const struct peershm_client *client)
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

/* Is the process being killed, or dumping core? Its threads stop soon, then. */
static bool dying(const struct peershm_client *client)
{
	struct task_struct *task;
	bool yes;

	rcu_read_lock();
	task = pid_task(client->pid, PIDTYPE_TGID);
	yes = task && READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT;
	rcu_read_unlock();
	return yes;
}

/* Does the client leave because its process ends? Else it has detached. */
static bool died(const struct peershm_client *client)
{
	return !peershm_client_present_locked(client) ||
	       peershm_client_ended(client) || dying(client);
}

/* Take a client out of the registry, if it is there. */
static void leave_locked(struct peershm_client *client)
{
	struct peershm_region *region = client->region;
	bool announced = region->announcer == client;
	int slot = client->slot;
	enum peershm_event_type type;

	lockdep_assert_held(&region->registry_lock);
	if (slot < 0)
		return;
	region->clients[slot] = NULL;
	if (client->slot_users)
		region->kept_slots[slot] = client;
	WRITE_ONCE(client->slot, -1);
	if (!client->live)
		return;
	type = died(client) ? PEERSHM_EVENT_DIED : PEERSHM_EVENT_LEFT;
	client->live = false;
	region->nr_clients--;
	if (announced)
		peershm_region_unannounce_locked(region);
	peershm_header_begin(region);
	peershm_header_set_client(region, slot, NULL);
	peershm_header_set_region(region);
	peershm_header_end(region);
	peershm_deferred_gone_locked(client);
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
	spin_lock(&client->region->registry_lock);
	leave_locked(client);
	spin_unlock(&client->region->registry_lock);
}

/**
 * peershm_client_keep_slot() - give the client's slot to nobody else
 * @client: in the registry
 *
 * Lasts until peershm_client_free_slot() was called as often, also when the
 * client has left. A slot that is kept counts as one of its user's clients.
 *
 * Returns: 0, or -ENOTCONN if it has left already.
 */
int peershm_client_keep_slot(struct peershm_client *client)
{
	int err = 0;

	spin_lock(&client->region->registry_lock);
	if (client->slot < 0)
		err = -ENOTCONN;
	else
		client->slot_users++;
	spin_unlock(&client->region->registry_lock);
	return err;
}

void peershm_client_free_slot(struct peershm_client *client)
{
	struct peershm_region *region = client->region;

	spin_lock(&region->registry_lock);
	if (!--client->slot_users && client->slot < 0)
		region->kept_slots[client->entry] = NULL;
	spin_unlock(&region->registry_lock);
}

bool peershm_client_live(struct peershm_client *client)
{
	bool live;

	spin_lock(&client->region->registry_lock);
	live = client->live;
	spin_unlock(&client->region->registry_lock);
	return live;
}

/**
 * peershm_client_pid() - a client's PID for the caller
 * @client: which
 *
 * A client can outlive its process, if another process still uses the window.
 * The PID may then belong to a third process, so it is not given out.
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
 * peershm_client_trim_locked() - note that no client has more mapped than this
 * @region: the caller has begun to change its header
 * @limit: bytes from the base
 */
void peershm_client_trim_locked(struct peershm_region *region, u64 limit)
{
	struct peershm_client *client;
	unsigned int slot;

	lockdep_assert_held(&region->registry_lock);
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
 * @shrinks: how often the region had shrunk when mapping began. If it has shrunk
 *           since, what was mapped may be gone, and nothing is noted.
 */
void peershm_client_mapped(struct peershm_client *client, u64 start, u64 end,
			   u64 shrinks)
{
	struct peershm_region *region = client->region;

	spin_lock(&region->registry_lock);
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
	peershm_deferred_reached_locked(client, start, end);
unlock:
	spin_unlock(&region->registry_lock);
}

/**
 * peershm_client_partial() - note that a part of a range could not be mapped
 * @client: it has unmapped, protected or replaced that part of its window, so
 *          no later peer map tries the part again by itself
 * @start: what was tried, in bytes from the base
 * @end: likewise
 * @shrinks: as for peershm_client_mapped()
 */
void peershm_client_partial(struct peershm_client *client, u64 start, u64 end,
			    u64 shrinks)
{
	struct peershm_region *region = client->region;

	spin_lock(&region->registry_lock);
	client->partial = true;
	if (shrinks == region->shrinks)
		peershm_deferred_reached_locked(client, start,
						min(end, region->size));
	spin_unlock(&region->registry_lock);
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

/* Take dead clients out. -EAGAIN: call it again, some may be left. */
static int sweep_dead_locked(struct peershm_region *region)
{
	struct peershm_client *client;
	unsigned int slot, left = 0;

	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || !client->live ||
		    (peershm_client_present_locked(client) &&
		     !peershm_client_ended(client)))
			continue;
		leave_locked(client);
		if (++left == LEAVE_AT_ONCE)
			return -EAGAIN;
	}
	return 0;
}

/* Is a client of this process, or of this name, there already? */
static int check_unique_locked(const struct peershm_client *client,
			       struct peershm_failure *failure)
{
	struct peershm_region *region = client->region;
	struct peershm_client *other;
	unsigned int slot;
	int err = 0;

	for (slot = 0; !err && slot < region->max_clients; slot++) {
		other = region->clients[slot];
		if (other && other->mm == client->mm)
			err = -EALREADY;
		else if (other && !strcmp(other->name, client->name))
			err = same_name(other);
		if (err == -EEXIST)
			peershm_fail(failure, err, PEERSHM_REASON_CLIENT_NAME,
				     other->id);
	}
	return err;
}

/* Find a free slot. -ENOSPC: none is free, or the user has its share. */
static int free_slot_locked(const struct peershm_client *client,
			    struct peershm_failure *failure)
{
	struct peershm_region *region = client->region;
	const struct peershm_client *other;
	unsigned int slot, users = 0;
	int free = -ENOSPC;

	for (slot = 0; slot < region->max_clients; slot++) {
		other = region->clients[slot] ?: region->kept_slots[slot];
		if (!other && free < 0)
			free = slot;
		if (other && uid_eq(other->uid, client->uid))
			users++;
	}
	if (client->limited && users >= peershm_limits_share())
		return peershm_fail(failure, -ENOSPC,
				    PEERSHM_REASON_MAX_USER_CLIENTS,
				    peershm_limits_share());
	return free >= 0 ? free :
			   peershm_fail(failure, free, PEERSHM_REASON_CLIENTS,
					region->max_clients);
}

/*
 * Put @client into a free slot; the header does not show it yet. -EINPROGRESS:
 * a dying client still has the name, and gets some time to stop running. -EAGAIN:
 * there are more dead clients than should be taken out under the lock at once.
 */
static int try_enter(struct peershm_client *client,
		     struct peershm_failure *failure)
{
	struct peershm_region *region = client->region;
	int slot, err;

	spin_lock(&region->registry_lock);
	err = sweep_dead_locked(region);
	if (!err)
		err = check_unique_locked(client, failure);
	if (err)
		goto unlock;
	slot = free_slot_locked(client, failure);
	if (slot < 0) {
		err = slot;
		goto unlock;
	}
	client->id = ++region->next_client_id;
	client->slot = slot;
	client->entry = slot;
	region->clients[slot] = client;
unlock:
	spin_unlock(&region->registry_lock);
	return err;
}

/**
 * peershm_client_enter() - put a client into the registry, not yet shown
 * @client: new; gets its id
 * @failure: says why not
 *
 * Waits for a dying client that still has the name.
 *
 * Returns: 0, -EEXIST, -EALREADY, -ENOSPC or -ERESTARTSYS.
 */
int peershm_client_enter(struct peershm_client *client,
			 struct peershm_failure *failure)
{
	int err;

	for (;;) {
		err = try_enter(client, failure);
		if (err == -EAGAIN)
			cond_resched();
		else if (err != -EINPROGRESS)
			return err;
		else if (msleep_interruptible(1))
			return -ERESTARTSYS;
	}
}

/**
 * peershm_client_new() - make an object for the calling process as a client
 * @region: which it attaches to; the object keeps the region's struct
 * @args: of its ATTACH
 *
 * Returns: a reference, or NULL without memory.
 */
struct peershm_client *peershm_client_new(struct peershm_region *region,
					  const struct peershm_attach *args)
{
	struct peershm_client *client;

	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return NULL;
	kref_init(&client->ref);
	peershm_region_get_struct(region);
	client->region = region;
	mmgrab(current->mm);
	client->mm = current->mm;
	client->pid = get_task_pid(current->group_leader, PIDTYPE_TGID);
	client->start_time = current->group_leader->start_boottime;
	if (args->flags & PEERSHM_ATTACH_READ_ONLY)
		client->flags = PEERSHM_CLIENT_READ_ONLY;
	client->uid = current_fsuid();
	client->limited = peershm_limits_apply(region);
	client->dump = args->flags & PEERSHM_ATTACH_DUMP;
	memcpy(client->name, args->client_name, sizeof(client->name));
	client->slot = -1;
	client->behind = PEERSHM_NOT_BEHIND;
	return client;
}
