/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The map from an address to the handle whose window contains it. Look-ups search
 * a sorted array under RCU, without a lock. Adding a handle publishes a new array.
 * Removing a handle clears it in its entry of the published array; this needs no
 * memory, so it cannot fail. The next addition leaves cleared entries out.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * Inline liburcu's read side, except for two tools that report false errors in
 * it: the analyzer believes that its thread pointer is NULL, and UBSan that it
 * is misaligned.
 */
#if !defined(__clang_analyzer__) && !defined(__SANITIZE_ADDRESS__)
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

#include "internal.h"

struct range {
	uint64_t start;
	uint64_t end;		/* the first byte beyond */
	uint64_t epoch;		/* the handle's; look-ups in a child of fork skip the entry by it */
	struct peershm *handle; /* NULL: removed */
};

struct map {
	size_t n;
	struct range range[]; /* sorted by start, no two overlap */
};

static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *current_map; /* replaced under map_lock, read under RCU */

void pshm_find_lock(void)
{
	pthread_mutex_lock(&map_lock);
}

void pshm_find_unlock(void)
{
	pthread_mutex_unlock(&map_lock);
}

/*
 * Whether the new array can leave an old entry out: its handle was removed or
 * belongs to the parent of this process, or the new window is where its window
 * was, so that one has been unmapped, even if its handle was not closed.
 */
static bool is_stale(const struct range *old, const struct range *new)
{
	return !old->handle || old->epoch != new->epoch ||
	       (old->start < new->end &&new->start < old->end);
}

static struct map *map_with(const struct map *old, const struct range *new)
{
	size_t n_old = old ? old->n : 0;
	struct map *map = pshm_alloc(sizeof(*map) + (n_old + 1) * sizeof(map->range[0]));
	bool placed = false;

	if (!map)
		return NULL;
	for (size_t i = 0; i < n_old; i++) {
		if (is_stale(&old->range[i], new))
			continue;
		if (!placed && old->range[i].start > new->start) {
			map->range[map->n++] = *new;
			placed = true;
		}
		map->range[map->n++] = old->range[i];
	}
	if (!placed)
		map->range[map->n++] = *new;
	return map;
}

static struct range *search_map(struct map *map, uint64_t address)
{
	size_t low = 0;
	size_t high = map ? map->n : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (address >= map->range[middle].end)
			low = middle + 1;
		else if (address < map->range[middle].start)
			high = middle;
		else
			return &map->range[middle];
	}
	return NULL;
}

int pshm_find_add(struct peershm *handle)
{
	struct range range = {
		.start = handle->base,
		.end = handle->base + handle->capacity,
		.epoch = handle->epoch,
		.handle = handle,
	};
	struct map *old;
	struct map *new;

	pthread_mutex_lock(&map_lock);
	old = current_map;
	new = map_with(old, &range);
	if (!new) {
		pthread_mutex_unlock(&map_lock);
		return pshm_fail(-ENOMEM, NULL);
	}
	rcu_assign_pointer(current_map, new);
	if (old) {
		urcu_bp_synchronize_rcu();
		free(old);
	}
	pthread_mutex_unlock(&map_lock);
	return 0;
}

static bool is_empty(const struct map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		if (map->range[i].handle)
			return false;
	}
	return true;
}

void pshm_find_remove(struct peershm *handle)
{
	struct map *unused = NULL;
	bool seen = false;

	pthread_mutex_lock(&map_lock);
	for (size_t i = 0; current_map && i < current_map->n; i++) {
		if (current_map->range[i].handle == handle) {
			uatomic_set(&current_map->range[i].handle, NULL);
			seen = true;
		}
	}
	/*
	 * Wait for all look-ups that may have seen the handle, so that the caller
	 * can free it. Look-ups skip handles of another process by their epoch,
	 * so for such a handle there is nothing to wait for.
	 */
	if (seen && handle->epoch == pshm_process_epoch()) {
		if (is_empty(current_map)) {
			unused = current_map;
			rcu_assign_pointer(current_map, NULL);
		}
		urcu_bp_synchronize_rcu();
	}
	free(unused);
	pthread_mutex_unlock(&map_lock);
}

/*
 * Called in a child of fork, by its only thread, which holds the lock: call
 * again() on each handle of the parent that was opened with PEERSHM_REATTACH.
 * Look-ups in the child find the handles for which it succeeds.
 */
void pshm_find_inherit(uint64_t parent, uint64_t child,
		       int (*again)(struct peershm *handle, uint64_t epoch))
{
	for (size_t i = 0; current_map && i < current_map->n; i++) {
		struct range *range = &current_map->range[i];

		if (range->handle && range->epoch == parent && range->handle->reattach &&
		    !again(range->handle, child))
			range->epoch = child;
	}
}

PEERSHM_API struct peershm *peershm_find(const void *address)
{
	uint64_t epoch = pshm_process_epoch();
	struct peershm *handle = NULL;
	struct range *range;

	if (!epoch)
		return NULL;
	urcu_bp_read_lock();
	/* Pairs with rcu_assign_pointer() in pshm_find_add(). */
	range = search_map(rcu_dereference(current_map), (uint64_t)(uintptr_t)address);
	if (range && range->epoch == epoch)
		handle = uatomic_read(&range->handle);
	urcu_bp_read_unlock();
	return handle;
}
