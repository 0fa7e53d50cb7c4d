/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stand-in for the device below the library's one door to it: regions and
 * clients in plain memory, every open thing counted, and every step (open,
 * command, mapping, allocation) can be told to fail.
 */
#ifndef TESTS_UNIT_FAKE_DEVICE_H
#define TESTS_UNIT_FAKE_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define FAKE_REGIONS 4
#define FAKE_FILES 16
#define FAKE_ROOTS 2
#define FAKE_FD 1000 /* of file 0; a real close() of it does no harm */
#define FAKE_HEADER_LENGTH 8192
#define FAKE_CLIENTS 4
#define FAKE_PAGE ((size_t)sysconf(_SC_PAGESIZE)) /* of the control pages */
#define FAKE_CONTROL_LENGTH (FAKE_PAGE * (1 + FAKE_CLIENTS))
#define FAKE_BASE 0x580000000000ULL
#define FAKE_CLIENT_OFFSET 256

struct fake_region {
	struct peershm_region_info info; /* id 0: free */
	bool linked;
	struct peershm_header *header;
	struct peershm_root_info roots[FAKE_ROOTS]; /* without name: free */
	uint64_t root_changes;
	uint64_t left; /* clients that have: the next one's generation is one more */
	uint64_t clients[FAKE_CLIENTS]; /* id by entry; 0: free */
	char *control;
};

#define FAKE_EVENTS 8
#define FAKE_PARAMETERS 4

struct fake_file {
	bool open;
	int flags;
	bool read_only; /* attached so */
	uint32_t entry; /* in the header */
	struct fake_region *watched;
	struct peershm_event events[FAKE_EVENTS]; /* to be read */
	int nr_events;
	struct fake_region *region; /* attached to, or NULL */
	void *window;
	uint64_t window_length;
	const char *parameter; /* what reads from it */
};

static struct fake_device {
	struct fake_region regions[FAKE_REGIONS];
	struct fake_file files[FAKE_FILES];
	uint64_t last_region;
	uint64_t last_client;
	int open_files;
	int header_maps;
	int windows;
	int steps;   /* taken so far */
	int fail_at; /* the step that fails, counted from 1; 0: none */
	int fail_with;
	unsigned long fail_command; /* every call of it fails, with fail_with */
	unsigned long commands[64]; /* in the order they came */
	size_t nr_commands;
	bool break_header;		       /* as it is mapped, it tells of another region */
	void (*before)(unsigned long command); /* somebody else acts first */
	struct peershm_grow last_grow;
	struct peershm_peer_map last_map;
	struct peershm_create last_create;
	struct peershm_shrink last_shrink;
	struct peershm_set_root last_set_root;
	struct peershm_attach last_attach;
	char taken[PEERSHM_NAME_SIZE]; /* client name that a live client has */
	int allocations;
	uint32_t shrinks[8]; /* the flags of each */
	size_t nr_shrinks;
	bool no_membarrier;
	int last_timeout; /* of poll() */
	int polls;
	bool exempt; /* from what limits one user */
	struct {
		const char *name;
		const char *value;
	} parameters[FAKE_PARAMETERS]; /* of the module */
	void (*during_poll)(int n);    /* what happens while the n-th waits */
} fake;

static inline bool fake_step(void)
{
	if (++fake.steps != fake.fail_at)
		return true;
	errno = fake.fail_with;
	return false;
}

static inline struct fake_region *fake_region_by(uint64_t id, const char *name)
{
	for (int i = 0; i < FAKE_REGIONS; i++) {
		struct fake_region *region = &fake.regions[i];

		if (!region->info.id)
			continue;
		if (id ? region->info.id == id : region->linked && !strcmp(region->info.name, name))
			return region;
	}
	return NULL;
}

