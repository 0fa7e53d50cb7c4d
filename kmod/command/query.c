// SPDX-License-Identifier: GPL-2.0-only
/*
 * STAT, REGIONS, CLIENTS, RESOLVE, INFO: what there is, and who. They change
 * nothing.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/time_namespace.h>

#include "command/answer.h"
#include "command/commands.h"
#include "memory/backing.h"
#include "registry/client.h"
#include "registry/directory.h"
#include "registry/limits.h"
#include "registry/region.h"
#include "types.h"

/* Bytes of a record in the first published version. */
#define CLIENT_LEAST 112
#define REGION_LEAST 176
#define BACKING_LEAST 24

int peershm_stat_check(void *arg)
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

int peershm_regions_check(void *arg)
{
	struct peershm_regions *args = arg;

	return args->flags ?
		       -EINVAL :
		       peershm_answer_check(args->regions, args->nr_regions,
					    args->record_size, REGION_LEAST,
					    &args->failure);
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
	err = peershm_answer_array(args->regions, args->record_size, infos,
				   min(n, room), sizeof(*infos));
	args->nr_regions = n;
	kvfree(infos);
	return err;
}

int peershm_clients_check(void *arg)
{
	struct peershm_clients *args = arg;

	return args->flags ?
		       -EINVAL :
		       peershm_answer_check(args->clients, args->nr_clients,
					    args->record_size, CLIENT_LEAST,
					    &args->failure);
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
	info->slot = client->entry;
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

	err = peershm_answer_array(args->clients, args->record_size, infos,
				   min(n, room), sizeof(*infos));
	args->nr_clients = n;
	kvfree(infos);
	return err;
}

int peershm_resolve_check(void *arg)
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
	if (err)
		peershm_fail(&args->failure, err, PEERSHM_REASON_NO_CLIENT, 0);
	return err;
}

int peershm_info_check(void *arg)
{
	struct peershm_info *args = arg;

	return args->flags ?
		       -EINVAL :
		       peershm_answer_check(args->backings, args->nr_backings,
					    args->record_size, BACKING_LEAST,
					    &args->failure);
}

long peershm_info_run(struct peershm_file *pf, void *arg)
{
	struct peershm_backing_info infos[PEERSHM_NR_BACKINGS] = {};
	struct peershm_info *args = arg;
	u32 n = peershm_backing_list(infos);
	u32 room = min(args->nr_backings, n);

	args->features = PEERSHM_FEATURE_PINS;
	args->version = PEERSHM_VERSION;
	args->header_major = PEERSHM_HEADER_MAJOR;
	args->header_minor = PEERSHM_HEADER_MINOR;
	peershm_limits_describe(args);
	args->nr_backings = n;
	return peershm_answer_array(args->backings, args->record_size, infos,
				    room, sizeof(*infos));
}
