// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: what happens to a region, for whoever reads it from an open file.
 *
 * A region has one log, a ring that the newest record always finds room in.
 * Readers only keep their place in it. So recording costs the same whether
 * anybody reads or not, a reader that never reads costs nothing, and the memory
 * is the region's and does not depend on who attaches or watches. A reader that
 * is overtaken can tell from the sequence numbers how many records it lost.
 *
 * A file can be in any number of epolls, each of which is told when it wakes. So
 * each reader is woken by a work item of its own: how long that takes is no
 * matter of the region's, nor of its other readers.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "registry/client.h"
#include "device/device.h"
#include "registry/event.h"
#include "registry/region.h"
#include "types.h"

/* Room for the deaths of all clients at once, and for some life before. */
#define MIN_LOG_SIZE 64U

/* Of high priority: a reader's own may be high. */
static struct workqueue_struct *queue;

/*
 * As it is read, but for the PID: that depends on who reads, and the process it
 * was may be gone.
 */
struct peershm_event_record {
	struct peershm_event event;
	struct pid *pid;		/* a reference */
};

/* What one record of a read is, and where the reader is after it. */
struct step {
	struct peershm_event event;
	u64 session;
	u64 next;
};

/**
 * peershm_event_log_init() - make an empty log
 * @log: zeroed; peershm_event_log_free() may be called also if this failed
 * @max_clients: of the region
 */
int peershm_event_log_init(struct peershm_event_log *log, u32 max_clients)
{
	INIT_LIST_HEAD(&log->readers);
	log->size = roundup_pow_of_two(max(max_clients, MIN_LOG_SIZE));
	log->ring = kvcalloc(log->size, sizeof(*log->ring), GFP_KERNEL_ACCOUNT);
	return log->ring ? 0 : -ENOMEM;
}

void peershm_event_log_free(struct peershm_event_log *log)
{
	unsigned int i;

	for (i = 0; log->ring && i < log->size; i++)
		put_pid(log->ring[i].pid);
	kvfree(log->ring);
}

static struct peershm_event_record *record_at(struct peershm_event_log *log,
					      u64 sequence)
{
	return &log->ring[sequence & (log->size - 1)];
}

/* Also who waits for nothing but the end: an event may be that. */
static void wake(struct work_struct *work)
{
	struct peershm_event_reader *reader =
		container_of(work, struct peershm_event_reader, wake);

	wake_up_interruptible_poll(&reader->wait, EPOLLIN | EPOLLRDNORM |
							  EPOLLHUP | EPOLLERR);
}

static void wake_readers_locked(struct peershm_region *region)
{
	struct peershm_event_reader *reader;

	lockdep_assert_held(&region->registry);
	list_for_each_entry(reader, &region->events.readers, node) {
		/*
		 * Who waits is in its queue before it looks for events, under
		 * the locks that connect it to the region. So either it sees
		 * what has just been recorded, or it is seen here.
		 */
		if (waitqueue_active(&reader->wait))
			queue_work(queue, &reader->wake);
	}
}

static void record_locked(struct peershm_region *region,
			  const struct peershm_event *event,
			  const struct peershm_client *client,
			  const char *name)
{
	struct peershm_event_log *log = &region->events;
	u64 sequence = log->next++;
	struct peershm_event_record *record = record_at(log, sequence);

	lockdep_assert_held(&region->registry);
	put_pid(record->pid);
	record->pid = get_pid(client ? client->pid : task_tgid(current));
	record->event = *event;
	record->event.size = sizeof(*event);
	record->event.sequence = sequence;
	record->event.time = ktime_get_boottime_ns();
	if (client) {
		record->event.client = client->id;
		record->event.flags = client->flags;
	}
	if (name)
		memcpy(record->event.name, name, PEERSHM_NAME_SIZE);
	wake_readers_locked(region);
}

/**
 * peershm_event_record_locked() - something has happened
 * @region: to which; its header shows it already
 * @type: what
 * @client: whom it is about, or who did it; NULL: the caller, without client
 * @old_value: as the type says
 * @new_value: likewise
 */
void peershm_event_record_locked(struct peershm_region *region,
				 enum peershm_event_type type,
				 const struct peershm_client *client,
				 u64 old_value, u64 new_value)
{
	const struct peershm_event event = {
		.type = type,
		.old_value = old_value,
		.new_value = new_value,
	};

	record_locked(region, &event, client, client ? client->name : NULL);
}

/**
 * peershm_event_root_locked() - a root has changed
 * @region: whose; its header shows it already
 * @client: who did it; NULL: the caller, without client
 * @name: of the root, PEERSHM_NAME_SIZE bytes
 * @old_value: where it pointed
 * @new_value: where it points
 */
