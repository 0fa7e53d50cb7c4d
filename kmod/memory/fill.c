// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zeroing memory of tmpfs, by one CPU or by several.
 *
 * fallocate() holds the inode's lock, so only one CPU allocates; where the
 * allocator zeroes pages (init_on_alloc), that CPU zeroes them, too. A write to a
 * file allocates under the lock of the page alone, also beyond the size. So
 * several CPUs begin writes ahead of fallocate(), which then finds the pages.
 *
 * Nothing depends on how far they get. fallocate() allocates what they left out,
 * and decides what cannot be had. It also makes the pages stay: when a huge page
 * is split, what lies beyond the size and was not fallocated is lost.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "memory/fill.h"
#include "memory/parallel.h"

/* Another CPU can help from about so many bytes on. */
#define WORTH_HELP SZ_8M

/* Zero a locked folio if need be, and mark it so that it can be mapped. */
static void finish(struct folio *folio, bool zeroed)
{
	unsigned long n;

	if (!folio_test_uptodate(folio)) {
		for (n = 0; n < folio_nr_pages(folio); n++) {
			if (!zeroed)
				clear_highpage(folio_page(folio, n));
			flush_dcache_page(folio_page(folio, n));
			cond_resched();
		}
		folio_mark_uptodate(folio);
	}
	folio_mark_dirty(folio);
}

static void release(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

static bool comes_zeroed(struct address_space *mapping)
{
	return want_init_on_alloc(mapping_gfp_mask(mapping));
}

/**
 * peershm_fill() - make what was allocated ready for use
 * @file: of tmpfs
 * @start: of what fallocate() has allocated
 * @end: likewise
 *
 * fallocate() leaves the pages of tmpfs not up to date, and fault-around maps
 * only pages that are. To read them in the usual way would zero pages that the
 * allocator has zeroed already (init_on_alloc). Going through the page cache costs
 * 1.04 instead of 2.2 times as much as a memset.
 */
void peershm_fill(struct file *file, u64 start, u64 end)
{
	struct address_space *mapping = file->f_mapping;
	bool zeroed = comes_zeroed(mapping);
	pgoff_t index = start >> PAGE_SHIFT;

	while (index < end >> PAGE_SHIFT) {
		struct folio *folio = filemap_lock_folio(mapping, index);

		/* Swapped out since: it was made up to date for that. */
		if (IS_ERR_OR_NULL(folio)) {
			index++;
			continue;
		}
		finish(folio, zeroed);
		index = folio_next_index(folio);
		release(folio);
		cond_resched();
	}
}

/* A range that several CPUs take piece by piece. */
struct ahead {
	struct file *file;
	u64 start;
	u64 end;
	u64 piece;
	struct task_struct *caller;
	const struct cred *cred;	/* the caller's */
	struct mem_cgroup *memcg;	/* likewise */
	bool zeroed;			/* pages come so */
	bool failed;			/* there is no more to be had */
};

/* Allocate and zero a page, as large as it can be, and go on to the next. */
static int fill_page(const struct ahead *a, u64 *start, u64 end)
{
	struct folio *folio;
	int err;

	err = peershm_write_begin(a->file, *start, end - *start, &folio);
	if (err)
		return err;
	finish(folio, a->zeroed);
	*start = (u64)folio_next_index(folio) << PAGE_SHIFT;
	release(folio);
	return 0;
}

static void fill_range(struct ahead *a, u64 start, u64 end)
{
	while (start < end && !READ_ONCE(a->failed) &&
	       !task_sigpending(a->caller)) {
		if (fill_page(a, &start, end))
			WRITE_ONCE(a->failed, true);
		cond_resched();
	}
}

/*
 * A helper acts as the caller: the caller's memory cgroup is charged, and the
 * helper is refused what the caller would be refused (overcommit_memory keeps
 * memory for the administrator and for other processes).
 */
static void fill_piece(void *context, unsigned int index)
{
	struct ahead *a = context;
	u64 start = a->start + index * a->piece;
	u64 end = min(a->end, start + a->piece);
	struct mem_cgroup *old_memcg;
	const struct cred *old_cred;

	if (current == a->caller) {
		fill_range(a, start, end);
		return;
	}
	kthread_use_mm(a->caller->mm);
	old_cred = override_creds(a->cred);
	old_memcg = set_active_memcg(a->memcg);
	fill_range(a, start, end);
	set_active_memcg(old_memcg);
	revert_creds(old_cred);
	kthread_unuse_mm(a->caller->mm);
}

static bool can_help(const struct file *file)
{
	return current->mm && file->f_mapping->a_ops->write_begin &&
	       peershm_parallel_anywhere();
}

/**
 * peershm_fill_ahead() - allocate and zero on several CPUs, where it is worth it
 * @file: of tmpfs, whose gfp mask is such that nothing is killed for memory
 * @start: up to where it is allocated
 * @end: up to where it is going to be
 * @piece: what one CPU does at a time, a multiple of the page size
 *
 * As much as it gets to, which is none if a signal is pending: the caller then
 * does the same with fallocate() and peershm_fill().
 *
 * Returns: whether to try it with what comes after @end.
 */
bool peershm_fill_ahead(struct file *file, u64 start, u64 end, u64 piece)
{
	struct ahead a = {
		.file = file,
		.start = start,
		.end = end,
		.piece = piece,
		.caller = current,
		.cred = current_cred(),
		.zeroed = comes_zeroed(file->f_mapping),
	};

	if (end - start < WORTH_HELP || end - start <= piece)
		return true;
	if (!can_help(file))
		return false;
	a.memcg = get_mem_cgroup_from_mm(current->mm);
	/*
	 * No room is asked for (0 pages): to run out of it kills nothing, by
	 * the file's gfp mask, and ends this after one piece.
	 */
	if (peershm_parallel_charges(a.memcg, 0))
		peershm_parallel(fill_piece, &a,
				 DIV_ROUND_UP_ULL(end - start, piece));
	else
		a.failed = true;
	mem_cgroup_put(a.memcg);
	return !a.failed;
}
