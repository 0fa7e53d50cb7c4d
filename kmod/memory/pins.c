// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is pinned, for devices to read and write: see pin_user_pages() in the
 * kernel's documentation. A device goes on with its pages after a truncation, which
 * no process sees any more then.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>

#include "memory/pins.h"

/* Entries to look at before others get the lock, and the CPU. */
#define AT_ONCE 512

/*
 * Large folios count their pins. On a small one each pin is as many references as
 * nobody else holds, but the page tables of many clients: those are known.
 */
static bool is_pinned(struct folio *folio)
{
	if (folio_test_large(folio))
		return folio_maybe_dma_pinned(folio);
	return folio_ref_count(folio) - peershm_folio_mapcount(folio) >=
	       (int)GUP_PIN_COUNTING_BIAS;
}

/**
 * peershm_pinned() - how much of a file's memory is pinned
 * @file: of tmpfs or hugetlbfs
 * @start: in bytes
 * @end: likewise
 *
 * While a folio is in the file, and the lock is held, it is not freed. A page that
 * goes to a pipe (vmsplice) is only read there, and does not count.
 *
 * Returns: bytes, with all of a folio of which a part is pinned.
 */
u64 peershm_pinned(struct file *file, u64 start, u64 end)
{
	unsigned int shift = peershm_index_shift(file);
	XA_STATE(xas, &file->f_mapping->i_pages, start >> shift);
	unsigned int looked = 0;
	struct folio *folio;
	u64 bytes = 0;

	if (start >= end)
		return 0;
	xas_lock_irq(&xas);
	xas_for_each(&xas, folio, (end - 1) >> shift) {
		if (!xa_is_value(folio) && is_pinned(folio))
			bytes += folio_size(folio);
		if (++looked % AT_ONCE)
			continue;
		xas_pause(&xas);
		xas_unlock_irq(&xas);
		cond_resched();
		xas_lock_irq(&xas);
		if (fatal_signal_pending(current))
			break;
	}
	xas_unlock_irq(&xas);
	return bytes;
}
