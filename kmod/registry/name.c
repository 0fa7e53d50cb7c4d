// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of clients that have left a region, so that the next client of such a
 * name gets the next generation. Anyone who may attach can make up names, so only
 * the names that were left last are remembered. Live clients are not among them:
 * they have the generation themselves.
 */
#include <linux/lockdep.h>
#include <linux/string.h>

#include "registry/client.h"
#include "registry/name.h"
#include "registry/region.h"
#include "types.h"

/* The place of @name: where it is, else the one that is to be forgotten next. */
static struct peershm_name *place_of(const struct peershm_region *region,
				     const char *name)
{
	struct peershm_name *place = &region->names[0];
	unsigned int i;

	lockdep_assert_held(&region->registry_lock);
	for (i = 0; i < region->max_clients; i++) {
		if (!strcmp(region->names[i].name, name))
			return &region->names[i];
		if (region->names[i].left < place->left)
			place = &region->names[i];
	}
	return place;
}

/**
 * peershm_name_last_locked() - the generation of a name's last client
 * @region: whose registry lock is held
 * @name: that no client of it has now
 *
 * Returns: 0 if there was none, or so many have left since that it is forgotten.
 */
u64 peershm_name_last_locked(const struct peershm_region *region,
			     const char *name)
{
	const struct peershm_name *place = place_of(region, name);

	return strcmp(place->name, name) ? 0 : place->generation;
}

/**
 * peershm_name_remember_locked() - a client leaves its name to others
 * @client: that was live
 */
void peershm_name_remember_locked(const struct peershm_client *client)
{
	struct peershm_region *region = client->region;
	struct peershm_name *place = place_of(region, client->name);

	memcpy(place->name, client->name, sizeof(place->name));
	place->generation = client->generation;
	place->left = ++region->departures;
}
