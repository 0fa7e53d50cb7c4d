// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peer map: put a range of a region into the page tables of its clients.
 *
 * Another process is reached by mmget_not_zero(), then its mmap lock, then a
 * fresh look at its VMAs (populate.c): it may have unmapped or replaced any of
 * them. Clients are mapped in parallel where that is worth it (parallel.c), so
 * "current" need not be who called.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "memory/backing.h"
#include "registry/client.h"
#include "device/device.h"
#include "window/map.h"
#include "memory/parallel.h"
#include "window/populate.h"
#include "registry/region.h"
#include "registry/straggler.h"
#include "window/window.h"
#include "types.h"

#define DEFAULT_TIMEOUT_MS 100
#define MAX_TIMEOUT_MS 60000

/* Another CPU can help from about so many page table entries on. */
#define WORTH_HELP 1024
/* To map a huge page costs as much as so many small ones. */
#define HUGE_PAGE 16

/*
 * How much is mapped under the mmap lock of a peer at a time; less, if one of
 * its threads waits for that (populate.c).
 */
static u64 chunk_of(const struct peershm_region *region)
{
	return max_t(u64, SZ_16M, 512 * (u64)region->page_size);
}

/*
 * What an earlier call left undone is done on the way, but not for longer than
 * this call is ready to wait.
 */
static bool may_catch_up(const struct peershm_map_call *call)
{
	return !task_sigpending(call->caller) &&
	       ktime_before(ktime_get(), call->deadline);
}

/*
 * The page tables are charged to the client's memory cgroup, as if it had taken
 * the faults itself: whoever maps is not slowed down by a limit of its own while
 * it holds the client's mmap lock.
 */
static u64 populate(struct peershm_client *client, struct task_struct *caller,
		    u64 start, u64 end, bool *whole)
{
	unsigned long base = client->region->base;
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(client->mm);
	struct mem_cgroup *old = set_active_memcg(memcg);

	end = peershm_populate(client, caller, base + start, base + end,
			       whole) -
	      base;
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return end;
}

/* About as many page tables as one call needs for so many bytes. */
static unsigned long tables(u64 bytes)
{
	return bytes / PMD_SIZE + 1;
}

/* May helpers fill the page tables of a client, who pays for them? */
static bool may_be_helped(const struct peershm_client *client, u64 bytes)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(client->mm);
	bool yes = peershm_parallel_charges(memcg, tables(bytes));

	mem_cgroup_put(memcg);
	return yes;
}

/* Go on with a job for as long as the client's mmap lock is to be had. */
static void advance(struct peershm_map_call *call, struct peershm_map_job *job)
{
	struct peershm_client *client = job->client;
	u64 chunk = chunk_of(client->region);
	struct mm_struct *mm = client->mm;
	bool whole;
	u64 stop;

	if (!mmget_not_zero(mm)) {
		job->result = PEERSHM_PEER_GONE;
		return;
	}
	job->result = PEERSHM_PEER_DEFERRED;
	while (job->next < call->end && !fatal_signal_pending(call->caller) &&
	       (job->next >= call->start || may_catch_up(call))) {
		stop = min_t(u64, call->end,
			     round_down(job->next, chunk) + chunk);
		/* What a helper may not do the caller is going to. */
		if (current != call->caller &&
		    !may_be_helped(client, stop - job->next))
			break;
		if (!mmap_read_trylock(mm))
			break;
		stop = populate(client, call->caller, job->next, stop, &whole);
		mmap_read_unlock(mm);
		/* A caller that is being killed says nothing about the peer. */
		if (!whole && fatal_signal_pending(call->caller))
			break;
		if (!whole)
			job->partial = true;
		job->next = stop;
		cond_resched();
	}
	if (job->next >= call->end)
		job->result = job->partial ? PEERSHM_PEER_PARTIAL :
					     PEERSHM_PEER_MAPPED;
	mmput_async(mm);
}

/**
 * peershm_map_chunk() - map some of a range into a client, without waiting
 * @client: to whose region the caller has a reference
 * @start: in bytes from the base
 * @end: likewise
 * @shrinks: how often the region had shrunk when that was within its size
 *
 * Returns: false if the client's mmap lock was not to be had.
 */
