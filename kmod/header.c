// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of a region: what clients read without entering the kernel. It
 * is a copy. The module never reads it back, and clients cannot write it.
 *
 * Pairing: begin() and end() here with the reader's loads of seq (see the
 * ABI). The stores to the fields lie between two write barriers, so a reader
 * that sees any of them sees seq changed.
 */
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <uapi/linux/peershm.h>

#include "client.h"
#include "header.h"
#include "region.h"

static void begin(struct peershm_region *region)
{
	struct peershm_header *header = region->header;

	lockdep_assert_held(&region->registry);
	WRITE_ONCE(header->seq, ++region->header_seq);
	smp_wmb(); /* seq is odd before any field changes */
}

static void end(struct peershm_region *region)
{
	smp_wmb(); /* every field has changed before seq is even */
	WRITE_ONCE(region->header->seq, ++region->header_seq);
}

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
 * peershm_header_alloc() - make the header of a region that has no client yet
 * @region: whose constant fields are set
 */
struct peershm_header *peershm_header_alloc(const struct peershm_region *region)
{
	struct peershm_header *header;

	header = vmalloc_user(peershm_header_length(region->max_clients));
	if (!header)
		return NULL;
	header->magic = PEERSHM_HEADER_MAGIC;
	header->version = PEERSHM_HEADER_VERSION;
	header->region = region->id;
	header->base = region->base;
	header->capacity = region->capacity;
	header->backing = region->backing;
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
 * peershm_header_publish() - show what changed in a region
 * @region: whose size, root, flags or number of clients changed
 */
void peershm_header_publish(struct peershm_region *region)
{
	struct peershm_header *header = region->header;

	begin(region);
	header->size = region->size;
	header->root = region->root;
	header->flags = region->linked ? 0 : PEERSHM_HEADER_UNLINKED;
	header->nr_clients = region->nr_clients;
	header->generation = ++region->generation;
	end(region);
}

/**
 * peershm_header_publish_client() - show what changed in a client
 * @region: its region
 * @slot: its entry
 * @client: NULL: the entry is free
 */
void peershm_header_publish_client(struct peershm_region *region,
				   unsigned int slot,
				   const struct peershm_client *client)
{
	struct peershm_header_client *e = entry(region->header, slot);

	begin(region);
	memset(e, 0, sizeof(*e));
	if (client) {
		e->id = client->id;
		e->start_time = client->start_time;
		e->base = region->base;
		e->mapped = client->mapped;
		e->pid = pid_nr_ns(client->pid, region->pid_ns);
		e->state = PEERSHM_CLIENT_LIVE;
		e->flags = client->flags;
		memcpy(e->name, client->name, sizeof(e->name));
	}
	end(region);
}
