/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_ANSWER_H
#define PEERSHM_ANSWER_H

#include <linux/types.h>

#include "window/map.h"

struct peershm_failure;
struct peershm_map_report;
struct peershm_peer;
struct peershm_region;

/* A peer map whose caller is told about each client. On the caller's stack. */
struct peershm_answer {
	struct peershm_map_call call;
	struct peershm_peer *peers;	/* what goes to user space */
	unsigned int max_peers;
};

int peershm_answer_begin(struct peershm_answer *answer,
			 struct peershm_region *region,
			 const struct peershm_map_report *report,
			 struct peershm_failure *failure);
int peershm_answer_report(struct peershm_answer *answer,
			  struct peershm_map_report *report);
void peershm_answer_end(struct peershm_answer *answer);

int peershm_answer_check(u64 to, u32 n, u32 record_size, u32 least,
			 struct peershm_failure *failure);
int peershm_answer_event_size(u32 size, struct peershm_failure *failure);
int peershm_answer_timeout(s32 timeout_ms, struct peershm_failure *failure);
int peershm_answer_array(u64 to, u32 record_size, const void *from, u32 n,
			 size_t size);

#endif /* PEERSHM_ANSWER_H */
