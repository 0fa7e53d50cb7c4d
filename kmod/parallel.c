// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work that is spread over CPUs. The caller does all of it by itself, unless
 * others come to help: it never waits for one that has not begun.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "parallel.h"

/* They live on the caller's stack, so that none can be missing. */
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

static void help(struct work_struct *work)
{
	take_part(container_of(work, struct helper, work)->run);
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

	/* Not more CPUs than the caller may use, nor with more right to them. */
	cpus = min(num_online_cpus(), cpumask_weight(current->cpus_ptr));
	if (n > 1 && task_nice(current) <= 0)
		nr = min3(n - 1, cpus - 1, MAX_HELPERS);
	for (i = 0; i < nr; i++) {
		INIT_WORK_ONSTACK(&helpers[i].work, help);
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
