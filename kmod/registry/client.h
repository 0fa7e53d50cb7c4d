/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_CLIENT_H
#define PEERSHM_CLIENT_H

#include <linux/types.h>

struct peershm_attach;
struct peershm_client;
struct peershm_failure;
struct peershm_file;
struct peershm_region;

struct peershm_client *peershm_client_new(struct peershm_region *region,
					  const struct peershm_attach *args);
void peershm_client_put(struct peershm_client *client);
int peershm_client_enter(struct peershm_client *client,
			 struct peershm_failure *failure);
void peershm_client_leave(struct peershm_client *client);
int peershm_client_keep_slot(struct peershm_client *client);
void peershm_client_free_slot(struct peershm_client *client);
bool peershm_client_present_locked(const struct peershm_client *client);
bool peershm_client_live(struct peershm_client *client);
bool peershm_client_ended(const struct peershm_client *client);
s32 peershm_client_pid(const struct peershm_client *client);

struct peershm_client *peershm_client_of(struct peershm_file *pf);
void peershm_client_trim_locked(struct peershm_region *region, u64 limit);
void peershm_client_mapped(struct peershm_client *client, u64 start, u64 end,
			   u64 shrinks);
void peershm_client_partial(struct peershm_client *client, u64 start, u64 end,
			    u64 shrinks);

#endif /* PEERSHM_CLIENT_H */