void peershm_event_root_locked(struct peershm_region *region,
			       const struct peershm_client *client,
			       const char *name, u64 old_value, u64 new_value)
{
	const struct peershm_event event = {
		.type = PEERSHM_EVENT_ROOT,
		.old_value = old_value,
		.new_value = new_value,
	};

	record_locked(region, &event, client, name);
}

void peershm_event_reader_init(struct peershm_event_reader *reader)
{
	init_waitqueue_head(&reader->wait);
	INIT_WORK(&reader->wake, wake);
	mutex_init(&reader->turn);
	INIT_LIST_HEAD(&reader->node);
}

/* The file is closed: the end of what it watched, if it did. */
void peershm_event_reader_free(struct peershm_event_reader *reader)
{
	if (reader->region) {
		spin_lock(&reader->region->registry);
		list_del_init(&reader->node);
		reader->region->events.nr_watchers--;
		spin_unlock(&reader->region->registry);
		peershm_region_drop(reader->region);
		mmdrop(reader->mm);
	}
	/* In no list of readers any more, so nothing queues it again. */
	cancel_work_sync(&reader->wake);
	mutex_destroy(&reader->turn);
}

/**
 * peershm_event_connect_locked() - read what is recorded from now on
 * @region: that the file is attached to or watches
 * @reader: connected to none
 * @client: that reads through it; NULL: it watches
 */
void peershm_event_connect_locked(struct peershm_region *region,
				  struct peershm_event_reader *reader,
				  struct peershm_client *client)
{
	lockdep_assert_held(&region->registry);
	reader->next = region->events.next;
	reader->session++;
	list_add_tail(&reader->node, &region->events.readers);
	reader->client = client;
	if (client)
		client->reader = reader;
}

/**
 * peershm_event_leave_locked() - a client is none any more
 * @client: of which nothing is to be woken from now on
 */
void peershm_event_leave_locked(struct peershm_client *client)
{
	struct peershm_event_reader *reader = client->reader;

	lockdep_assert_held(&client->region->registry);
	if (!reader)
		return;
	list_del_init(&reader->node);
	reader->client = NULL;
	client->reader = NULL;
}

/**
 * peershm_event_disconnect() - the file is neither attached nor watches
 * @region: that it was connected to, if to any
 * @reader: which
 */
void peershm_event_disconnect(struct peershm_region *region,
			      struct peershm_event_reader *reader)
{
	spin_lock(&region->registry);
	list_del_init(&reader->node);
	if (reader->client)
		reader->client->reader = NULL;
	reader->client = NULL;
	spin_unlock(&region->registry);
}

/*
 * Run @f under the lock of the file and the registry lock of the region whose
 * events the caller reads through it; -ENOTCONN if it reads none.
 */
static int with_source(struct peershm_file *pf,
		       int (*f)(struct peershm_region *region,
				struct peershm_event_reader *reader, void *arg),
		       void *arg)
{
	struct peershm_client *client;
	struct peershm_region *region;
	int ret = -ENOTCONN;
	bool mine;

	spin_lock(&pf->lock);
	client = pf->client;
	region = client ? client->region : pf->reader.region;
	if (region) {
		spin_lock(&region->registry);
		/* The kernel itself polls for whoever submitted that. */
		if (client)
			mine = client->live &&
			       (!current->mm || client->mm == current->mm);
		else
			mine = !current->mm || pf->reader.mm == current->mm;
		if (mine)
			ret = f(region, &pf->reader, arg);
		spin_unlock(&region->registry);
	}
	spin_unlock(&pf->lock);
	return ret;
}

static int add_readiness(struct peershm_region *region,
			 struct peershm_event_reader *reader, void *arg)
{
	__poll_t *mask = arg;

	if (reader->next != region->events.next)
		*mask |= EPOLLIN | EPOLLRDNORM;
	if (!region->linked)
		*mask |= EPOLLHUP;
	return 0;
}

static __poll_t readiness(struct peershm_file *pf)
{
	__poll_t mask = 0;

	return with_source(pf, add_readiness, &mask) ? EPOLLERR : mask;
}

/* Records were overwritten before this reader came to them. */
static void fill_overflow(struct peershm_event *event, u64 lost, u64 last)
{
	*event = (struct peershm_event){
		.size = sizeof(*event),
		.type = PEERSHM_EVENT_OVERFLOW,
		.sequence = last,
		.time = ktime_get_boottime_ns(),
		.new_value = lost,
	};
}

/*
 * The next record, without taking it.
 *
 * Returns: its size; 0 at the end, after the region was unlinked; -EAGAIN if
 * there is none yet.
 */
