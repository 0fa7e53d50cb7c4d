/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From an address to the handle whose window holds it. Readers search a sorted
 * array under RCU and take no lock. Adding publishes a new array; removing
 * clears the entry's handle in place, so that it needs no memory and cannot
 * fail. The next addition leaves cleared entries out.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * liburcu's readers inline, but where a tool would complain about them: the
 * analyzer takes its thread pointer for NULL, UBSan misses its alignment.
 */
#if !defined(__clang_analyzer__) && !defined(__SANITIZE_ADDRESS__)
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

#include "internal.h"

struct range {
	uint64_t start;
	uint64_t end;		/* the first byte beyond */
	uint64_t epoch;		/* the handle's: a child of fork has no use for it */
	struct peershm *handle; /* NULL: removed */
};

struct map {
	size_t n;
	struct range range[]; /* sorted by start, no two overlap */
};

static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *current_map; /* published under map_lock, read under RCU */

void pshm_find_lock(void)
{
	pthread_mutex_lock(&map_lock);
}

void pshm_find_unlock(void)
{
	pthread_mutex_unlock(&map_lock);
}

/*
 * An entry that a new window lies over has lost its memory (its owner unmapped
 * it by hand, or it is the parent's), whether or not its handle was closed.
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
	 * After this no look-up that could have seen the handle is still running,
	 * and the caller may free it. Readers pass over another process's handles
	 * by their epoch, so for those there is nobody to wait for.
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
 * In a child of fork, whose only thread holds the lock: offer it the parent's
 * handles. Those it takes over are found from then on.
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
