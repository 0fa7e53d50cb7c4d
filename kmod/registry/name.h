/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_NAME_H
#define PEERSHM_NAME_H

#include <linux/types.h>

struct peershm_client;
struct peershm_region;

u64 peershm_name_last_locked(const struct peershm_region *region,
			     const char *name);
void peershm_name_remember_locked(const struct peershm_client *client);

#endif /* PEERSHM_NAME_H */
