// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filling the page tables of a client: by ordinary faults on its behalf, and by
 * fault-around. The core mm does all the accounting. This file never writes page
 * tables; it reads them, to find what is not mapped yet. How much one step brings
 * in depends on the backing: some small pages, a huge page, or, where clients
 * share the page tables of huge pages, a whole GiB that another client has mapped
 * already. The next look at the page tables finds out.
 */
#include <linux/fs.h>
#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/userfaultfd_k.h>

#include "memory/backing.h"
#include "registry/client.h"
#include "window/populate.h"
#include "window/window.h"
#include "types.h"

/* A page that is not there after so many faults is being taken away again. */
#define MAX_FAULTS 3

static unsigned long skip_ptes(pmd_t pmd, unsigned long addr, unsigned long end)
{
	pte_t *pte = pte_offset_kernel(&pmd, addr);

	while (addr < end && pte_present(READ_ONCE(*pte))) {
		addr += PAGE_SIZE;
		pte++;
	}
	return addr;
}

/* So many entries for huge pages are looked at in one go. */
#define BLOCK 32

/*
 * The value of an entry as memory has it. On a kernel that can run as a guest,
 * pmd_val() is a call of the hypervisor's.
 */
static pmdval_t entry(const pmd_t *pmdp)
{
	BUILD_BUG_ON(sizeof(pmd_t) != sizeof(pmdval_t));
	return READ_ONCE(*(const pmdval_t *)pmdp);
}

static pmdval_t eight_entries(const pmd_t *pmdp)
{
	return entry(pmdp) & entry(pmdp + 1) & entry(pmdp + 2) &
	       entry(pmdp + 3) & entry(pmdp + 4) & entry(pmdp + 5) &
	       entry(pmdp + 6) & entry(pmdp + 7);
}

/*
 * Are all entries of a block present? A bit that is set in each of them is set in
 * their conjunction. Only for memory that is never mapped by small pages.
 */
static bool block_present(const pmd_t *pmdp)
{
	pmdval_t all = eight_entries(pmdp) & eight_entries(pmdp + 8) &
		       eight_entries(pmdp + 16) & eight_entries(pmdp + 24);
	pmd_t pmd = *(pmd_t *)&all;

	BUILD_BUG_ON(BLOCK != 4 * 8);
	return pmd_present(pmd) && pmd_leaf(pmd);
}

/*
 * Looks no further than the end of one page table, as interrupts are off.
 */
static unsigned long skip_pmds(pud_t *pudp, pud_t pud, unsigned long addr,
			       unsigned long end, bool huge)
{
	pmd_t *pmdp = pmd_offset_lockless(pudp, pud, addr);
	unsigned long next;
	pmd_t pmd;

	end = pud_addr_end(addr, end);
	while (huge && IS_ALIGNED(addr, PMD_SIZE) &&
	       end - addr >= BLOCK * PMD_SIZE && block_present(pmdp)) {
		addr += BLOCK * PMD_SIZE;
		pmdp += BLOCK;
	}
	for (; addr < end; addr = next, pmdp++) {
		pmd = READ_ONCE(*pmdp);
		next = pmd_addr_end(addr, end);
		if (!pmd_present(pmd))
			break;
		/*
		 * Huge pages have no page tables below them. What else stands
		 * here must not be followed as one.
		 */
		if (!pmd_leaf(pmd))
			return huge ? addr : skip_ptes(pmd, addr, next);
	}
	return addr;
}

static unsigned long skip(struct mm_struct *mm, unsigned long addr,
			  unsigned long end, bool huge)
{
	pgd_t *pgdp = pgd_offset(mm, addr);
	pgd_t pgd = READ_ONCE(*pgdp);
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;

	if (!pgd_present(pgd))
		return addr;
	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = READ_ONCE(*p4dp);
	if (!p4d_present(p4d))
		return addr;
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud))
		return addr;
	if (pud_leaf(pud))
		return pud_addr_end(addr, end);
	return skip_pmds(pudp, pud, addr, end, huge);
}

/*
 * The first address from @addr on that is not in the page tables. khugepaged can
 * take out a page table of small pages although the mmap lock is held for
 * reading. It is freed by RCU then: not before interrupts are on again.
 */
