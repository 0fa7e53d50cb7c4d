/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_FOLLOW_H
#define PEERSHM_FOLLOW_H

struct peershm_region;

void peershm_follow_prepare(struct peershm_region *region);

#endif /* PEERSHM_FOLLOW_H */
