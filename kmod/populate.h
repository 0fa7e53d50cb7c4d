/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_POPULATE_H
#define PEERSHM_POPULATE_H

#include <linux/types.h>

struct peershm_client;

unsigned long peershm_populate(const struct peershm_client *client,
			       unsigned long addr, unsigned long end,
			       bool *whole);

#endif /* PEERSHM_POPULATE_H */
