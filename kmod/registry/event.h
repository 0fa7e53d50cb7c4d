/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_EVENT_H
#define PEERSHM_EVENT_H

#include <linux/types.h>
#include <linux/uidgid.h>

#include <uapi/linux/peershm.h>

struct peershm_client;
struct peershm_event_log;
struct peershm_event_reader;
struct peershm_region;

/* Bytes of a record in the first published version. */
#define PEERSHM_EVENT_LEAST 128U

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

/* What one record of a read is, and where the reader is after it. */
struct peershm_event_step {
	struct peershm_event event;
	size_t size;			/* that the reader wants of it */
	u64 session;
	u64 next;
};

int peershm_event_readiness_locked(struct peershm_region *region,
				   struct peershm_event_reader *reader,
				   struct peershm_event_step *unused);
int peershm_event_peek_locked(struct peershm_region *region,
			      struct peershm_event_reader *reader,
			      struct peershm_event_step *step);
int peershm_event_take_locked(struct peershm_region *region,
			      struct peershm_event_reader *reader,
			      struct peershm_event_step *step);

unsigned int
peershm_event_watched_by_locked(const struct peershm_region *region, kuid_t uid);
void peershm_event_watch_locked(struct peershm_region *region,
				struct peershm_event_reader *reader);

#endif /* PEERSHM_EVENT_H */
