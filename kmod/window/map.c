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
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "memory/backing.h"
#include "memory/parallel.h"
#include "registry/client.h"
#include "registry/deferred.h"
#include "window/map.h"
#include "window/populate.h"
#include "types.h"

/* Another CPU can help from about so many page table entries on. */
#define WORTH_HELP 1024
/* To map a huge page costs as much as so many small ones. */
#define HUGE_PAGE 16

/*
 * What an earlier call left undone is done on the way, but not for longer than
 * this call is ready to wait.
 */
static bool may_catch_up(const struct peershm_map_call *call)
{
	return !task_sigpending(call->caller) &&
	       ktime_before(ktime_get(), call->deadline);
}

/* About as many page tables as one call needs for so many bytes. */
static unsigned long tables_for(u64 bytes)
{
	return bytes / PMD_SIZE + 1;
}

/* May helpers fill the page tables of a client, who pays for them? */
static bool may_be_helped(const struct peershm_client *client, u64 bytes)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(client->mm);
	bool yes = peershm_parallel_charges(memcg, tables_for(bytes));

	mem_cgroup_put(memcg);
	return yes;
}

/* Go on with a job for as long as the client's mmap lock is to be had. */
static void advance(struct peershm_map_call *call, struct peershm_map_job *job)
{
	struct peershm_client *client = job->client;
	u64 chunk = peershm_populate_chunk_size(client->region);
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
		/* The caller does what a helper may not do. */
		if (current != call->caller &&
		    !may_be_helped(client, stop - job->next))
			break;
		if (!mmap_read_trylock(mm))
			break;
		stop = peershm_populate_charged(client, call->caller,
						job->next, stop, &whole);
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

/*
 * Is there so much to do that others are worth waking? Not where clients share
 * page tables: the first has all the work.
 */
static bool worth_help(const struct peershm_region *region, u64 bytes)
{
	u64 entries = bytes / region->page_size;

	if (peershm_backing_pooled(region->backing))
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
 * No signal ends a helper's wait for the mmap lock. So it only waits for whoever
 * holds the lock for a moment.
 */
static bool lock_mm_for_helper(const struct self_map *call)
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

static bool lock_mm(const struct self_map *call)
{
	if (current == call->caller)
		return !mmap_read_lock_killable(call->client->mm);
	return may_be_helped(call->client, call->share) &&
	       lock_mm_for_helper(call);
}

/* Nothing depends on how far this gets: the caller maps what is left out. */
static void map_share(void *context, unsigned int index)
{
	struct self_map *call = context;
	struct peershm_client *client = call->client;
	u64 start = index * call->share;
	bool whole;

	if (READ_ONCE(call->failed) || fatal_signal_pending(call->caller) ||
	    !lock_mm(call))
		return;
	peershm_populate_charged(client, call->caller, start,
				 min(call->size, start + call->share), &whole);
	mmap_read_unlock(client->mm);
	if (!whole)
		WRITE_ONCE(call->failed, true);
	cond_resched();
}

/*
 * One CPU does a whole page table of huge pages: most of the work is to count the
 * mappings of the pages, under the one lock of the table.
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
	u64 chunk = peershm_populate_chunk_size(client->region);
	unsigned long base = client->region->base;
	bool whole = true, part;
	u64 next = 0, stop;

	map_shares(client, size);
	while (next < size) {
		if (mmap_read_lock_killable(client->mm))
			return -EINTR;
		stop = min(size, next + chunk);
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
 * @timeout_ms: how long to wait for clients whose mmap lock is taken; negative:
 *              without end
 *
 * Returns: 0, or -ENOMEM, after which peershm_map_end() is not due.
 */
int peershm_map_begin(struct peershm_map_call *call,
		      struct peershm_region *region, int timeout_ms)
{
	memset(call, 0, sizeof(*call));
	call->region = region;
	call->timeout_ms = timeout_ms;
	call->jobs = kvcalloc(region->max_clients, sizeof(*call->jobs),
			      GFP_KERNEL_ACCOUNT);
	return call->jobs ? 0 : -ENOMEM;
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

	spin_lock(&region->registry_lock);
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
	spin_unlock(&region->registry_lock);
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
	peershm_deferred_add(job->client, job->next);
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
 * lock is taken; a signal ends the waiting. Who was not reached is deferred.
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
	call->deadline = call->timeout_ms < 0 ?
				 KTIME_MAX :
				 ktime_add_ms(ktime_get(), call->timeout_ms);
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

void peershm_map_end(struct peershm_map_call *call)
{
	unsigned int i;

	for (i = 0; i < call->nr_jobs; i++)
		peershm_client_put(call->jobs[i].client);
	kvfree(call->jobs);
}
