// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work that is spread over CPUs. The caller does all of it, but for what helpers
 * take from it: it never waits for a helper that has not begun.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/cpuset.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/nodemask.h>
#include <linux/page_counter.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "memory/parallel.h"

/* Helpers live on the caller's stack, so that no allocation can fail. */
#define MAX_HELPERS 7U

struct run {
	void (*f)(void *context, unsigned int index);
	void *context;
	unsigned int n;
	atomic_t next;		/* index that nobody has taken */
};

struct helper {
	struct work_struct work;
	struct run *run;
};

static struct workqueue_struct *queue;

static void take_part(struct run *run)
{
	unsigned int i;

	while ((i = atomic_fetch_inc(&run->next)) < run->n)
		run->f(run->context, i);
}

static void help_work(struct work_struct *work)
{
	take_part(container_of(work, struct helper, work)->run);
}

/**
 * peershm_parallel_anywhere() - would helpers allocate where the caller does?
 *
 * Helpers have no memory policy of their own, and may use all nodes. Where the
 * file has no policy either, they allocate on the node they run on. That is mostly
 * the caller's, if that has a CPU to spare.
 */
bool peershm_parallel_anywhere(void)
{
#ifdef CONFIG_NUMA
	if (current->mempolicy)
		return false;
#endif
	return nodes_subset(node_states[N_MEMORY], cpuset_current_mems_allowed);
}

/**
 * peershm_parallel_charges() - may helpers allocate at a memory cgroup's expense?
 * @memcg: which
 * @pages: about how many it has to have room for, or 0
 *
 * A task that goes over memory.high or memory.swap.high is made to sleep, and one
 * that finds no room starts the OOM killer, both while it holds its locks. A
 * signal has to be able to wake such a task, and to end it if it is the one to be
 * killed; no signal does that to a kernel thread. Ask again for each few pages:
 * others take what there is, too.
 */
bool peershm_parallel_charges(struct mem_cgroup *memcg, unsigned long pages)
{
#ifdef CONFIG_MEMCG
	/* What each CPU takes out of the counter at a time. */
	if (pages)
		pages += MEMCG_CHARGE_BATCH * num_online_cpus();
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		if (READ_ONCE(memcg->memory.high) != PAGE_COUNTER_MAX ||
		    READ_ONCE(memcg->swap.high) != PAGE_COUNTER_MAX ||
		    page_counter_read(&memcg->memory) + pages >
			    READ_ONCE(memcg->memory.max))
			return false;
	}
#endif
	return true;
}

/*
 * Helpers run with the priority of ordinary kernel threads. A task that is nice,
 * or has a real-time or idle policy, gets no helpers: they would do its work at
 * another priority than the one it was given.
 */
static bool is_ordinary(const struct task_struct *task)
{
	return task_nice(task) <= 0 &&
	       (task->policy == SCHED_NORMAL || task->policy == SCHED_BATCH);
}

/**
 * peershm_parallel() - do something for each of a number of things
 * @f: to call once for every index, in no order, perhaps in a kernel thread
 * @context: for it
 * @n: how many
 *
 * All calls have returned when this does. The caller must hold no lock that @f
 * takes.
 */
void peershm_parallel(void (*f)(void *context, unsigned int index),
		      void *context, unsigned int n)
{
	struct run run = { f, context, n, ATOMIC_INIT(0) };
	struct helper helpers[MAX_HELPERS];
	unsigned int i, cpus, nr = 0;

	/* As many CPUs as the caller may use, though perhaps not the same. */
	cpus = min(num_online_cpus(), cpumask_weight(current->cpus_ptr));
	if (n > 1 && is_ordinary(current))
		nr = min3(n - 1, cpus - 1, MAX_HELPERS);
	for (i = 0; i < nr; i++) {
		INIT_WORK_ONSTACK(&helpers[i].work, help_work);
		helpers[i].run = &run;
		queue_work(queue, &helpers[i].work);
	}
	take_part(&run);
	for (i = 0; i < nr; i++) {
		cancel_work_sync(&helpers[i].work);
		destroy_work_on_stack(&helpers[i].work);
	}
}

int peershm_parallel_init(void)
{
	queue = alloc_workqueue("peershm_parallel", WQ_UNBOUND, 0);
	return queue ? 0 : -ENOMEM;
}

void peershm_parallel_exit(void)
{
	destroy_workqueue(queue);
}
