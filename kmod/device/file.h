/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_FILE_H
#define PEERSHM_FILE_H

#include <linux/poll.h>
#include <linux/types.h>

struct file;
struct inode;
struct iov_iter;
struct kiocb;
struct peershm_client;
struct peershm_failure;
struct peershm_file;
struct peershm_region;

/* What a command means to do with its region. */
enum peershm_access {
	PEERSHM_ACCESS_READ,	/* read permission */
	PEERSHM_ACCESS_WRITE,	/* write permission, and a file open for it */
	PEERSHM_ACCESS_OWNER,	/* its owner, and a file open for writing */
};

struct peershm_region *peershm_file_attached(struct peershm_file *pf,
					     struct peershm_failure *failure,
					     int mask,
					     struct peershm_client **client);
struct peershm_region *peershm_file_region(struct peershm_file *pf,
					   struct peershm_failure *failure,
					   const char *name, u64 id,
					   enum peershm_access access,
					   struct peershm_client **client);

/* File operations. */
int peershm_file_open(struct inode *inode, struct file *file);
int peershm_file_release(struct inode *inode, struct file *file);
ssize_t peershm_file_read(struct kiocb *iocb, struct iov_iter *to);
__poll_t peershm_file_poll(struct file *file, struct poll_table_struct *table);

#endif /* PEERSHM_FILE_H */
