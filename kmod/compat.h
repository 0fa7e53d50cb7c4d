/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels, and nothing else. Force-included; the rest of
 * the module reads as if written for the newest kernel.
 */
#ifndef PEERSHM_COMPAT_H
#define PEERSHM_COMPAT_H

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "peershm needs Linux 6.1 or newer"
#endif

#if BITS_PER_LONG != 64
#error "peershm needs a 64-bit kernel"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define peershm_notify_change(dentry, attr) \
	notify_change(&init_user_ns, dentry, attr, NULL)
#else
#define peershm_notify_change(dentry, attr) \
	notify_change(&nop_mnt_idmap, dentry, attr, NULL)
#endif

/*
 * May map_pages() be called where there is no page table, and none allocated for
 * it? It then maps a huge page, and leaves small pages alone, from 6.7 on and from
 * 6.1.68 ("mm: fix oops when filemap_map_pmd() without prealloc_pte"). Not on an
 * architecture that deposits a page table for each huge page.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 68) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))
#define PEERSHM_MAPS_WITHOUT_TABLE (!arch_needs_pgtable_deposit())
#else
#define PEERSHM_MAPS_WITHOUT_TABLE false
#endif

/* How many page tables map a small folio. Before 6.2 modules could not ask a folio. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define peershm_folio_mapcount(folio) page_mapcount(&(folio)->page)
#else
#define peershm_folio_mapcount(folio) folio_mapcount(folio)
#endif

/* In what a file numbers its pages. Before 6.7 hugetlbfs did so in huge pages. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define peershm_index_shift(file) (file_inode(file)->i_blkbits)
#else
#define peershm_index_shift(file) PAGE_SHIFT
#endif

/*
 * Begin a write to a file: get a locked folio, as large as the length allows. A
 * new one is not up to date. The operation took a struct page before 6.12, and a
 * file before 6.17.
 */
static inline int peershm_write_begin(struct file *file, loff_t pos,
				      unsigned int length,
				      struct folio **foliop)
{
	struct address_space *mapping = file->f_mapping;
	void *unused = NULL;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	struct page *found = NULL;
	int err;

	err = mapping->a_ops->write_begin(file, mapping, pos, length, &found,
					  &unused);
	if (!err)
		*foliop = page_folio(found);
	return err;
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	return mapping->a_ops->write_begin(file, mapping, pos, length, foliop,
					   &unused);
#else
	struct kiocb iocb = { .ki_filp = file };

	return mapping->a_ops->write_begin(&iocb, mapping, pos, length, foliop,
					   &unused);
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define vfs_mmap(file, vma) call_mmap(file, vma)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define PEERSHM_SHMEM_NORESERVE VM_NORESERVE
#else
#define PEERSHM_SHMEM_NORESERVE mk_vma_flags(VMA_NORESERVE_BIT)
#endif

/*
 * Before 6.3 hugetlb_fault() looks for the page table entry without a lock. A
 * truncation can take the shared page table away meanwhile, and the exit of the
 * last process that has it frees the table: the fault then reads freed memory.
 */
#define PEERSHM_FAULTS_LOOK_UNLOCKED \
	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0))

/*
 * On arm64 such a read can be an oops, in a fault and in everything else that
 * looks at page tables. Windows share no page tables there (vmalock.c).
 */
#if defined(CONFIG_ARM64) && defined(CONFIG_ARCH_WANT_HUGE_PMD_SHARE)
#define PEERSHM_SHARES_NO_TABLES PEERSHM_FAULTS_LOOK_UNLOCKED
#else
#define PEERSHM_SHARES_NO_TABLES false
#endif

/* Shrinkers are allocated from 6.7 on, and registering them cannot fail. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *shrinker_alloc(unsigned int flags,
					      const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker) {
		shrinker->flags = flags;
		shrinker->seeks = DEFAULT_SEEKS;
	}
	return shrinker;
}

static inline int peershm_shrinker_register(struct shrinker *shrinker)
{
	return register_shrinker(shrinker, "peershm");
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#else
static inline int peershm_shrinker_register(struct shrinker *shrinker)
{
	shrinker_register(shrinker);
	return 0;
}
#endif

#endif /* PEERSHM_COMPAT_H */
