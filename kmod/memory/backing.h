/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_BACKING_H
#define PEERSHM_BACKING_H

#include <linux/sizes.h>
#include <linux/types.h>

#define PEERSHM_NR_BACKINGS 4

/* Memory is allocated in pieces of so many bytes, or of a page if that is more. */
#define PEERSHM_ALLOC_PIECE SZ_2M

struct file;
struct rw_semaphore;

int peershm_backing_init(void);
void peershm_backing_exit(void);

bool peershm_backing_available(u32 backing);
unsigned long peershm_backing_page_size(u32 backing);
unsigned long peershm_backing_align(u32 backing);
bool peershm_backing_pooled(u32 backing);
bool peershm_backing_permitted(u32 backing);
u64 peershm_backing_limit(void);

struct file *peershm_backing_open(u32 backing, const char *name);
struct file *peershm_backing_open_control(const char *name, size_t size);

/* What a grow has done to the memory. */
struct peershm_grown {
	int err;
	u64 ready;	/* up to where it is allocated now */
	bool freed;	/* some was taken away, page tables of clients with it */
};

struct peershm_grown peershm_backing_grow(u32 backing, struct file *file,
					  struct rw_semaphore *tables_rwsem,
					  u64 old_size, u64 ready,
					  u64 new_size, bool interrupted);
int peershm_backing_reserve(u32 backing, struct file *file, u64 *ready,
			    u64 end);
int peershm_backing_shrink(u32 backing, struct file *file,
			   struct rw_semaphore *tables_rwsem, u64 old_size,
			   u64 new_size);
void peershm_backing_release(u32 backing, struct file *file, u64 size);

#endif /* PEERSHM_BACKING_H */
