/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_COMMAND_RESERVE_H
#define PEERSHM_COMMAND_RESERVE_H

#include <linux/types.h>

struct peershm_failure;
struct peershm_region;

int peershm_set_reserve(struct peershm_region *region, u64 want,
			struct peershm_failure *failure);

#endif /* PEERSHM_COMMAND_RESERVE_H */
