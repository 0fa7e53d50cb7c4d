// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: the VMAs of clients. A window starts as one VMA of the whole
 * capacity; munmap, mprotect and mremap can make it several pieces. They are
 * ordinary VMAs of tmpfs or hugetlbfs: the core mm tells such memory by the
 * vm_ops of tmpfs and by the f_op (futexes, io_uring, userfaultfd).
 *
 * But each window is a mapping of a file of its own (mapfile.c). When that is
 * released, nothing of the window is mapped any more and the client is gone.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "registry/client.h"
#include "registry/region.h"
#include "window/mapfile.h"
#include "window/vmalock.h"
#include "window/window.h"
#include "types.h"

static void window_release(struct dentry *dentry)
{
	struct peershm_client *client = dentry->d_fsdata;

	peershm_client_leave(client);
	peershm_region_put(client->region);
	peershm_client_put(client);
}

static const struct dentry_operations window_ops =
	PEERSHM_MAPFILE_OPS(window_release);

/**
 * peershm_window_open() - make the file that the client's window maps
 * @client: to which it has a reference until it is released, as to its region
 *
 * The client leaves the registry when the file is released: by the last of the
 * caller and the pieces of the window.
 */
struct file *peershm_window_open(struct peershm_client *client)
{
	bool read_only = client->flags & PEERSHM_CLIENT_READ_ONLY;
	struct file *file;

	/*
	 * Nobody is to map it anew, which remap_file_pages() does: what is
	 * written is append-only (backing.c), and else it is not even read.
	 */
	file = peershm_mapfile_open(client->region->file,
				    read_only ? O_ACCMODE : O_RDWR, &window_ops,
				    client);
	if (!IS_ERR(file)) {
		kref_get(&client->ref);
		peershm_region_get(client->region);
	}
	return file;
}

/**
 * peershm_window_mmap() - make a VMA the client's window
 * @client: that is being attached, in this task
 * @vma: of the device's mmap operation, under its mmap lock
 */
int peershm_window_mmap(struct peershm_client *client,
			struct vm_area_struct *vma)
{
	struct peershm_region *region = client->region;
	bool writable = vma->vm_flags & VM_WRITE;
	int err;

	if (vma->vm_mm != client->mm || vma->vm_start != region->base ||
	    vma->vm_end - vma->vm_start != region->capacity)
		return -EINVAL;

	if (client->flags & PEERSHM_CLIENT_READ_ONLY) {
		if (writable)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}

	/*
	 * hugetlbfs extends its file to the end of a writable mapping, and so
	 * would let everybody beyond the size. It leaves the file alone if it
	 * sees a mapping that is not writable now.
	 */
	vm_flags_clear(vma, VM_WRITE);
	/* It would reserve the capacity, too, if it is told to be strict. */
	vm_flags_set(vma, VM_NORESERVE);
	err = vfs_mmap(client->window, vma);
	if (writable)
		vm_flags_set(vma, VM_WRITE);
	if (err)
		return err;
	vma_set_file(vma, client->window);
	if (is_vm_hugetlb_page(vma))
		peershm_vmalock_replace_ops(vma);
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	/* A dump looks at every page of the capacity, which takes minutes. */
	if (!client->dump)
		vm_flags_set(vma, VM_DONTDUMP);
	return 0;
}

/**
 * peershm_window_owns() - is this the client's window at its usual place?
 * @client: whose mmap lock is held
 * @vma: that holds @addr
 * @addr: in the window's range
 */
bool peershm_window_owns(const struct peershm_client *client,
			 const struct vm_area_struct *vma, unsigned long addr)
{
	const struct peershm_region *region = client->region;
	const struct file *file = vma->vm_file;

	lockdep_assert_held(&client->mm->mmap_lock);
	return file && file->f_path.dentry->d_op == &window_ops &&
	       file->f_path.dentry->d_fsdata == client &&
	       vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT) ==
		       (addr - region->base) >> PAGE_SHIFT;
}

/* The first piece at its usual place from @start on, as start and end. */
static bool next_piece(const struct peershm_client *client,
		       unsigned long *start, unsigned long *end)
{
	const struct peershm_region *region = client->region;
	unsigned long limit = region->base + region->capacity;
	struct vm_area_struct *vma;
	bool found = false;

	mmap_read_lock(client->mm);
	while (!found && *start < limit) {
		vma = find_vma_intersection(client->mm, *start, limit);
		if (!vma)
			break;
		*start = max(*start, vma->vm_start);
		*end = min(limit, vma->vm_end);
		found = peershm_window_owns(client, vma, *start);
		if (!found)
			*start = *end;
	}
	mmap_read_unlock(client->mm);
	return found;
}

/**
 * peershm_window_unmap() - unmap what is left of the window at its place
 * @client: of the calling process
 *
 * Leaves alone what the process mapped over parts of it.
 *
 * Returns: 0, or an error of munmap() after which some of it is still there.
 */
int peershm_window_unmap(const struct peershm_client *client)
{
	unsigned long start = client->region->base;
	unsigned long end;
	int err = 0;

	while (!err && next_piece(client, &start, &end)) {
		err = vm_munmap(start, end - start);
		start = end;
	}
	return err;
}
