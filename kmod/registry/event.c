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
 * Waking a reader runs the callback of every epoll that its file is in, and a
 * file can be in any number of them. So a work item of the reader's own wakes
 * it: neither the region nor its other readers wait for those callbacks.
 */
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/time_namespace.h>
#include <linux/workqueue.h>

#include "registry/event.h"
#include "types.h"

/* Room for the deaths of all clients at once, and for some events before. */
#define MIN_LOG_SIZE 64U

/* Of high priority, as a reader may have a high priority itself. */
static struct workqueue_struct *queue;

/*
 * An event as it is read, without the PID: that depends on the reader's PID
 * namespace, so the record keeps the struct pid, also of a process that ended.
 */
struct peershm_event_record {
	struct peershm_event event;
	struct pid *pid;		/* a reference */
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

/* EPOLLHUP for those who wait for the unlinking alone: it may be the event. */
static void wake_work(struct work_struct *work)
{
	struct peershm_event_reader *reader =
		container_of(work, struct peershm_event_reader, wake);

	wake_up_interruptible_poll(&reader->wait, EPOLLIN | EPOLLRDNORM |
							  EPOLLHUP | EPOLLERR);
}

static void wake_readers_locked(struct peershm_region *region)
{
	struct peershm_event_reader *reader;

	lockdep_assert_held(&region->registry_lock);
	list_for_each_entry(reader, &region->events.readers, node) {
		/*
		 * A waiter enters the wait queue before it looks for events
		 * under the registry lock, which is held here. So either it
		 * sees the new record, or waitqueue_active() sees the waiter.
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

	lockdep_assert_held(&region->registry_lock);
	put_pid(record->pid);
	record->pid = get_pid(client ? client->pid : task_tgid(current));
	record->event = *event;
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
	INIT_WORK(&reader->wake, wake_work);
	mutex_init(&reader->read_mutex);
	INIT_LIST_HEAD(&reader->node);
}

/* The file is closed: the end of what it watched, if it did. */
void peershm_event_reader_free(struct peershm_event_reader *reader)
{
	if (reader->region) {
		spin_lock(&reader->region->registry_lock);
		list_del_init(&reader->node);
		reader->region->events.nr_watchers--;
		spin_unlock(&reader->region->registry_lock);
		mmdrop(reader->mm);
	}
	/* In no list of readers any more, so nothing queues it again. */
	cancel_work_sync(&reader->wake);
	mutex_destroy(&reader->read_mutex);
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
	lockdep_assert_held(&region->registry_lock);
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

	lockdep_assert_held(&client->region->registry_lock);
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
	spin_lock(&region->registry_lock);
	list_del_init(&reader->node);
	if (reader->client)
		reader->client->reader = NULL;
	reader->client = NULL;
	spin_unlock(&region->registry_lock);
}

/**
 * peershm_event_readiness_locked() - what poll() says of a reader
 * @region: that it reads
 * @reader: which
 * @unused: as its siblings have it
 */
int peershm_event_readiness_locked(struct peershm_region *region,
				   struct peershm_event_reader *reader,
				   struct peershm_event_step *unused)
{
	__poll_t mask = 0;

	lockdep_assert_held(&region->registry_lock);
	if (reader->next != region->events.next)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!region->linked)
		mask |= EPOLLHUP;
	return (__force int)mask;
}

/* Records were overwritten before this reader came to them. */
static void fill_overflow(struct peershm_event *event, u64 lost, u64 last)
{
	*event = (struct peershm_event){
		.type = PEERSHM_EVENT_OVERFLOW,
		.sequence = last,
		.time = timens_add_boottime_ns(ktime_get_boottime_ns()),
		.new_value = lost,
	};
}

/**
 * peershm_event_peek_locked() - the next record, without taking it
 * @region: that is read
 * @reader: by which
 * @step: to fill
 *
 * Returns: 1; 0 at the end, after the region was unlinked; -EAGAIN if there is
 * none yet.
 */
int peershm_event_peek_locked(struct peershm_region *region,
			      struct peershm_event_reader *reader,
			      struct peershm_event_step *step)
{
	struct peershm_event_log *log = &region->events;
	u64 oldest = log->next - min_t(u64, log->next, log->size);
	struct peershm_event_record *record;

	lockdep_assert_held(&region->registry_lock);
	if (reader->next == log->next)
		return region->linked ? -EAGAIN : 0;
	step->session = reader->session;
	step->size = reader->record_size;
	if (reader->next < oldest) {
		fill_overflow(&step->event, oldest - reader->next, oldest - 1);
		step->next = oldest;
	} else {
		record = record_at(log, reader->next);
		step->event = record->event;
		step->event.pid = pid_nr_ns(record->pid,
					    task_active_pid_ns(current));
		step->event.time = timens_add_boottime_ns(record->event.time);
		step->next = reader->next + 1;
	}
	step->event.size = min(step->size, sizeof(step->event));
	return 1;
}

/**
 * peershm_event_take_locked() - the record has been delivered
 * @region: that is read
 * @reader: by which, if the file is still connected to what it was
 * @step: of that record
 */
int peershm_event_take_locked(struct peershm_region *region,
			      struct peershm_event_reader *reader,
			      struct peershm_event_step *step)
{
	lockdep_assert_held(&region->registry_lock);
	if (reader->session == step->session)
		reader->next = step->next;
	return 0;
}

/**
 * peershm_event_watched_by_locked() - how many files of a user watch a region
 * @region: which
 * @uid: the user
 */
unsigned int
peershm_event_watched_by_locked(const struct peershm_region *region, kuid_t uid)
{
	const struct peershm_event_reader *reader;
	unsigned int n = 0;

	lockdep_assert_held(&region->registry_lock);
	list_for_each_entry(reader, &region->events.readers, node)
		if (reader->region && uid_eq(reader->uid, uid))
			n++;
	return n;
}

/**
 * peershm_event_watch_locked() - a file of the caller watches from now on
 * @region: whose struct the caller keeps for as long as the reader lives
 * @reader: connected to none
 */
void peershm_event_watch_locked(struct peershm_region *region,
				struct peershm_event_reader *reader)
{
	lockdep_assert_held(&region->registry_lock);
	mmgrab(current->mm);
	reader->region = region;
	reader->mm = current->mm;
	reader->uid = current_fsuid();
	region->events.nr_watchers++;
	peershm_event_connect_locked(region, reader, NULL);
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
