/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of the fake device. */
#ifndef TESTS_UNIT_FAKE_COMMANDS_H
#define TESTS_UNIT_FAKE_COMMANDS_H

#include "fake_state.h"

static inline int fake_create(struct peershm_create *create)
{
	struct fake_region *region = NULL;

	fake.last_create = *create;
	if (fake_region_by(0, create->name))
		return EEXIST;
	for (int i = 0; i < FAKE_REGIONS && !region; i++) {
		if (!fake.regions[i].info.id)
			region = &fake.regions[i];
	}
	if (!region)
		return ENOSPC;
	memset(region, 0, sizeof(*region));
	region->info.id = ++fake.last_region;
	region->info.capacity = create->capacity;
	region->info.base = create->base ? create->base : FAKE_BASE + (fake.last_region << 36);
	region->info.page_size = 4096;
	region->info.backing = create->backing;
	region->info.mode = create->mode;
	region->info.max_clients = FAKE_CLIENTS;
	region->info.reserve = create->reserve;
	memcpy(region->info.name, create->name, sizeof(region->info.name));
	region->linked = true;
	region->header = fake_memory(NULL, FAKE_HEADER_LENGTH);
	region->control = fake_memory(NULL, FAKE_CONTROL_LENGTH);
	memset(region->clients, 0, sizeof(region->clients));
	fake_publish(region);
	create->region = region->info.id;
	return 0;
}

static inline int fake_attach(struct fake_file *file, struct peershm_attach *attach)
{
	struct fake_region *region = fake_region_by(0, attach->region_name);

	if (!region)
		return ENOENT;
	if (file->region)
		return EBUSY;
	if (region->info.nr_clients == FAKE_CLIENTS)
		return ENOSPC;
	fake.last_attach = *attach;
	if (!strcmp(attach->client_name, fake.taken))
		return EEXIST;
	/* A child of fork has neither header nor window, as with the module. */
	file->window = mmap((void *)(uintptr_t)region->info.base, region->info.capacity, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
			    0);
	if (file->window == MAP_FAILED)
		return errno == EEXIST ? EADDRINUSE : errno;
	madvise(file->window, region->info.capacity, MADV_DONTFORK);
	file->window_length = region->info.capacity;
	file->region = region;
	file->read_only = attach->flags & PEERSHM_ATTACH_READ_ONLY;
	fake.windows++;
	region->info.nr_clients++;
	for (file->entry = 0; region->clients[file->entry];)
		file->entry++;
	region->clients[file->entry] = ++fake.last_client;
	memset(region->control + (1 + file->entry) * FAKE_PAGE, 0, FAKE_PAGE);
	fake_publish(region);
	attach->region = region->info.id;
	attach->client = fake.last_client;
	attach->base = region->info.base;
	attach->capacity = region->info.capacity;
	attach->active = region->info.active;
	attach->header_length = FAKE_HEADER_LENGTH;
	attach->root_generation = region->info.root_generation;
	attach->control_length = FAKE_CONTROL_LENGTH;
	return 0;
}

static inline int fake_detach(struct fake_file *file)
{
	if (!file->region)
		return ENOTCONN;
	munmap(file->window, file->window_length);
	file->region->info.nr_clients--;
	file->region->clients[file->entry] = 0;
	fake_publish(file->region);
	file->region = NULL;
	fake.windows--;
	return 0;
}

static inline int fake_grow(struct fake_file *file, struct peershm_grow *grow)
{
	struct fake_region *region = grow->region ? fake_region_by(grow->region, "") : file->region;
	uint64_t size;

	fake.last_grow = *grow;
	if (!region)
		return grow->region ? ENOENT : ENOTCONN;
	if ((file->flags & O_ACCMODE) == O_RDONLY || (!grow->region && file->read_only))
		return EACCES;
	size = grow->flags & PEERSHM_GROW_TO ? grow->length : region->info.active + grow->length;
	if (!grow->length)
		return EINVAL;
	if (size > region->info.capacity || size < grow->length)
		return ENOSPC;
	grow->old_size = region->info.active;
	if (size > region->info.active)
		region->info.active = size;
	grow->new_size = region->info.active;
	grow->report.nr_peers = region->info.nr_clients;
	grow->report.mapped = region->info.nr_clients;
	fake_publish(region);
	return 0;
}