static unsigned long skip_present(struct mm_struct *mm, unsigned long addr,
				  unsigned long end, bool huge)
{
	unsigned long flags, next;

	while (addr < end) {
		local_irq_save(flags);
		next = skip(mm, addr, end, huge);
		local_irq_restore(flags);
		if (next == addr)
			break;
		addr = next;
	}
	return addr;
}

/*
 * A truncation takes a shared page table away from all processes but one, and the
 * exit of that one frees the table at once. i_mmap_rwsem keeps both from it.
 */
static unsigned long skip_shared(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long end)
{
	struct address_space *mapping = vma->vm_file->f_mapping;

	i_mmap_lock_read(mapping);
	addr = skip_present(vma->vm_mm, addr, end, true);
	i_mmap_unlock_read(mapping);
	return addr;
}

enum outcome { FAULTED, NOT_THIS_PAGE, NO_MEMORY };

/*
 * A read fault maps a page of shared writable memory writable. Without
 * FAULT_FLAG_ALLOW_RETRY it neither drops the mmap lock nor waits for user
 * space.
 */
static enum outcome fault(struct vm_area_struct *vma, unsigned long addr)
{
	vm_fault_t got = handle_mm_fault(vma, addr, FAULT_FLAG_REMOTE, NULL);

	if (got & VM_FAULT_OOM)
		return NO_MEMORY;
	return got & VM_FAULT_ERROR ? NOT_THIS_PAGE : FAULTED;
}

/*
 * A fault on huge pages of the pool, whose page tables clients may share. It waits
 * for a truncation under the client's mmap lock, as a fault waits for i_mmap.
 */
static enum outcome fault_shared(struct peershm_region *region,
				 struct vm_area_struct *vma, unsigned long addr)
{
	enum outcome outcome;

	if (PEERSHM_FAULTS_LOOK_UNLOCKED)
		down_read(&region->tables_rwsem);
	outcome = fault(vma, addr);
	if (PEERSHM_FAULTS_LOOK_UNLOCKED)
		up_read(&region->tables_rwsem);
	return outcome;
}

/* So many small pages are mapped while the page table is locked. */
#define AROUND 64

/*
 * The entry with the page table for an address, or, if it may be @empty, with
 * nothing; else NULL. The mmap lock keeps the entry in place. What is in it may
 * be gone again (MADV_DONTNEED frees empty page tables from 6.14 on): map_pages()
 * looks once more.
 */
static pmd_t *page_table(struct mm_struct *mm, unsigned long addr, bool empty)
{
	pgd_t *pgdp = pgd_offset(mm, addr);
	p4d_t *p4dp;
	pud_t *pudp;
	pmd_t *pmdp;
	pmd_t pmd;

	if (!pgd_present(READ_ONCE(*pgdp)))
		return NULL;
	p4dp = p4d_offset(pgdp, addr);
	if (!p4d_present(READ_ONCE(*p4dp)))
		return NULL;
	pudp = pud_offset(p4dp, addr);
	if (!pud_present(READ_ONCE(*pudp)) || pud_leaf(READ_ONCE(*pudp)))
		return NULL;
	pmdp = pmd_offset(pudp, addr);
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd))
		return empty ? pmdp : NULL;
	return pmd_present(pmd) && !pmd_leaf(pmd) ? pmdp : NULL;
}

/*
 * Map pages of tmpfs by fault-around, for a longer stretch than a fault does
 * (fault_around_bytes), where there is a page table already. For a huge page none
 * is needed, which a fault would allocate and free again. This never waits, and
 * leaves out what it cannot have at once.
 */
static void map_around(struct vm_area_struct *vma, unsigned long addr,
		       unsigned long end, bool huge)
{
	struct vm_fault vmf = {
		.vma = vma,
		.address = addr,
		.pgoff = linear_page_index(vma, addr),
		.gfp_mask = GFP_KERNEL,
		.flags = FAULT_FLAG_REMOTE,
		.pmd = page_table(vma->vm_mm, addr,
				  huge && PEERSHM_MAPS_WITHOUT_TABLE),
	};

	end = min(end, round_down(addr, AROUND * PAGE_SIZE) +
			       AROUND * PAGE_SIZE);
	if (vmf.pmd && vma->vm_ops->map_pages)
		vma->vm_ops->map_pages(&vmf, vmf.pgoff,
				       linear_page_index(vma,
							 end - PAGE_SIZE));
}

