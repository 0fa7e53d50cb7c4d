// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of a region: what clients read without entering the kernel. It
 * is a copy. The module never reads it back, and clients cannot write it.
 *
 * Pairing: the write barriers in begin and end with the reader's loads of seq
 * (see the ABI). The stores to the fields lie between the two, so a reader that
 * sees any of them sees seq changed.
 */
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <uapi/linux/peershm.h>

#include "memory/backing.h"
#include "registry/header.h"
#include "types.h"

static struct peershm_header_client *entry(struct peershm_header *header,
					   unsigned int slot)
{
	return (struct peershm_header_client *)(header + 1) + slot;
}

/**
 * peershm_header_length() - bytes of a header
 * @max_clients: entries
 */
size_t peershm_header_length(u32 max_clients)
{
	return PAGE_ALIGN(sizeof(struct peershm_header) +
			  sizeof(struct peershm_header_client) * max_clients);
}

/**
 * peershm_header_alloc() - make the header of a region that has no place yet
 * @region: whose other constant fields are set
 */
struct peershm_header *peershm_header_alloc(const struct peershm_region *region)
{
	struct peershm_header *header;

	header = __vmalloc(peershm_header_length(region->max_clients),
			   GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	if (!header)
		return NULL;
	header->magic = PEERSHM_HEADER_MAGIC;
	header->major = PEERSHM_HEADER_MAJOR;
	header->minor = PEERSHM_HEADER_MINOR;
	header->capacity = region->capacity;
	header->backing = peershm_backing_id(region->backing);
	header->page_size = region->page_size;
	header->max_clients = region->max_clients;
	header->client_offset = sizeof(*header);
	header->client_size = sizeof(struct peershm_header_client);
	memcpy(header->name, region->name, sizeof(header->name));
	return header;
}

void peershm_header_free(struct peershm_header *header)
{
	vfree(header);
}

/**
 * peershm_header_mmap() - map the header into a client
 * @region: whose
 * @vma: not writable, and never to be
 */
int peershm_header_mmap(const struct peershm_region *region,
			struct vm_area_struct *vma)
{
	size_t length = vma->vm_end - vma->vm_start;
	size_t offset;
	int err = 0;

	if (length > peershm_header_length(region->max_clients))
		return -EINVAL;
	for (offset = 0; !err && offset < length; offset += PAGE_SIZE)
		err = vm_insert_page(vma, vma->vm_start + offset,
				     vmalloc_to_page((char *)region->header +
						     offset));
	return err;
}

/**
 * peershm_header_begin() - begin a change that readers see whole or not at all
 * @region: whose registry lock is held until the end
 *
 * Nothing in between may sleep. On a real-time kernel the lock alone does not
 * disable preemption: a reader of high priority could preempt the change, and
 * then spin for ever while it waits for the end of that change.
 */
void peershm_header_begin(struct peershm_region *region)
{
	lockdep_assert_held(&region->registry_lock);
	preempt_disable();
	WRITE_ONCE(region->header->seq, ++region->header_seq);
	smp_wmb(); /* seq is odd before any field changes */
}

/**
 * peershm_header_set_place() - show id and base
 * @region: which has just been given them, and of which a change has begun
 */
void peershm_header_set_place(struct peershm_region *region)
{
	lockdep_assert_held(&region->registry_lock);
	region->header->region = region->id;
	region->header->base = region->base;
}

/**
 * peershm_header_set_region() - show size, watermark, root, flags and number
 *                                of clients
 * @region: of which a change has begun
 */
void peershm_header_set_region(struct peershm_region *region)
{
	struct peershm_header *header = region->header;

	lockdep_assert_held(&region->registry_lock);
	WRITE_ONCE(header->size, region->size);
	WRITE_ONCE(header->watermark, min(region->watermark, region->size));
	WRITE_ONCE(header->root,
		   peershm_root_address_locked(region, &region->root));
	WRITE_ONCE(header->root_generation, region->root.generation);
	WRITE_ONCE(header->flags, region->linked ? 0 : PEERSHM_HEADER_UNLINKED);
	WRITE_ONCE(header->nr_clients, region->nr_clients);
	WRITE_ONCE(header->generation, ++region->generation);
}

/**
 * peershm_header_set_client() - show a client
 * @region: of which a change has begun
 * @slot: the client's entry
 * @client: NULL: the entry is free
 */
void peershm_header_set_client(struct peershm_region *region, unsigned int slot,
			       const struct peershm_client *client)
{
	struct peershm_header_client *e = entry(region->header, slot);

	lockdep_assert_held(&region->registry_lock);
	if (!client) {
		WRITE_ONCE(e->id, 0);
		memset(e, 0, sizeof(*e));
		return;
	}
	/* A client that stays must not seem to be gone in between. */
	WRITE_ONCE(e->id, client->id);
	e->start_time = client->start_time;
	e->base = region->base;
	e->mapped = client->mapped;
	e->pid = pid_nr_ns(client->pid, region->pid_ns);
	e->state = PEERSHM_CLIENT_LIVE;
	e->flags = client->flags;
	memcpy(e->name, client->name, sizeof(e->name));
}

/**
 * peershm_header_end() - the change is complete
 * @region: of which a change has begun
 */
void peershm_header_end(struct peershm_region *region)
{
	lockdep_assert_held(&region->registry_lock);
	smp_wmb(); /* every field has changed before seq is even */
	WRITE_ONCE(region->header->seq, ++region->header_seq);
	preempt_enable();
}

/**
 * peershm_header_show_region() - a change of nothing but what set_region shows
 * @region: whose registry lock is held
 */
void peershm_header_show_region(struct peershm_region *region)
{
	peershm_header_begin(region);
	peershm_header_set_region(region);
	peershm_header_end(region);
}
