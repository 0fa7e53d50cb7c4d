// SPDX-License-Identifier: GPL-2.0-only
/*
 * STAT, REGIONS, CLIENTS, RESOLVE: what there is, and who. They change nothing.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/time_namespace.h>

#include "command/answer.h"
#include "command/commands.h"
#include "registry/client.h"
#include "registry/directory.h"
#include "registry/region.h"
#include "types.h"

int peershm_stat_check(const void *arg)
{
	const struct peershm_stat *args = arg;

	if (args->flags || (args->region && args->name[0]) ||
	    (args->name[0] && !peershm_name_valid(args->name)))
		return -EINVAL;
	return 0;
}

long peershm_stat_run(struct peershm_region *region,
		      struct peershm_client *client, void *arg)
{
	struct peershm_stat *args = arg;

	peershm_region_describe(region, &args->info);
	return 0;
}

int peershm_regions_check(const void *arg)
{
	const struct peershm_regions *args = arg;

	if (args->flags || args->reserved || (!args->regions && args->nr_regions))
		return -EINVAL;
	return 0;
}

long peershm_regions_run(struct peershm_file *pf, void *arg)
{
	struct peershm_regions *args = arg;
	struct peershm_region_info *infos = NULL;
	u32 there = peershm_directory_count();
	u32 room = min(args->nr_regions, there);
	u32 n;
	int err;

	if (room) {
		infos = kvcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			return -ENOMEM;
	}
	n = peershm_directory_describe(infos, room);
	/* Regions made since the array was allocated are not in the answer. */
	if (args->nr_regions >= there)
		n = min(n, room);
	err = peershm_answer_array(args->regions, infos, min(n, room),
				   sizeof(*infos));
	args->nr_regions = n;
	kvfree(infos);
	return err;
}

int peershm_clients_check(const void *arg)
{
	const struct peershm_clients *args = arg;

	if (args->flags || args->reserved || (!args->clients && args->nr_clients))
		return -EINVAL;
	return 0;
}

static void describe_client(const struct peershm_client *client,
			    struct peershm_client_info *info)
{
	info->id = client->id;
	info->start_time = timens_add_boottime_ns(client->start_time);
	info->base = client->region->base;
	info->mapped = client->mapped;
	info->pid = peershm_client_pid(client);
	info->flags = client->flags;
	memcpy(info->name, client->name, sizeof(info->name));
}

long peershm_clients_run(struct peershm_region *region,
			 struct peershm_client *caller, void *arg)
{
	struct peershm_clients *args = arg;
	struct peershm_client_info *infos = NULL;
	struct peershm_client *client;
	u32 room, n = 0;
	unsigned int slot;
	int err;

	room = min(args->nr_clients, region->max_clients);
	if (room) {
		infos = kvcalloc(room, sizeof(*infos), GFP_KERNEL_ACCOUNT);
		if (!infos)
			return -ENOMEM;
	}
	spin_lock(&region->registry_lock);
	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || !peershm_client_present_locked(client))
			continue;
		if (n < room)
			describe_client(client, &infos[n]);
		n++;
	}
	spin_unlock(&region->registry_lock);

	err = peershm_answer_array(args->clients, infos, min(n, room),
				   sizeof(*infos));
	args->nr_clients = n;
	kvfree(infos);
	return err;
}

int peershm_resolve_check(const void *arg)
{
	const struct peershm_resolve *args = arg;
	bool by_pid = args->flags & PEERSHM_RESOLVE_BY_PID;

	if (args->flags & ~PEERSHM_RESOLVE_BY_PID || args->reserved ||
	    (by_pid ? args->pid <= 0 : !peershm_name_valid(args->name)))
		return -EINVAL;
	return 0;
}

long peershm_resolve_run(struct peershm_region *region,
			 struct peershm_client *caller, void *arg)
{
	struct peershm_resolve *args = arg;
	bool by_pid = args->flags & PEERSHM_RESOLVE_BY_PID;
	struct peershm_client *client;
	unsigned int slot;
	int err = -ENOENT;

	spin_lock(&region->registry_lock);
	for (slot = 0; slot < region->max_clients; slot++) {
		client = region->clients[slot];
		if (!client || !peershm_client_present_locked(client))
			continue;
		if (by_pid ? peershm_client_pid(client) != args->pid :
			     strcmp(client->name, args->name))
			continue;
		args->client = client->id;
		args->pid = peershm_client_pid(client);
		memcpy(args->name, client->name, sizeof(args->name));
		err = 0;
		break;
	}
	spin_unlock(&region->registry_lock);
	return err;
}