/*
 * A thread of the client that waits for its mmap lock is let in after so many
 * steps: faults, and stretches of small pages. Without that minimum, a thread
 * that always waits would leave no time to map anything.
 */
#define MIN_STEPS 16

/* The way through a range. */
struct progress {
	unsigned long end;		/* constant */
	struct task_struct *caller;	/* constant */
	unsigned int steps;
	unsigned long last;		/* address of the last fault */
	unsigned int faults;		/* taken there */
	bool whole;			/* nothing was left out so far */
};

static bool must_stop(const struct peershm_client *client,
		      struct progress *progress)
{
	if (fatal_signal_pending(progress->caller)) {
		progress->whole = false;
		return true;
	}
	return progress->steps >= MIN_STEPS &&
	       mmap_lock_is_contended(client->mm);
}

/* Huge pages of the pool whose page tables clients may share. */
static bool shares_tables(const struct peershm_region *region)
{
	return peershm_backing_pooled(region->backing) &&
	       region->page_size >= PMD_SIZE;
}

/*
 * Where to go on after a fault at an address.
 *
 * Returns: the same address, to be looked at again; the end of its @page, which
 * cannot be had; or the end of the range, if there is nothing more to try.
 */
static unsigned long after_fault(const struct peershm_region *region,
				 unsigned long addr, unsigned long page,
				 enum outcome outcome,
				 struct progress *progress)
{
	progress->faults = addr == progress->last ? progress->faults + 1 : 1;
	progress->last = addr;
	cond_resched();
	if (outcome == FAULTED && progress->faults < MAX_FAULTS)
		return addr;
	/* If the region shrank meanwhile, there is no more. */
	if (addr - region->base >= READ_ONCE(region->size))
		return progress->end;
	progress->whole = false;
	if (outcome == NO_MEMORY)
		return progress->end;
	/* One bad page is not to keep the others from being mapped. */
	return round_down(addr, page) + page;
}

static unsigned long populate_pooled(const struct peershm_client *client,
				     struct vm_area_struct *vma,
				     unsigned long addr, unsigned long end,
				     struct progress *progress)
{
	struct peershm_region *region = client->region;
	bool shared = shares_tables(region);
	enum outcome outcome;

	for (;;) {
		addr = shared ?
			       skip_shared(vma, addr, end) :
			       skip_present(client->mm, addr, end, false);
		if (addr >= end || must_stop(client, progress))
			return addr;
		progress->steps++;
		outcome = shared ? fault_shared(region, vma, addr) :
				   fault(vma, addr);
		addr = after_fault(region, addr, region->page_size, outcome,
				   progress);
	}
}

static unsigned long populate_tmpfs(const struct peershm_client *client,
				    struct vm_area_struct *vma,
				    unsigned long addr, unsigned long end,
				    struct progress *progress)
{
	bool thp = client->region->page_size > PAGE_SIZE;
	unsigned long tried = 0;

	for (;;) {
		addr = skip_present(client->mm, addr, end, false);
		if (addr >= end || must_stop(client, progress))
			return addr;
		progress->steps++;
		if (addr != tried) {
			map_around(vma, addr, end, thp);
			cond_resched();
			tried = addr;
		} else {
			addr = after_fault(client->region, addr, PAGE_SIZE,
					   fault(vma, addr), progress);
		}
	}
}

/*
 * One piece of the window.
 *
 * Returns: its end, or before it, if it is to be gone on with later, or the end
 * of the range, if there is nothing more to try.
 */
static unsigned long populate_piece(const struct peershm_client *client,
				    struct vm_area_struct *vma,
				    unsigned long addr, unsigned long end,
				    struct progress *progress)
{
	return peershm_backing_pooled(client->region->backing) ?
		       populate_pooled(client, vma, addr, end, progress) :
		       populate_tmpfs(client, vma, addr, end, progress);
}

