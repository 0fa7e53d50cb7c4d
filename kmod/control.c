// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control pages of a region: what clients tell each other without entering
 * the kernel. A page for all, then a page for each entry of the header. The
 * module gives a new client an empty page and looks at none.
 *
 * A client that may not write the region can write its own page alone, so that
 * it can say where it reads, and do no harm to what others say.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "client.h"
#include "control.h"
#include "region.h"

/**
 * peershm_control_length() - bytes of control pages
 * @max_clients: entries of the header
 */
size_t peershm_control_length(u32 max_clients)
{
	return PAGE_SIZE * (1 + (size_t)max_clients);
}

static pgoff_t page_of(int slot)
{
	return 1 + slot;
}

/**
 * peershm_control_clear() - give a client an empty page
 * @client: that has a slot, and is not live yet
 *
 * What is allocated here cannot be missing later, where it would be a SIGBUS.
 */
int peershm_control_clear(const struct peershm_client *client)
{
	struct address_space *mapping = client->region->control->f_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping) | __GFP_RETRY_MAYFAIL |
		    __GFP_NOWARN;
	pgoff_t index = page_of(client->slot);
	struct folio *folio;
	struct page *own;

	do {
		own = shmem_read_mapping_page_gfp(mapping, index, gfp);
		if (IS_ERR(own))
			return PTR_ERR(own) == -ENOSPC ? -ENOMEM :
							  PTR_ERR(own);
		put_page(own);
		/* Nothing, if it has been swapped out since. */
		folio = filemap_lock_folio(mapping, index);
	} while (IS_ERR_OR_NULL(folio));

	/* Huge, if the machine is told to make all of tmpfs so. */
	own = folio_page(folio, index - folio->index);
	clear_highpage(own);
	flush_dcache_page(own);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

/* Is it the client's own page, and no more? */
static bool own_page(const struct peershm_client *client, u64 start,
		     const struct vm_area_struct *vma)
{
	int slot = READ_ONCE(client->slot);	/* may leave meanwhile */

	return slot >= 0 && start == (u64)page_of(slot) << PAGE_SHIFT &&
	       vma->vm_end - vma->vm_start == PAGE_SIZE;
}

/**
 * peershm_control_mmap() - map control pages into a client
 * @region: whose
 * @start: the first byte of the control pages to map
 * @client: of the calling process
 * @vma: of the device's mmap operation
 */
int peershm_control_mmap(const struct peershm_region *region, u64 start,
			 const struct peershm_client *client,
			 struct vm_area_struct *vma)
{
	unsigned long offset = vma->vm_pgoff;
	u64 length = vma->vm_end - vma->vm_start;
	int err;

	if (start >= region->control_length ||
	    length > region->control_length - start)
		return -EINVAL;
	if (client->flags & PEERSHM_CLIENT_READ_ONLY &&
	    !own_page(client, start, vma)) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	vma->vm_pgoff = start >> PAGE_SHIFT;
	err = vfs_mmap(region->control, vma);
	if (err) {
		vma->vm_pgoff = offset;
		return err;
	}
	vma_set_file(vma, region->control);
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	return 0;
}
