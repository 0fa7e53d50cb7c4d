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

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "peershm needs Linux 5.10 or newer"
#endif

#if BITS_PER_LONG != 64
#error "peershm needs a 64-bit kernel"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#define peershm_notify_change(dentry, attr) notify_change(dentry, attr, NULL)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define peershm_notify_change(dentry, attr) \
	notify_change(&init_user_ns, dentry, attr, NULL)
#else
#define peershm_notify_change(dentry, attr) \
	notify_change(&nop_mnt_idmap, dentry, attr, NULL)
#endif

/* Pages charged to a memory cgroup can be mapped from 5.11 on. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define PEERSHM_GFP_MAPPED GFP_KERNEL
#else
#define PEERSHM_GFP_MAPPED GFP_KERNEL_ACCOUNT
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
static inline void vma_set_file(struct vm_area_struct *vma, struct file *file)
{
	get_file(file);
	swap(vma->vm_file, file);
	fput(file);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define mmap_lock_is_contended(mm) rwsem_is_contended(&(mm)->mmap_lock)
#endif

/* Before 5.12 map_pages() leaves the page table locked, if it got there. */
static inline void peershm_map_pages(struct vm_fault *vmf, pgoff_t start,
				     pgoff_t end)
{
	vmf->vma->vm_ops->map_pages(vmf, start, end);
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
	if (vmf->pte)
		pte_unmap_unlock(vmf->pte, vmf->ptl);
#endif
}

/*
 * Without a page table, and none ready, map_pages() maps a huge page and leaves
 * alone what needs one, from 6.7 on, and from 6.1.68 ("mm: fix oops when
 * filemap_map_pmd() without prealloc_pte"). Not where a huge page has one too.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 68) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))
#define PEERSHM_MAPS_WITHOUT_TABLE (!arch_needs_pgtable_deposit())
#else
#define PEERSHM_MAPS_WITHOUT_TABLE false
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 15, 0)
static inline struct file *peershm_file_open_root(const struct path *path,
						  const char *name, int flags,
						  umode_t mode)
{
	return file_open_root(path->dentry, path->mnt, name, flags, mode);
}

#define file_open_root peershm_file_open_root
#endif

/* Before folios, a compound page's head stands for the whole of it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
#define folio page

static inline struct page *filemap_lock_folio(struct address_space *mapping,
					      pgoff_t index)
{
	struct page *page = find_lock_page(mapping, index);

	return page ? compound_head(page) : NULL;
}

static inline struct page *folio_page(struct page *head, unsigned long n)
{
	return nth_page(head, n);
}

static inline unsigned long folio_nr_pages(struct page *head)
{
	return compound_nr(head);
}

static inline pgoff_t folio_next_index(struct page *head)
{
	return head->index + compound_nr(head);
}

#define page_folio compound_head
#define folio_test_uptodate PageUptodate
#define folio_mark_uptodate SetPageUptodate
#define folio_mark_dirty set_page_dirty
#define folio_unlock unlock_page
#define folio_put put_page
#endif

/*
 * What a write to a file begins with: a locked page, as large as there is one
 * for the length, not up to date if it is new. Flags went away in 5.19, struct
 * page in 6.12, and the file in 6.17.
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

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 19, 0)
	err = mapping->a_ops->write_begin(file, mapping, pos, length, 0, &found,
					  &unused);
#else
	err = mapping->a_ops->write_begin(file, mapping, pos, length, &found,
					  &unused);
#endif
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

/* The array of VMAs went away in 6.5. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define get_user_pages_remote(mm, start, nr, flags, pages, locked) \
	get_user_pages_remote(mm, start, nr, flags, pages, NULL, locked)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define vfs_mmap(file, vma) call_mmap(file, vma)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define PEERSHM_SHMEM_NORESERVE VM_NORESERVE
#else
#define PEERSHM_SHMEM_NORESERVE mk_vma_flags(VMA_NORESERVE_BIT)
#endif

/* What a task allocates can be charged to another group from 5.14 on. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#define PEERSHM_CHARGES_OTHERS true
#else
#define PEERSHM_CHARGES_OTHERS false
#include <linux/sched/mm.h>
static inline struct mem_cgroup *
peershm_set_active_memcg(struct mem_cgroup *memcg)
{
	return NULL;
}

#define set_active_memcg peershm_set_active_memcg
#endif

/*
 * Task work that is to run soon breaks off waiting as a signal does, but is none,
 * from 5.11 on (and 5.10.162).
 */
#ifdef TIF_NOTIFY_SIGNAL
static inline void peershm_notify_again(void)
{
	set_thread_flag(TIF_NOTIFY_SIGNAL);
}
#else
#define task_sigpending signal_pending
#define clear_notify_signal() do { } while (0)
#define peershm_notify_again() do { } while (0)
#endif

/* Moving a hugetlb VMA can wait for itself from 6.1 to 7.3 at least (vmalock.c). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
#define PEERSHM_MOVE_DEADLOCKS
#endif

/*
 * Before 6.3 hugetlb_fault() first looks for the entry without a lock, and so may
 * read from a page table that it just loses, and that its last owner frees.
 */
#define PEERSHM_FAULTS_LOOK_UNLOCKED \
	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0))

/*
 * On arm64 what it reads then need not even be memory, and the same goes for all
 * who look at page tables. From 6.1 on windows can do without sharing (vmalock.c).
 */
#if defined(CONFIG_ARM64) && defined(CONFIG_ARCH_WANT_HUGE_PMD_SHARE) && \
	defined(PEERSHM_MOVE_DEADLOCKS)
#define PEERSHM_SHARES_NO_TABLES PEERSHM_FAULTS_LOOK_UNLOCKED
#else
#define PEERSHM_SHARES_NO_TABLES false
#endif

/* Before 5.17 a process that dumps core has a flag of its own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#define PEERSHM_GROUP_EXIT (SIGNAL_GROUP_EXIT | SIGNAL_GROUP_COREDUMP)
#else
#define PEERSHM_GROUP_EXIT SIGNAL_GROUP_EXIT
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
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
	return register_shrinker(shrinker);
#else
	return register_shrinker(shrinker, "peershm");
#endif
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