static inline uint64_t fake_announce(struct fake_region *region, uint64_t new_size)
{
	region->header->watermark = new_size;
	region->cookie = ++region->announcements;
	return region->cookie;
}

static inline int fake_shrink(struct fake_file *file, struct peershm_shrink *shrink)
{
	struct fake_region *region = shrink->region ? fake_region_by(shrink->region, "") :
						      file->region;

	fake.last_shrink = *shrink;
	if (fake.nr_shrinks < sizeof(fake.shrinks) / sizeof(fake.shrinks[0]))
		fake.shrinks[fake.nr_shrinks++] = shrink->flags;
	if (!region)
		return shrink->region ? ENOENT : ENOTCONN;
	if (!shrink->region && file->read_only)
		return EACCES;
	if (shrink->new_size > region->info.active)
		return shrink->flags == PEERSHM_SHRINK_ANNOUNCED ? ECANCELED : EINVAL;
	if (shrink->flags == PEERSHM_SHRINK_ANNOUNCE) {
		shrink->cookie = fake_announce(region, shrink->new_size);
		return 0;
	}
	if (shrink->flags != PEERSHM_SHRINK_FORCE &&
	    (!region->cookie || region->cookie != shrink->cookie))
		return ECANCELED;
	if (shrink->flags == PEERSHM_SHRINK_ANNOUNCED &&
	    region->header->watermark != shrink->new_size)
		return ECANCELED;
	if (shrink->flags != PEERSHM_SHRINK_CANCEL)
		region->info.active = shrink->new_size;
	fake_publish(region);
	return 0;
}

static inline int fake_stat(struct fake_file *file, struct peershm_stat *stat)
{
	struct fake_region *region = file->region;

	if (stat->region || stat->name[0])
		region = fake_region_by(stat->region, stat->name);
	if (!region)
		return ENOENT;
	stat->info = region->info;
	return 0;
}

static inline int fake_regions(struct peershm_regions *list)
{
	struct peershm_region_info *out = (struct peershm_region_info *)(uintptr_t)list->regions;
	uint32_t n = 0;

	for (int i = 0; i < FAKE_REGIONS; i++) {
		if (!fake.regions[i].info.id || !fake.regions[i].linked)
			continue;
		if (n < list->nr_regions)
			out[n] = fake.regions[i].info;
		n++;
	}
	list->nr_regions = n;
	return 0;
}

static inline int fake_unlink(const struct peershm_unlink *unlink)
{
	struct fake_region *region = fake_region_by(unlink->region, unlink->name);

	if (!region || !region->linked)
		return ENOENT;
	region->linked = false;
	if (!region->info.nr_clients) {
		munmap(region->header, FAKE_HEADER_LENGTH);
		munmap(region->control, FAKE_CONTROL_LENGTH);
		memset(region, 0, sizeof(*region));
	}
	return 0;
}

static inline struct peershm_root_info *fake_root_by(struct fake_region *region, const char *name)
{
	for (int i = 0; i < FAKE_ROOTS; i++) {
		if (!strcmp(region->roots[i].name, name))
			return &region->roots[i];
	}
	return NULL;
}

static inline int fake_set_root(struct fake_file *file, struct peershm_set_root *set)
{
	struct fake_region *region = set->region ? fake_region_by(set->region, "") : file->region;
	struct peershm_root_info now = { 0 };
	struct peershm_root_info *root = NULL;

	fake.last_set_root = *set;
	if (!region)
		return set->region ? ENOENT : ENOTCONN;
	now.root = region->info.root;
	now.generation = region->info.root_generation;
	if (set->name[0]) {
		root = fake_root_by(region, set->name);
		now = root ? *root : (struct peershm_root_info){ 0 };
	}
	if (now.root != set->expected)
		return EEXIST;
	if ((set->flags & PEERSHM_ROOT_GENERATION) && now.generation != set->expected_generation)
		return EEXIST;
	set->generation = ++region->root_changes;
	if (!set->name[0]) {
		region->info.root = set->root;
		region->info.root_generation = set->generation;
		fake_publish(region);
		return 0;
	}
	if (!root && !set->root)
		return ENOENT;
	if (!root)
		root = fake_root_by(region, "");
	if (!root)
		return ENOSPC;
	memset(root, 0, sizeof(*root));
	if (!set->root) {
		set->generation = 0;
		return 0;
	}
	root->root = set->root;
	root->generation = set->generation;
	memcpy(root->name, set->name, sizeof(root->name));
	return 0;
}

