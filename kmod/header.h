/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_HEADER_H
#define PEERSHM_HEADER_H

#include <linux/types.h>

struct peershm_client;
struct peershm_header;
struct peershm_region;

size_t peershm_header_length(u32 max_clients);
struct peershm_header *peershm_header_alloc(const struct peershm_region *region);
void peershm_header_free(struct peershm_header *header);

void peershm_header_publish(struct peershm_region *region);
void peershm_header_publish_client(struct peershm_region *region,
				   unsigned int slot,
				   const struct peershm_client *client);

#endif /* PEERSHM_HEADER_H */
