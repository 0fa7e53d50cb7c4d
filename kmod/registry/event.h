/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_EVENT_H
#define PEERSHM_EVENT_H

#include <linux/poll.h>
#include <linux/types.h>

#include <uapi/linux/peershm.h>

struct file;
struct iov_iter;
struct kiocb;
struct peershm_client;
struct peershm_event_log;
struct peershm_event_reader;
struct peershm_file;
struct peershm_region;

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
