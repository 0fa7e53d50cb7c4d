/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_BACKING_H
#define PEERSHM_BACKING_H

#include <linux/sizes.h>
#include <linux/types.h>

#define PEERSHM_NR_BACKINGS 4

/* Memory is allocated in pieces of so many bytes, or of a page if that is more. */
#define PEERSHM_ALLOC_PIECE SZ_2M

struct file;
struct peershm_backing_info;
struct rw_semaphore;

int peershm_backing_init(void);
void peershm_backing_exit(void);

int peershm_backing_find(u32 id);
u32 peershm_backing_id(unsigned int backing);
u32 peershm_backing_list(struct peershm_backing_info *infos);
bool peershm_backing_available(unsigned int backing);
unsigned long peershm_backing_page_size(unsigned int backing);
unsigned long peershm_backing_align(unsigned int backing);
bool peershm_backing_pooled(unsigned int backing);
bool peershm_backing_permitted(unsigned int backing);
gid_t peershm_backing_group(void);
u64 peershm_backing_limit(void);

struct file *peershm_backing_open(unsigned int backing, const char *name);
struct file *peershm_backing_open_control(const char *name, size_t size);

/* What a grow has done to the memory. */
struct peershm_grown {
	int err;
	u64 ready;	/* up to where it is allocated now */
	bool freed;	/* some was taken away, page tables of clients with it */
};

struct peershm_grown peershm_backing_grow(unsigned int backing, struct file *file,
					  struct rw_semaphore *tables_rwsem,
					  u64 old_size, u64 ready,
					  u64 new_size, bool interrupted);
int peershm_backing_reserve(unsigned int backing, struct file *file, u64 *ready,
			    u64 end);
int peershm_backing_shrink(unsigned int backing, struct file *file,
			   struct rw_semaphore *tables_rwsem, u64 old_size,
			   u64 new_size);
void peershm_backing_release(unsigned int backing, struct file *file, u64 size);

#endif /* PEERSHM_BACKING_H */