bool peershm_map_chunk(struct peershm_client *client, u64 start, u64 end,
		       u64 shrinks)
{
	struct mm_struct *mm = client->mm;
	u64 chunk = chunk_of(client->region);
	u64 stop = min_t(u64, end, round_down(start, chunk) + chunk);
	bool whole = false;
	bool got;

	if (!mmget_not_zero(mm)) {
		/* Its window's file may be held by somebody else. */
		peershm_client_leave(client);
		return true;
	}
	got = mmap_read_trylock(mm);
	if (got) {
		stop = populate(client, current, start, stop, &whole);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
	if (whole)
		peershm_client_mapped(client, start, stop, shrinks);
	else if (got)
		peershm_client_partial(client, start, stop, shrinks);
	return got;
}

/*
 * Is there so much to do that others are worth waking? Not where clients share
 * page tables: the first has all the work.
 */
static bool worth_help(const struct peershm_region *region, u64 bytes)
{
	u64 entries = bytes / region->page_size;

	if (!PEERSHM_CHARGES_OTHERS || peershm_backing_pooled(region->backing))
		return false;
	if (region->page_size > PAGE_SIZE)
		entries *= HUGE_PAGE;
	return entries >= WORTH_HELP;
}

/* A new window, of which each CPU takes one share after another. */
struct self_map {
	struct peershm_client *client;
	struct task_struct *caller;
	u64 size;
	u64 share;
	bool failed;
};

/*
 * A helper does not wait for the mmap lock as long as it takes, as no signal ends
 * that, but for whoever only holds it for a moment.
 */
static bool lock_for_helper(const struct self_map *call)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		if (mmap_read_trylock(call->client->mm))
			return true;
		if (fatal_signal_pending(call->caller))
			return false;
		usleep_range(50, 100);
	}
	return false;
}

static bool lock_for(const struct self_map *call)
{
	if (current == call->caller)
		return !mmap_read_lock_killable(call->client->mm);
	return may_be_helped(call->client, call->share) &&
	       lock_for_helper(call);
}

/* Nothing depends on how far it gets: the caller comes by once more. */
static void map_share(void *context, unsigned int index)
{
	struct self_map *call = context;
	struct peershm_client *client = call->client;
	u64 start = index * call->share;
	bool whole;

	if (READ_ONCE(call->failed) || fatal_signal_pending(call->caller) ||
	    !lock_for(call))
		return;
	populate(client, call->caller, start,
		 min(call->size, start + call->share), &whole);
	mmap_read_unlock(client->mm);
	if (!whole)
		WRITE_ONCE(call->failed, true);
	cond_resched();
}

/*
 * A table of huge pages is for one CPU: it has one lock, under which the pages'
 * mappings are counted, and that is most of the work.
 */
static u64 share_of(const struct peershm_region *region)
{
	return region->page_size > PAGE_SIZE ? PUD_SIZE : SZ_4M;
}

static void map_shares(struct peershm_client *client, u64 size)
{
	struct self_map call = {
		.client = client,
		.caller = current,
		.size = size,
		.share = share_of(client->region),
	};

	if (size > call.share && worth_help(client->region, size) &&
	    peershm_parallel_anywhere() && may_be_helped(client, size))
		peershm_parallel(map_share, &call,
				 DIV_ROUND_UP(size, call.share));
}

/**
 * peershm_map_self() - map the active memory into the caller's new window
 * @client: the caller
 * @size: bytes from the base
 * @shrinks: how often the region had shrunk when that was its size
 *
 * Returns: 0, or -EINTR if the process is being killed.
 */
