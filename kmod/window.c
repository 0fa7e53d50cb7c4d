// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: the VMAs of clients. A window starts as one VMA of the whole
 * capacity; munmap, mprotect and mremap can make it several pieces. They are
 * ordinary VMAs of tmpfs or hugetlbfs but for their open and close, which
 * count the pieces: with the last one the client is gone.
 *
 * Every piece pins the module, because its vm_ops lie in it. That includes
 * pieces of an mm that is no client (a child of fork after MADV_DOFORK).
 */
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "backing.h"
#include "client.h"
#include "region.h"
#include "window.h"

/* The backing's own operations, with ours around open and close. */
struct window_ops {
	const struct vm_operations_struct *inner;
	struct vm_operations_struct ops;
};

/* Written once each, under ops_lock; a leaf, taken under an mmap lock. */
static struct window_ops window_ops[PEERSHM_NR_BACKINGS];
static DEFINE_MUTEX(ops_lock);

/* The windows lock: which client a VMA belongs to. A leaf. */
static DEFINE_SPINLOCK(windows_lock);
static DEFINE_HASHTABLE(windows, 8);

static struct peershm_client *find_locked(const struct vm_area_struct *vma)
{
	struct peershm_client *client;

	lockdep_assert_held(&windows_lock);
	hash_for_each_possible(windows, client, window,
			       (unsigned long)vma->vm_mm)
		if (client->mm == vma->vm_mm &&
		    client->region->file == vma->vm_file)
			return client;
	return NULL;
}

static void window_open(struct vm_area_struct *vma)
{
	const struct window_ops *w =
		container_of(vma->vm_ops, struct window_ops, ops);
	struct peershm_client *client;

	__module_get(THIS_MODULE);	/* the piece it came from holds one */
	spin_lock(&windows_lock);
	client = find_locked(vma);
	if (client)
		client->pieces++;
	spin_unlock(&windows_lock);
	if (w->inner->open)
		w->inner->open(vma);
}

/* Under the mmap lock, or in exit_mmap(): count, and leave the rest to work. */
static void window_close(struct vm_area_struct *vma)
{
	const struct window_ops *w =
		container_of(vma->vm_ops, struct window_ops, ops);
	struct peershm_client *client;

	if (w->inner->close)
		w->inner->close(vma);
	spin_lock(&windows_lock);
	client = find_locked(vma);
	if (client && !--client->pieces) {
		hash_del(&client->window);
		peershm_client_reap(client);
	}
	spin_unlock(&windows_lock);
	module_put(THIS_MODULE);
}

static int set_ops(u32 backing, struct vm_area_struct *vma)
{
	struct window_ops *w = &window_ops[backing];
	int err = 0;

	mutex_lock(&ops_lock);
	if (!w->inner) {
		w->ops = *vma->vm_ops;
		w->ops.open = window_open;
		w->ops.close = window_close;
		w->inner = vma->vm_ops;
	}
	if (w->inner != vma->vm_ops)
		err = -ENODEV;
	mutex_unlock(&ops_lock);
	if (!err)
		vma->vm_ops = &w->ops;
	return err;
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
	    vma->vm_end - vma->vm_start != region->capacity ||
	    !(vma->vm_flags & VM_MAYSHARE))
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
	err = vfs_mmap(region->file, vma);
	if (writable)
		vm_flags_set(vma, VM_WRITE);
	if (err)
		return err;
	err = set_ops(region->backing, vma);
	if (err)
		return err;
	vma_set_file(vma, region->file);
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);

	__module_get(THIS_MODULE);	/* the open file holds one */
	kref_get(&client->ref);		/* the pieces', dropped when reaped */
	spin_lock(&windows_lock);
	client->pieces = 1;
	hash_add(windows, &client->window, (unsigned long)client->mm);
	spin_unlock(&windows_lock);
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

	lockdep_assert_held(&client->mm->mmap_lock);
	return vma->vm_file == region->file &&
	       vma->vm_ops == &window_ops[region->backing].ops &&
	       vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT) ==
		       (addr - region->base) >> PAGE_SHIFT;
}

/* The first piece at its usual place from @addr on, as start and end. */
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
 */
void peershm_window_unmap(const struct peershm_client *client)
{
	unsigned long start = client->region->base;
	unsigned long end;

	while (next_piece(client, &start, &end)) {
		if (vm_munmap(start, end - start))
			break;
		start = end;
	}
}
