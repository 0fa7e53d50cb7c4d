/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_MAPFILE_H
#define PEERSHM_MAPFILE_H

#include <linux/dcache.h>

struct file;

int peershm_mapfile_delete(const struct dentry *dentry);
char *peershm_mapfile_dname(struct dentry *dentry, char *buffer, int length);

/* @release_: what is called with the dentry when nothing is mapped any more */
#define PEERSHM_MAPFILE_OPS(release_) \
	{ \
		.d_delete = peershm_mapfile_delete, \
		.d_dname = peershm_mapfile_dname, \
		.d_release = release_, \
	}

struct file *peershm_mapfile_open(struct file *memory, int flags,
				  const struct dentry_operations *ops,
				  void *data);

#endif /* PEERSHM_MAPFILE_H */
