/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_EVENT_H
#define PEERSHM_EVENT_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/peershm.h>

struct file;
struct iov_iter;
struct kiocb;
struct mm_struct;
struct peershm_client;
struct peershm_event_record;
struct peershm_file;
struct peershm_region;

/*
 * What a region remembers of its past: its last events, once for all readers.
 * Part of the region.
 */
struct peershm_event_log {
	unsigned int size;		/* constant; a power of two */
	struct peershm_event_record *ring; /* content: registry */
	u64 next;			/* registry; sequence number to come */
	struct list_head readers;	/* registry */
	unsigned int nr_watchers;	/* registry; at most max_clients */
};

/*
 * How far an open file has read the events of the region that it is attached
 * to or watches. Part of the file, as poll() may wait on it for as long as that
 * is open.
 */
struct peershm_event_reader {
	wait_queue_head_t wait;
	struct work_struct wake;
	struct mutex turn;		/* one read() at a time */

	/* Of a file that watches. The file's lock; once set, until the end. */
	struct peershm_region *region;	/* a hold */
	struct mm_struct *mm;		/* whose; grabbed */
	kuid_t uid;

	/* Protected by the registry lock of the region that is read. */
	struct list_head node;
	struct peershm_client *client;	/* that reads through it */
	u64 next;			/* sequence number to read */
	u64 session;			/* counts what it was connected to */
};

int peershm_event_init(void);
void peershm_event_exit(void);

int peershm_event_log_init(struct peershm_event_log *log, u32 max_clients);
void peershm_event_log_free(struct peershm_event_log *log);
void peershm_event_record_locked(struct peershm_region *region,
				 enum peershm_event_type type,
				 const struct peershm_client *client,
				 u64 old_value, u64 new_value);

void peershm_event_root_locked(struct peershm_region *region,
			       const struct peershm_client *client,
			       const char *name, u64 old_value, u64 new_value);

void peershm_event_reader_init(struct peershm_event_reader *reader);
void peershm_event_reader_free(struct peershm_event_reader *reader);
void peershm_event_connect_locked(struct peershm_region *region,
				  struct peershm_event_reader *reader,
				  struct peershm_client *client);
void peershm_event_leave_locked(struct peershm_client *client);
void peershm_event_disconnect(struct peershm_region *region,
			      struct peershm_event_reader *reader);

/* File operations. */
ssize_t peershm_event_read(struct kiocb *iocb, struct iov_iter *to);
__poll_t peershm_event_poll(struct file *file, struct poll_table_struct *table);

/* Command. `arg` is the command's struct in kernel memory. */
long peershm_event_watch(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_EVENT_H */