static int peek(struct peershm_region *region,
		struct peershm_event_reader *reader, void *arg)
{
	struct peershm_event_log *log = &region->events;
	u64 oldest = log->next - min_t(u64, log->next, log->size);
	struct peershm_event_record *record;
	struct step *step = arg;

	if (reader->next == log->next)
		return region->linked ? -EAGAIN : 0;
	step->session = reader->session;
	if (reader->next < oldest) {
		fill_overflow(&step->event, oldest - reader->next, oldest - 1);
		step->next = oldest;
	} else {
		record = record_at(log, reader->next);
		step->event = record->event;
		step->event.pid = pid_nr_ns(record->pid,
					    task_active_pid_ns(current));
		step->next = reader->next + 1;
	}
	return sizeof(step->event);
}

/* The record has been delivered, if the file still is what it was. */
static int take(struct peershm_region *region,
		struct peershm_event_reader *reader, void *arg)
{
	const struct step *step = arg;

	if (reader->session == step->session)
		reader->next = step->next;
	return 0;
}

/* Whole records, as many as there are and fit. A record is lost by no error. */
static ssize_t read_records(struct peershm_file *pf, struct iov_iter *to,
			    bool wait)
{
	ssize_t done = 0, ret = 0;
	struct step step;
	size_t copied;

	/* Another thread may have it while it waits for its buffer. */
	if (!mutex_trylock(&pf->reader.turn)) {
		if (!wait)
			return -EAGAIN;
		if (mutex_lock_interruptible(&pf->reader.turn))
			return -ERESTARTSYS;
	}
	while (iov_iter_count(to) >= sizeof(step.event)) {
		ret = with_source(pf, peek, &step);
		if (ret <= 0)
			break;
		copied = copy_to_iter(&step.event, sizeof(step.event), to);
		if (copied < sizeof(step.event)) {
			iov_iter_revert(to, copied);
			ret = -EFAULT;
			break;
		}
		with_source(pf, take, &step);
		done += sizeof(step.event);
	}
	mutex_unlock(&pf->reader.turn);
	return done ?: ret;
}

ssize_t peershm_event_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct peershm_file *pf = iocb->ki_filp->private_data;
	bool wait = !(iocb->ki_filp->f_flags & O_NONBLOCK ||
		      iocb->ki_flags & IOCB_NOWAIT);
	ssize_t ret;

	if (iov_iter_count(to) < sizeof(struct peershm_event))
		return readiness(pf) & EPOLLERR ? -ENOTCONN : -EINVAL;
	while ((ret = read_records(pf, to, wait)) == -EAGAIN && wait) {
		if (wait_event_interruptible(pf->reader.wait, readiness(pf)))
			return -ERESTARTSYS;
	}
	return ret;
}

__poll_t peershm_event_poll(struct file *file, struct poll_table_struct *table)
{
	struct peershm_file *pf = file->private_data;

	poll_wait(file, &pf->reader.wait, table);
	return readiness(pf);
}

/* Files of a user that watch the region. */
static unsigned int watched_by(const struct peershm_region *region, kuid_t uid)
{
	const struct peershm_event_reader *reader;
	unsigned int n = 0;

	lockdep_assert_held(&region->registry);
	list_for_each_entry(reader, &region->events.readers, node)
		if (reader->region && uid_eq(reader->uid, uid))
			n++;
	return n;
}

long peershm_event_watch(struct peershm_file *pf, void *arg)
{
	struct peershm_watch *args = arg;
	struct peershm_region *region;
	bool limited;
	int err = 0;

	if (args->flags || !args->region)
		return -EINVAL;
	region = peershm_region_find(NULL, args->region, MAY_READ);
	if (IS_ERR(region))
		return PTR_ERR(region);
	limited = peershm_client_limited(region);

	spin_lock(&pf->lock);
	spin_lock(&region->registry);
	if (pf->client || pf->attacher || pf->reader.region) {
		err = -EBUSY;
	} else if (region->events.nr_watchers >= region->max_clients ||
		   (limited && !peershm_client_share(watched_by(region,
							current_fsuid())))) {
		err = -ENOSPC;
	} else {
		peershm_region_hold(region);
		mmgrab(current->mm);
		pf->reader.region = region;
		pf->reader.mm = current->mm;
		pf->reader.uid = current_fsuid();
		region->events.nr_watchers++;
		peershm_event_connect_locked(region, &pf->reader, NULL);
	}
	spin_unlock(&region->registry);
	spin_unlock(&pf->lock);
	peershm_region_put(region);
	return err;
}

int peershm_event_init(void)
{
	queue = alloc_workqueue("peershm_event", WQ_UNBOUND | WQ_HIGHPRI, 0);
	return queue ? 0 : -ENOMEM;
}

/* No file is open. */
void peershm_event_exit(void)
{
	destroy_workqueue(queue);
}