static inline int fake_get_root(struct fake_file *file, struct peershm_get_root *get)
{
	struct fake_region *region = get->region ? fake_region_by(get->region, "") : file->region;
	struct peershm_root_info *root;

	if (!region)
		return get->region ? ENOENT : ENOTCONN;
	if (!get->info.name[0]) {
		get->info.root = region->info.root;
		get->info.generation = region->info.root_generation;
		return 0;
	}
	root = fake_root_by(region, get->info.name);
	if (!root)
		return ENOENT;
	get->info = *root;
	return 0;
}

static inline int fake_list_roots(struct fake_file *file, struct peershm_roots *list)
{
	struct peershm_root_info *out = (struct peershm_root_info *)(uintptr_t)list->roots;
	uint32_t n = 0;

	if (!file->region)
		return ENOTCONN;
	for (int i = 0; i < FAKE_ROOTS; i++) {
		if (!file->region->roots[i].name[0])
			continue;
		if (n < list->nr_roots)
			out[n] = file->region->roots[i];
		n++;
	}
	list->nr_roots = n;
	return 0;
}

static inline int fake_resolve(struct peershm_resolve *resolve)
{
	if (resolve->flags & PEERSHM_RESOLVE_BY_PID) {
		if (resolve->pid != 4242)
			return ENOENT;
		memcpy(resolve->name, "bgpd", sizeof("bgpd"));
	} else {
		if (strcmp(resolve->name, "bgpd") != 0 && strcmp(resolve->name, "someone") != 0)
			return ENOENT;
		resolve->pid = fake.pid;
		resolve->client = fake.last_client;
	}
	return 0;
}

static inline int fake_command(struct fake_file *file, unsigned long command, void *argument)
{
	struct fake_region *region = file->region;

	switch (command) {
	case PEERSHM_IOC_CREATE:
		return fake_create(argument);
	case PEERSHM_IOC_ATTACH:
		return fake_attach(file, argument);
	case PEERSHM_IOC_DETACH:
		return fake_detach(file);
	case PEERSHM_IOC_GROW:
		return fake_grow(file, argument);
	case PEERSHM_IOC_STAT:
		return fake_stat(file, argument);
	case PEERSHM_IOC_REGIONS:
		return fake_regions(argument);
	case PEERSHM_IOC_UNLINK:
		return fake_unlink(argument);
	case PEERSHM_IOC_RESOLVE:
		return fake_resolve(argument);
	case PEERSHM_IOC_PEER_MAP:
		fake.last_map = *(struct peershm_peer_map *)argument;
		return 0;
	case PEERSHM_IOC_SHRINK:
		return fake_shrink(file, argument);
	case PEERSHM_IOC_SET_RESERVE:
		if (!region)
			return ENOTCONN;
		region->info.reserve = ((struct peershm_set_reserve *)argument)->reserve;
		return 0;
	case PEERSHM_IOC_SET_ROOT:
		return fake_set_root(file, argument);
	case PEERSHM_IOC_GET_ROOT:
		return fake_get_root(file, argument);
	case PEERSHM_IOC_ROOTS:
		return fake_list_roots(file, argument);
	case PEERSHM_IOC_CLIENTS:
		((struct peershm_clients *)argument)->nr_clients =
			region ? region->info.nr_clients : 0;
		return 0;
	case PEERSHM_IOC_WATCH:
		if (region || file->watched)
			return EBUSY;
		file->watched = fake_region_by(((struct peershm_watch *)argument)->region, "");
		return file->watched ? 0 : ENOENT;
	default:
		return ENOTTY;
	}
}

#endif /* TESTS_UNIT_FAKE_COMMANDS_H */