int peershm_map_self(struct peershm_client *client, u64 size, u64 shrinks)
{
	unsigned long base = client->region->base;
	bool whole = true, part;
	u64 next = 0, stop;

	map_shares(client, size);
	while (next < size) {
		if (mmap_read_lock_killable(client->mm))
			return -EINTR;
		stop = min(size, next + chunk_of(client->region));
		next = peershm_populate(client, current, base + next,
					base + stop, &part) -
		       base;
		mmap_read_unlock(client->mm);
		whole &= part;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	/* Less only if another thread of the caller has been at the window. */
	if (whole)
		peershm_client_mapped(client, 0, size, shrinks);
	else
		peershm_client_partial(client, 0, size, shrinks);
	return 0;
}

/**
 * peershm_map_begin() - get ready, with everything that can fail
 * @call: to fill
 * @region: which the caller has a reference to
 * @report: what the caller asked for
 *
 * Returns: 0, or an error after which peershm_map_end() is not due.
 */
int peershm_map_begin(struct peershm_map_call *call,
		      struct peershm_region *region,
		      const struct peershm_map_report *report)
{
	if (report->timeout_ms > MAX_TIMEOUT_MS ||
	    (!report->peers && report->nr_peers))
		return -EINVAL;

	memset(call, 0, sizeof(*call));
	call->region = region;
	call->timeout_ms = report->timeout_ms ?: DEFAULT_TIMEOUT_MS;
	call->max_peers = min(report->nr_peers, region->max_clients);
	call->jobs = kvcalloc(region->max_clients, sizeof(*call->jobs),
			      GFP_KERNEL_ACCOUNT);
	if (!call->jobs)
		return -ENOMEM;
	if (!call->max_peers)
		return 0;

	call->peers = kvcalloc(call->max_peers, sizeof(*call->peers),
			       GFP_KERNEL_ACCOUNT);
	if (!call->peers) {
		kvfree(call->jobs);
		return -ENOMEM;
	}
	/* Can it be written? Better to know before than after. */
	if (peershm_copy_array(report->peers, call->peers, call->max_peers,
			       sizeof(*call->peers))) {
		kvfree(call->peers);
		kvfree(call->jobs);
		return -EFAULT;
	}
	return 0;
}

static bool wanted(const struct peershm_client *client,
		   const struct peershm_peer_map *which)
{
	if (!which)
		return true;
	if (which->flags & PEERSHM_MAP_BY_PID)
		return peershm_client_pid(client) == which->pid;
	if (which->flags & PEERSHM_MAP_BY_NAME)
		return !strcmp(client->name, which->name);
	return true;
}

static void collect(struct peershm_map_call *call,
		    const struct peershm_peer_map *which)
{
	struct peershm_region *region = call->region;
	struct peershm_client *client;
	struct peershm_map_job *job;
	unsigned int slot;

	spin_lock(&region->registry);
	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || !client->live)
			continue;
		if (!wanted(client, which))
			continue;
		job = &call->jobs[call->nr_jobs++];
		kref_get(&client->ref);
		job->client = client;
		/* What an earlier call deferred, or is at, this one does. */
		job->start = client->partial ?
				     call->start :
				     min(call->start, client->mapped);
		job->next = job->start;
		job->shrinks = region->shrinks;
		job->result = PEERSHM_PEER_DEFERRED;
	}
	spin_unlock(&region->registry);
}

/* One client, if it is not done. */
static void advance_one(void *context, unsigned int index)
{
	struct peershm_map_call *call = context;
	struct peershm_map_job *job = &call->jobs[index];

	if (job->result != PEERSHM_PEER_DEFERRED)
		return;
	advance(call, job);
	switch (job->result) {
	case PEERSHM_PEER_MAPPED:
		peershm_client_mapped(job->client, job->start, call->end,
				      job->shrinks);
		break;
	case PEERSHM_PEER_DEFERRED:
		break;
	case PEERSHM_PEER_GONE:
		/* Its window's file may be held by somebody else. */
		peershm_client_leave(job->client);
		break;
	case PEERSHM_PEER_PARTIAL:
		peershm_client_partial(job->client, job->start, call->end,
				       job->shrinks);
		break;
	}
}

static u64 left_to_map(const struct peershm_map_call *call)
{
	const struct peershm_map_job *job;
	u64 bytes = 0;

	for (job = call->jobs; job < call->jobs + call->nr_jobs; job++)
		if (job->result == PEERSHM_PEER_DEFERRED)
			bytes += call->end - job->next;
	return bytes;
}

/* One round over the clients that are not done. Returns how many are left. */
static unsigned int advance_all(struct peershm_map_call *call)
{
	unsigned int i, left = 0;

	if (worth_help(call->region, left_to_map(call)))
		peershm_parallel(advance_one, call, call->nr_jobs);
	for (i = 0; i < call->nr_jobs; i++) {
		advance_one(call, i);
		left += call->jobs[i].result == PEERSHM_PEER_DEFERRED;
	}
	return left;
}

/* The caller waits no longer; what was done stands, the rest follows. */
static void leave_behind(struct peershm_map_job *job)
{
	if (job->partial)
		peershm_client_partial(job->client, job->start, job->next,
				       job->shrinks);
	else
		peershm_client_mapped(job->client, job->start, job->next,
				      job->shrinks);
	peershm_straggler_add(job->client, job->next);
}

/**
 * peershm_map_peers() - map a range into the clients
 * @call: begun
 * @which: clients, or NULL for all
 * @start: in bytes from the base
 * @end: likewise
 *
 * Whoever attaches after this began maps itself. Every client is tried before
 * any is waited for. Sleeps, up to the call's timeout, for those whose mmap
 * lock is taken; a signal ends the waiting. Who was not reached is a straggler.
 */
