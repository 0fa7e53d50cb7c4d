/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_HEADER_H
#define PEERSHM_HEADER_H

#include <linux/types.h>

struct peershm_client;
struct peershm_header;
struct peershm_region;
struct vm_area_struct;

size_t peershm_header_length(u32 max_clients);
struct peershm_header *peershm_header_alloc(const struct peershm_region *region);
void peershm_header_free(struct peershm_header *header);
int peershm_header_mmap(const struct peershm_region *region,
			struct vm_area_struct *vma);

/* A change: begin, any number of sets, end. */
void peershm_header_begin(struct peershm_region *region);
void peershm_header_set_place(struct peershm_region *region);
void peershm_header_set_region(struct peershm_region *region);
void peershm_header_set_client(struct peershm_region *region, unsigned int slot,
			       const struct peershm_client *client);
void peershm_header_end(struct peershm_region *region);

void peershm_header_show_region(struct peershm_region *region);

#endif /* PEERSHM_HEADER_H */
