// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file of its own for one mapping of memory that others map, too. The file is
 * on the memory's inode, and every piece of the mapping holds the file. When its
 * dentry is released, nothing is mapped through it any more. fput() releases it
 * with no lock held, in particular no mmap lock; if a process ends, in that
 * process, before its parent can see the end.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "window/mapfile.h"

/* In no directory, so nobody could look it up again. */
int peershm_mapfile_delete(const struct dentry *dentry)
{
	return 1;
}

/* What /proc/PID/maps shows; as for all files that are in no directory. */
char *peershm_mapfile_dname(struct dentry *dentry, char *buffer, int length)
{
	int n = dentry->d_name.len + sizeof("/ (deleted)");

	if (n > length)
		return ERR_PTR(-ENAMETOOLONG);
	buffer += length - n;
	snprintf(buffer, n, "/%s (deleted)", dentry->d_name.name);
	return buffer;
}

/**
 * peershm_mapfile_open() - make such a file
 * @memory: a file of the memory
 * @flags: O_RDONLY or O_RDWR; or O_ACCMODE, which is neither to read nor write
 * @ops: made with PEERSHM_MAPFILE_OPS()
 * @data: the d_fsdata that its release finds
 */
struct file *peershm_mapfile_open(struct file *memory, int flags,
				  const struct dentry_operations *ops,
				  void *data)
{
	struct inode *inode = file_inode(memory);
	struct dentry *dentry;
	struct file *file;

	ihold(inode);
	file = alloc_file_pseudo(inode, memory->f_path.mnt,
				 memory->f_path.dentry->d_name.name,
				 flags | O_LARGEFILE, memory->f_op);
	if (IS_ERR(file)) {
		iput(inode);
		return file;
	}
	dentry = file->f_path.dentry;
	dentry->d_fsdata = data;
	dentry->d_op = ops;
	return file;
}