void peershm_map_peers(struct peershm_map_call *call,
		       const struct peershm_peer_map *which, u64 start,
		       u64 end)
{
	struct peershm_map_job *job;
	unsigned int pause_us = 50;

	call->caller = current;
	call->start = start;
	call->end = end;
	call->deadline = ktime_add_ms(ktime_get(), call->timeout_ms);
	collect(call, which);
	while (advance_all(call) && !task_sigpending(current) &&
	       ktime_before(ktime_get(), call->deadline)) {
		usleep_range(pause_us, 2 * pause_us);
		pause_us = min(2 * pause_us, 1000U);
	}
	for (job = call->jobs; job < call->jobs + call->nr_jobs; job++)
		if (job->result == PEERSHM_PEER_DEFERRED)
			leave_behind(job);
}

/**
 * peershm_map_report() - answer
 * @call: after peershm_map_peers(), if there was anything to map
 * @report: to fill
 *
 * Returns: 0, or -EFAULT if the caller's memory went away since the beginning.
 */
int peershm_map_report(struct peershm_map_call *call,
		       struct peershm_map_report *report)
{
	struct peershm_region *region = call->region;
	unsigned int i;

	report->mapped = 0;
	report->deferred = 0;
	report->gone = 0;
	report->partial = 0;
	for (i = 0; i < call->nr_jobs; i++) {
		const struct peershm_map_job *job = &call->jobs[i];

		switch (job->result) {
		case PEERSHM_PEER_MAPPED:
			report->mapped++;
			break;
		case PEERSHM_PEER_DEFERRED:
			report->deferred++;
			break;
		case PEERSHM_PEER_GONE:
			report->gone++;
			break;
		case PEERSHM_PEER_PARTIAL:
			report->partial++;
			break;
		}
		if (i >= call->max_peers)
			continue;
		call->peers[i].client = job->client->id;
		call->peers[i].pid = peershm_client_pid(job->client);
		call->peers[i].result = job->result;
		memcpy(call->peers[i].name, job->client->name,
		       sizeof(call->peers[i].name));
		spin_lock(&region->registry);
		call->peers[i].mapped = job->client->mapped;
		spin_unlock(&region->registry);
	}
	report->nr_peers = call->nr_jobs;
	return peershm_copy_array(report->peers, call->peers,
				  min(call->nr_jobs, call->max_peers),
				  sizeof(*call->peers));
}

void peershm_map_end(struct peershm_map_call *call)
{
	unsigned int i;

	for (i = 0; i < call->nr_jobs; i++)
		peershm_client_put(call->jobs[i].client);
	kvfree(call->jobs);
	kvfree(call->peers);
}

static int check_range(struct peershm_region *region,
		       const struct peershm_peer_map *args, u64 *end)
{
	u64 size;

	spin_lock(&region->registry);
	size = region->size;
	spin_unlock(&region->registry);
	if (!IS_ALIGNED(args->offset, region->page_size) ||
	    !IS_ALIGNED(args->length, region->page_size) ||
	    args->offset > size || args->length > size - args->offset)
		return -EINVAL;
	*end = args->length ? args->offset + args->length : size;
	return 0;
}

long peershm_map_command(struct peershm_file *pf, void *arg)
{
	struct peershm_peer_map *args = arg;
	struct peershm_map_call call;
	struct peershm_region *region;
	u64 end;
	int err;

	if (args->flags & ~(PEERSHM_MAP_BY_PID | PEERSHM_MAP_BY_NAME) ||
	    args->reserved)
		return -EINVAL;
	switch (args->flags) {
	case PEERSHM_MAP_BY_PID:
		if (args->pid <= 0 || args->name[0])
			return -EINVAL;
		break;
	case PEERSHM_MAP_BY_NAME:
		if (args->pid || !peershm_name_valid(args->name))
			return -EINVAL;
		break;
	default:
		if (args->flags || args->pid || args->name[0])
			return -EINVAL;
	}
	region = peershm_region_of(pf, args->region, MAY_WRITE);
	if (IS_ERR(region))
		return PTR_ERR(region);
	err = check_range(region, args, &end);
	if (!err)
		err = peershm_map_begin(&call, region, &args->report);
	if (err)
		goto put_region;
	peershm_map_peers(&call, args, args->offset, end);
	if (args->flags && !call.nr_jobs)
		err = -ENOENT;
	else
		err = peershm_map_report(&call, &args->report);
	peershm_map_end(&call);
put_region:
	peershm_region_put(region);
	return err;
}
