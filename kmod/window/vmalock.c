// SPDX-License-Identifier: GPL-2.0-only
/*
 * The locks of hugetlb VMAs: whoever has none shares no page tables.
 *
 * mremap() of such a VMA can wait for itself for ever (from Linux 6.1 to 7.3 at
 * least), and then everybody waits who wants the file's i_mmap_rwsem:
 * move_hugetlb_page_tables() holds it for writing, and huge_pte_alloc() takes it
 * for reading when it looks for a page table to share. It looks where the VMA
 * has all that one table maps, and there is no table yet.
 *
 * So a window that is being moved shares none. Its VMA at the new place starts
 * without a lock, as if there had been no memory for one, and gets its own when
 * the move is done, if there is memory.
 *
 * Before Linux 6.3 a look at a shared page table that is just being taken away
 * can be an oops on arm64: by a fault, or a read of /proc/PID/pagemap, next to a
 * shrink or the migration of a page. Windows there share none at all.
 *
 * Not mended is what /proc/PID/map_files lets root map: a file of hugetlbfs, as
 * root can make itself.
 */
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#include "window/vmalock.h"

static DEFINE_MUTEX(ops_mutex);

/* Of hugetlbfs, which does not export its own, and with what is mended. */
static const struct vm_operations_struct *hugetlb_ops;
static struct vm_operations_struct ops;

/*
 * Is it a copy at a new place? One of a split lies within what it is split off,
 * and one of fork is another process's.
 */
static bool is_moved(const struct vm_area_struct *vma)
{
	if (vma->vm_mm != current->mm)
		return false;
	lockdep_assert_held_write(&vma->vm_mm->mmap_lock);
	return !find_vma_intersection(vma->vm_mm, vma->vm_start, vma->vm_end);
}

static void vmalock_open(struct vm_area_struct *vma)
{
	/* It is the other VMA's still. */
	if (PEERSHM_SHARES_NO_TABLES || is_moved(vma))
		vma->vm_private_data = NULL;
	else
		hugetlb_ops->open(vma);
}

/*
 * Faults and walks of this mm wait for its mmap lock. Others find the VMA by the
 * file: truncation, migration and memory failure hold i_mmap_rwsem for writing
 * from before they try its lock until they release it (who waits for a lock saw
 * that there is one), and who looks for a table to share holds it for reading.
 */
static int vmalock_mremap(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->vm_file->f_mapping;

	if (PEERSHM_SHARES_NO_TABLES)
		return 0;
	i_mmap_lock_write(mapping);
	hugetlb_ops->open(vma);
	i_mmap_unlock_write(mapping);
	return 0;
}

/**
 * peershm_vmalock_replace_ops() - let a VMA be moved, and what else is said above
 * @vma: new, with its file of hugetlbfs, under its mmap lock
 */
void peershm_vmalock_replace_ops(struct vm_area_struct *vma)
{
	mutex_lock(&ops_mutex);
	if (!hugetlb_ops) {
		hugetlb_ops = vma->vm_ops;
		ops = *hugetlb_ops;
		ops.open = vmalock_open;
		ops.mremap = vmalock_mremap;
	}
	mutex_unlock(&ops_mutex);
	vma->vm_ops = &ops;
	/*
	 * All that it does for a shared mapping is to free the lock. Faults and
	 * truncation have that of the page (hugetlb_fault_mutex_table) still.
	 */
	if (PEERSHM_SHARES_NO_TABLES)
		hugetlb_ops->close(vma);
}
