// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control pages of a region: what clients tell each other without entering
 * the kernel. There is one page for all, and one for each entry of the header.
 * The module gives a new client an empty page, and never reads any of them.
 *
 * A read-only client can write its own page alone: enough to say where it reads,
 * and too little to harm what others say. It maps that page through a file of its
 * own (mapfile.c), and its slot of the registry is kept until that file is
 * released: so it cannot write what the next client in the slot says, either. A
 * page that it pinned (io_uring, RDMA) stays with it for longer, but the next
 * client gets another page.
 */
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "registry/client.h"
#include "registry/region.h"
#include "window/control.h"
#include "window/mapfile.h"
#include "types.h"

/**
 * peershm_control_length() - bytes of control pages
 * @max_clients: entries of the header
 */
size_t peershm_control_length(u32 max_clients)
{
	return PAGE_SIZE * (1 + (size_t)max_clients);
}

static pgoff_t page_of(const struct peershm_client *client)
{
	return 1 + client->entry;
}

/**
 * peershm_control_renew() - give a client an empty page
 * @client: that has an entry, and is not live yet
 *
 * What is allocated here cannot be missing later, where it would be a SIGBUS.
 * At a limit of the memory cgroup it is to fail, and no process to be killed.
 */
int peershm_control_renew(const struct peershm_client *client)
{
	struct address_space *mapping = client->region->control->f_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping) | __GFP_RETRY_MAYFAIL |
		    __GFP_NOWARN;
	pgoff_t index = page_of(client);
	loff_t start = (loff_t)index << PAGE_SHIFT;
	struct page *page;

	inode_lock(mapping->host);
	shmem_truncate_range(mapping->host, start, start + PAGE_SIZE - 1);
	inode_unlock(mapping->host);
	page = shmem_read_mapping_page_gfp(mapping, index, gfp);
	if (IS_ERR(page))
		return PTR_ERR(page) == -ENOSPC ? -ENOMEM : PTR_ERR(page);
	put_page(page);
	return 0;
}

static void page_release(struct dentry *dentry)
{
	struct peershm_client *client = dentry->d_fsdata;

	peershm_client_free_slot(client);
	peershm_client_put(client);
}

static const struct dentry_operations page_ops =
	PEERSHM_MAPFILE_OPS(page_release);

/* The file through which a client that may not write the region has its page. */
static struct file *open_own(struct peershm_client *client)
{
	struct file *file;
	int err;

	err = peershm_client_keep_slot(client);
	if (err)
		return ERR_PTR(err);
	file = peershm_mapfile_open(client->region->control, O_RDWR, &page_ops,
				    client);
	if (IS_ERR(file))
		peershm_client_free_slot(client);
	else
		kref_get(&client->ref);
	return file;
}

/* Is it the client's own page, and no more? */
static bool own_page(const struct peershm_client *client, u64 start,
		     const struct vm_area_struct *vma)
{
	return start == (u64)page_of(client) << PAGE_SHIFT &&
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
			 struct peershm_client *client,
			 struct vm_area_struct *vma)
{
	bool read_only = client->flags & PEERSHM_CLIENT_READ_ONLY;
	unsigned long offset = vma->vm_pgoff;
	u64 length = vma->vm_end - vma->vm_start;
	struct file *file;
	int err;

	if (start >= region->control_length ||
	    length > region->control_length - start)
		return -EINVAL;
	if (read_only && own_page(client, start, vma)) {
		file = open_own(client);
		if (IS_ERR(file))
			return PTR_ERR(file);
	} else {
		if (read_only && vma->vm_flags & VM_WRITE)
			return -EACCES;
		if (read_only)
			vm_flags_clear(vma, VM_MAYWRITE);
		file = get_file(region->control);
	}
	vma->vm_pgoff = start >> PAGE_SHIFT;
	err = vfs_mmap(file, vma);
	if (err) {
		vma->vm_pgoff = offset;
	} else {
		vma_set_file(vma, file);
		vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	}
	fput(file);
	return err;
}