/**
 * peershm_populate() - put a range into the client's page tables
 * @client: whose mmap lock is held
 * @caller: for whom; nothing more is done once it is being killed
 * @addr: in its window
 * @end: likewise
 * @whole: set to whether all that was tried is mapped
 *
 * Only what is the client's own window between the two addresses is touched. A
 * userfault handler of the client must not get to see a fault of somebody
 * else's, who would wait for it.
 *
 * Returns: up to where it was tried. Before @end only if the caller is being
 * killed, or, and then beyond @addr, if somebody waits for the mmap lock.
 */
unsigned long peershm_populate(const struct peershm_client *client,
			       struct task_struct *caller, unsigned long addr,
			       unsigned long end, bool *whole)
{
	struct progress progress = {
		.end = end,
		.caller = caller,
		.whole = true,
	};
	struct mm_struct *mm = client->mm;
	struct vm_area_struct *vma;
	unsigned long stop;

	lockdep_assert_held(&mm->mmap_lock);
	while (addr < end) {
		vma = find_vma_intersection(mm, addr, end);
		if (!vma || addr < vma->vm_start)
			progress.whole = false;
		if (!vma) {
			addr = end;
			break;
		}
		addr = max(addr, vma->vm_start);
		stop = min(end, vma->vm_end);
		if (peershm_window_owns(client, vma, addr) &&
		    vma->vm_flags & VM_READ && !userfaultfd_armed(vma)) {
			addr = populate_piece(client, vma, addr, stop,
					      &progress);
			if (addr != stop)
				break;
		} else {
			progress.whole = false;
			addr = stop;
		}
	}
	*whole = progress.whole;
	return addr;
}

/**
 * peershm_populate_chunk_size() - how much is mapped under a peer's mmap lock
 * @region: of the peer
 *
 * At a time; less, if one of the peer's threads waits for that lock.
 */
u64 peershm_populate_chunk_size(const struct peershm_region *region)
{
	return max_t(u64, SZ_16M, 512 * (u64)region->page_size);
}

/**
 * peershm_populate_charged() - put a range into a client's page tables
 * @client: whose mmap lock is held, and whose memory cgroup pays
 * @caller: for whom; nothing more is done once it is being killed
 * @start: in bytes from the base
 * @end: likewise
 * @whole: set to whether all that was tried is mapped
 *
 * The page tables are charged as if the client had taken the faults itself: so
 * no limit of whoever maps slows that down while it holds the client's lock.
 *
 * Returns: up to where it was tried, as peershm_populate() does.
 */
u64 peershm_populate_charged(struct peershm_client *client,
			     struct task_struct *caller, u64 start, u64 end,
			     bool *whole)
{
	unsigned long base = client->region->base;
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(client->mm);
	struct mem_cgroup *old = set_active_memcg(memcg);

	end = peershm_populate(client, caller, base + start, base + end,
			       whole) -
	      base;
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return end;
}

/**
 * peershm_populate_chunk() - map some of a range into a client, without waiting
 * @client: to whose region the caller has a reference
 * @start: in bytes from the base
 * @end: likewise
 * @shrinks: how often the region had shrunk when that was within its size
 *
 * Returns: false if the client's mmap lock was not to be had.
 */
bool peershm_populate_chunk(struct peershm_client *client, u64 start, u64 end,
			    u64 shrinks)
{
	struct mm_struct *mm = client->mm;
	u64 chunk = peershm_populate_chunk_size(client->region);
	u64 stop = min_t(u64, end, round_down(start, chunk) + chunk);
	bool whole = false;
	bool got;

	if (!mmget_not_zero(mm)) {
		/* Its window's file may be held by somebody else. */
		peershm_client_leave(client);
		return true;
	}
	got = mmap_read_trylock(mm);
	if (got) {
		stop = peershm_populate_charged(client, current, start, stop,
						&whole);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);
	if (whole)
		peershm_client_mapped(client, start, stop, shrinks);
	else if (got)
		peershm_client_partial(client, start, stop, shrinks);
	return got;
}