static inline void fake_publish(struct fake_region *region)
{
	struct peershm_header *header = region->header;
	struct peershm_header_client *clients =
		(struct peershm_header_client *)((char *)header + FAKE_CLIENT_OFFSET);

	header->magic = PEERSHM_HEADER_MAGIC;
	header->version = PEERSHM_HEADER_VERSION;
	header->region = region->info.id;
	header->base = region->info.base;
	header->capacity = region->info.capacity;
	header->size = region->info.active;
	header->root = region->info.root;
	header->root_generation = region->info.root_generation;
	header->backing = region->info.backing;
	header->page_size = region->info.page_size;
	header->max_clients = FAKE_CLIENTS;
	header->client_offset = FAKE_CLIENT_OFFSET;
	header->client_size = sizeof(*clients);
	header->nr_clients = region->info.nr_clients;
	header->watermark = header->size;
	memset(clients, 0, FAKE_CLIENTS * sizeof(*clients));
	for (uint32_t i = 0; i < FAKE_CLIENTS; i++) {
		if (!region->clients[i])
			continue;
		clients[i].id = region->clients[i];
		clients[i].state = PEERSHM_CLIENT_LIVE;
		clients[i].pid = 100 + (int)i;
		memcpy(clients[i].name, "someone", sizeof("someone"));
	}
}

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
	region->header = mmap(NULL, FAKE_HEADER_LENGTH, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region->control = mmap(NULL, FAKE_CONTROL_LENGTH, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
	/* As the module's: a child of fork has neither header nor window. */
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
	attach->generation = region->left + 1;
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
	file->region->left++;
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

static inline int fake_shrink(struct fake_file *file, const struct peershm_shrink *shrink)
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
		return EINVAL;
	if (shrink->flags == PEERSHM_SHRINK_ANNOUNCE) {
		region->header->watermark = shrink->new_size;
		return 0;
	}
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
		if (strcmp(resolve->name, "bgpd"))
			return ENOENT;
		resolve->pid = 4242;
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

static inline struct fake_file *fake_file_of(int fd)
{
	if (fd < FAKE_FD || fd >= FAKE_FD + FAKE_FILES || !fake.files[fd - FAKE_FD].open)
		return NULL;
	return &fake.files[fd - FAKE_FD];
}

static inline const char *fake_parameter(const char *path)
{
	for (int i = 0; i < FAKE_PARAMETERS && fake.parameters[i].name; i++) {
		if (!strcmp(path + strlen(PSHM_PARAMETERS), fake.parameters[i].name))
			return fake.parameters[i].value;
	}
	return NULL;
}

static inline int fake_open(const char *path, int flags)
{
	bool device = strncmp(path, PSHM_PARAMETERS, strlen(PSHM_PARAMETERS)) != 0;

	if (!fake_step())
		return -1;
	if (!device && !fake_parameter(path)) {
		errno = ENOENT;
		return -1;
	}
	for (int i = 0; i < FAKE_FILES; i++) {
		if (fake.files[i].open)
			continue;
		memset(&fake.files[i], 0, sizeof(fake.files[i]));
		fake.files[i].open = true;
		fake.files[i].flags = flags;
		fake.files[i].parameter = device ? NULL : fake_parameter(path);
		fake.open_files++;
		return FAKE_FD + i;
	}
	errno = EMFILE;
	return -1;
}

static inline int fake_close(int fd)
{
	struct fake_file *file = fake_file_of(fd);

	if (!file) {
		errno = EBADF;
		return -1;
	}
	file->open = false;
	fake.open_files--;
	return 0;
}

static inline int fake_ioctl(int fd, unsigned long command, void *argument)
{
	struct fake_file *file = fake_file_of(fd);
	int err;

	if (!fake_step())
		return -1;
	if (fake.nr_commands < sizeof(fake.commands) / sizeof(fake.commands[0]))
		fake.commands[fake.nr_commands++] = command;
	if (fake.before)
		fake.before(command);
	if (!file)
		err = EBADF;
	else if (command == fake.fail_command)
		err = fake.fail_with;
	else
		err = fake_command(file, command, argument);
	if (!err)
		return 0;
	errno = err;
	return -1;
}

/* The same memory once more: mremap() of a length of 0. */
static inline void *fake_map_again(void *memory, size_t length)
{
	void *map = mremap(memory, 0, length, MREMAP_MAYMOVE);

	if (map != MAP_FAILED)
		madvise(map, length, MADV_DONTFORK);
	return map;
}

static inline void *fake_mmap(int fd, size_t length, int protection, off_t offset)
{
	struct fake_file *file = fake_file_of(fd);

	if (!fake_step())
		return MAP_FAILED;
	if (file && file->region && offset >= (off_t)PEERSHM_CONTROL_OFFSET) {
		if (protection & PROT_WRITE && (file->flags & O_ACCMODE) == O_RDONLY) {
			errno = EACCES;
			return MAP_FAILED;
		}
		fake.header_maps++;
		return fake_map_again(
			file->region->control + (offset - (off_t)PEERSHM_CONTROL_OFFSET), length);
	}
	if (!file || !file->region || length != FAKE_HEADER_LENGTH ||
	    offset != (off_t)PEERSHM_HEADER_OFFSET) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	fake.header_maps++;
	if (fake.break_header)
		file->region->header->region++;
	return fake_map_again(file->region->header, FAKE_HEADER_LENGTH);
}

static inline int fake_munmap(void *address, size_t length)
{
	fake.header_maps--;
	return munmap(address, length);
}

static inline int fake_membarrier(int command)
{
	if (!fake.no_membarrier)
		return pshm_kernel.membarrier(command);
	errno = ENOSYS;
	return -1;
}

static inline ssize_t fake_read(int fd, void *buffer, size_t size)
{
	struct fake_file *file = fake_file_of(fd);
	struct fake_region *region = file->region ? file->region : file->watched;

	if (!fake_step())
		return -1;
	if (file->parameter)
		return (ssize_t)snprintf(buffer, size, "%s\n", file->parameter);
	if (!region || size < sizeof(file->events[0])) {
		errno = region ? EINVAL : ENOTCONN;
		return -1;
	}
	if (!file->nr_events) {
		errno = EAGAIN;
		return region->linked ? -1 : 0;
	}
	memcpy(buffer, &file->events[0], sizeof(file->events[0]));
	file->nr_events--;
	memmove(&file->events[0], &file->events[1],
		(size_t)file->nr_events * sizeof(file->events[0]));
	return sizeof(file->events[0]);
}

/* Does not wait: what would have come meanwhile comes at once, or nothing. */
static inline int fake_poll(int fd, int timeout_ms)
{
	const struct fake_file *file = fake_file_of(fd);

	if (!fake_step())
		return -1;
	fake.last_timeout = timeout_ms;
	fake.polls++;
	if (fake.during_poll)
		fake.during_poll(fake.polls);
	return file->nr_events || !(file->region ? file->region : file->watched)->linked;
}

static inline void *fake_alloc(size_t size)
{
	fake.allocations++;
	return fake_step() ? calloc(1, size) : NULL;
}

static inline bool fake_exempt(void)
{
	return fake.exempt;
}

static const struct pshm_system fake_system = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.membarrier = fake_membarrier,
	.read = fake_read,
	.poll = fake_poll,
	.alloc = fake_alloc,
	.exempt = fake_exempt,
};

/* A cmocka setup: a device without regions, in place of the real one. */
static inline int fake_setup(void **state)
{
	(void)state;
	for (int i = 0; i < FAKE_REGIONS; i++) {
		if (!fake.regions[i].header)
			continue;
		munmap(fake.regions[i].header, FAKE_HEADER_LENGTH);
		munmap(fake.regions[i].control, FAKE_CONTROL_LENGTH);
	}
	memset(&fake, 0, sizeof(fake));
	pshm_system = &fake_system;
	return 0;
}

/* A cmocka teardown: whatever a test opened is closed, mapped is unmapped. */
static inline int fake_teardown(void **state)
{
	(void)state;
	pshm_system = &pshm_kernel;
	return fake.open_files || fake.header_maps || fake.windows;
}

static inline size_t fake_count(unsigned long command)
{
	size_t n = 0;

	for (size_t i = 0; i < fake.nr_commands; i++)
		n += fake.commands[i] == command;
	return n;
}

#endif /* TESTS_UNIT_FAKE_DEVICE_H */
