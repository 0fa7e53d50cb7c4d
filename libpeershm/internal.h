/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libpeershm share. Names that cross files begin with pshm_,
 * as the static library shows them to the program's linker.
 *
 * Calls go downward only, and there is no circle among the files:
 *
 *   open
 *   fork, peer, root, shrink
 *   attach, client, create, event, grace, region
 *   reader, reason
 *   control, find, query
 *   device, handle, options
 *   error, header, maps, policy, process
 *
 * header and maps know no device, so their tests run anywhere.
 *
 * Locks, outermost first (none is held while the device is entered, but by
 * fork.c in a child that has no other thread yet):
 *   process.c lock  the epoch page
 *   control.c lock  who reads in which slot; what a handle's sections need
 *   find.c lock     the map from address to handle
 */
#ifndef PEERSHM_INTERNAL_H
#define PEERSHM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <peershm.h>

#define PEERSHM_API __attribute__((visibility("default")))

#define PSHM_GIB (1ULL << 30)
#define PSHM_PARAMETERS "/sys/module/peershm/parameters/"

/*
 * Written by peershm_open() alone, constant from its return to
 * peershm_close(): no lock. But in a child of fork, before fork() returns there
 * and so before it has a second thread, by pshm_attach_again().
 */
struct peershm {
	uint64_t epoch; /* of the process that opened it, see process.c */
	int fd;		/* of the device */
	bool read_only;
	bool dump;
	bool reattach;
	int reattach_error; /* in a child of fork: why it could not attach again, -errno */
	char region_name[PEERSHM_NAME_SIZE];
	char opened_as[PEERSHM_NAME_SIZE];   /* the client's name, of the one that opened it */
	char client_name[PEERSHM_NAME_SIZE]; /* and of this process */
	uint64_t command_region;	     /* how commands name it: 0 for a client, else its id */
	uint64_t region_id;		     /* the region's */
	uint64_t client_id;		     /* id, 0 for an administrative handle */
	uint64_t generation;		     /* of the client's name */
	uint64_t base;
	uint64_t capacity;
	uint64_t page_size;
	uint32_t backing;
	const struct peershm_header *header; /* NULL without window */
	size_t header_length;
	size_t control_length;
	struct pshm_sections *sections; /* control.c: its lock; made on first use */
};

/*
 * device.c: the one door to the system. Tests put their own functions here to
 * stand for a device and to make any step fail.
 */
struct pshm_system {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long command, void *argument);
	void *(*mmap)(int fd, size_t length, int protection, off_t offset);
	int (*munmap)(void *address, size_t length);
	int (*membarrier)(int command);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	int (*poll)(int fd, int timeout_ms); /* for POLLIN */
	void *(*alloc)(size_t size);	     /* zeroed, for free() */
	bool (*exempt)(void);		     /* has CAP_SYS_RESOURCE */
};

extern const struct pshm_system pshm_kernel;
extern const struct pshm_system *pshm_system;

/* These give -errno and leave the message alone, so that clean-up keeps it. */
int pshm_device_open(int flags);
int pshm_device_open_failed(int err, int flags); /* pshm_fail() for an open that failed */
void pshm_device_close(int fd);
int pshm_device_command(int fd, unsigned long command, void *argument);
int pshm_device_map_header(int fd, size_t length, const struct peershm_header **header);
void pshm_device_unmap_header(const struct peershm_header *header, size_t length);
int pshm_device_map_control(int fd, uint64_t start, size_t length, bool writable, void **map);
void pshm_device_unmap_control(void *map, size_t length);
int pshm_membarrier(int command);
ssize_t pshm_device_read(int fd, void *buffer, size_t size);
int pshm_device_poll(int fd, int timeout_ms); /* 0 ready; -ETIMEDOUT */
void *pshm_alloc(size_t size);
/* A parameter of the module, or -errno. */
int pshm_parameter(const char *name, uint64_t *value);
bool pshm_exempt(void); /* from what limits one user */

/*
 * error.c: keep `err` (-errno) and what was in the way for this thread's
 * peershm_strerror(), and give `err` back. A NULL format keeps no detail.
 */
int pshm_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *pshm_sentence(int err);

/*
 * attach.c: becoming a client and leaving. These make no use of the heap, but
 * pshm_attach() for its message, so that they can run in a child of fork.
 */
#define PSHM_REATTACH_NAME 48 /* so long a name may be that children add to */

int pshm_attach_open(bool read_only); /* the device, for a client */
int pshm_attach(struct peershm *handle, const char *client);
int pshm_attach_map(struct peershm *handle); /* what it maps beside the window */
void pshm_attach_unmap(struct peershm *handle);
void pshm_detach(const struct peershm *handle);
int pshm_attach_again(struct peershm *handle, uint64_t epoch);

/* fork.c: the process's epoch, and from then on the handlers around its forks. */
int pshm_fork_enter(uint64_t *epoch);

/* process.c: which process a handle belongs to. */
int pshm_process_enter(uint64_t *epoch); /* made on first use; with the lock held */
uint64_t pshm_process_epoch(void);	 /* 0: no handle is this process's */
void pshm_process_lock(void);
void pshm_process_unlock(void);

/* grace.c: waiting until every read section that had begun has ended. */
int pshm_grace_wait(struct peershm *handle, uint32_t timeout_ms);

/* reader.c */
void pshm_reader_close(struct peershm *handle);	       /* the threads', and the control pages */
bool pshm_reader_inside(const struct peershm *handle); /* this thread, a section */

/* control.c: a handle's control pages. The first with the lock held, the second not. */
int pshm_control_map_own(struct peershm *handle);
int pshm_control_map_all(struct peershm *handle);
void pshm_control_close(struct peershm *handle);
void pshm_control_lock(void); /* also for fork.c, around a fork */
void pshm_control_unlock(void);

/* find.c */
int pshm_find_add(struct peershm *handle);
void pshm_find_remove(struct peershm *handle);
void pshm_find_lock(void); /* for fork.c, around a fork */
void pshm_find_unlock(void);
void pshm_find_inherit(uint64_t parent, uint64_t child,
		       int (*again)(struct peershm *handle, uint64_t epoch));

/*
 * header.c: reading `length` mapped bytes that hold a header. -EIO: it makes no
 * sense. -EAGAIN: it did not hold still for PSHM_HEADER_TIMEOUT_S.
 */
#define PSHM_HEADER_TIMEOUT_S 1

int pshm_header_read(const void *map, size_t length, struct peershm_header *copy);
int pshm_header_list(const void *map, size_t length, struct peershm_header_client *clients,
		     size_t n);
/* Entry `index`: 1, live; 0, free; -ENOENT, there are no more. */
int pshm_header_client(const void *map, size_t length, uint32_t index,
		       struct peershm_header_client *client);
uint64_t pshm_header_size(const struct peershm_header *header);
uint64_t pshm_header_root(const struct peershm_header *header);

/* maps.c: say in `text` which mappings in `path` overlap; gives how many. */
size_t pshm_maps_overlap(const char *path, uint64_t start, uint64_t end, char *text, size_t size);

/* options.c: what CREATE is called with, and rounding. */
int pshm_options_fill(struct peershm_create *create, const char *name,
		      const struct peershm_options *options);
uint64_t pshm_page_unit(uint32_t backing); /* a size is a multiple of it */
int pshm_round_up(uint64_t value, uint64_t unit, uint64_t *rounded); /* -EINVAL: overflow */
int pshm_name_copy(char to[PEERSHM_NAME_SIZE], const char *from, const char *what);

/* policy.c: while memory is allocated, the calling thread has the window's policy. */
struct pshm_policy {
	int mode;
	bool replaced;
	unsigned long nodes[1024 / (8 * sizeof(unsigned long))];
};

void pshm_policy_adopt(const struct peershm *handle, struct pshm_policy *own);
void pshm_policy_restore(const struct pshm_policy *own);

/* create.c: -EEXIST comes without a message, all else with one. */
int pshm_create(int fd, struct peershm_create *create);

/* peer.c: what a failed GROW can be blamed on. */
int pshm_grow_failed(int err, const struct peershm *handle, uint64_t size);

/* reason.c: what several commands can fail for. */
int pshm_reason_pool(int err);
const char *pshm_reason_memory(uint32_t backing);
int pshm_reason_denied(int err, const struct peershm_region_info *region);
int pshm_reason_client(int err, const struct peershm *handle, const char *name, pid_t pid);
int pshm_reason_region(int err, const struct peershm *handle);

/* region.c */
bool pshm_region_stat(const struct peershm *handle, struct peershm_region_info *info);

/* handle.c. What is usable gives errno where it is not. */
bool pshm_handle_usable(const struct peershm *handle);
int pshm_handle_check(const struct peershm *handle);	    /* -ENOTCONN in a child */
int pshm_handle_check_window(const struct peershm *handle); /* and without window */

/* query.c: asking the device about regions. These give -errno and leave the message alone. */
int pshm_query_name(int fd, const char *name, struct peershm_region_info *info);
int pshm_query_region(const struct peershm *handle, struct peershm_region_info *info);
int pshm_query_regions(int fd, struct peershm_region_info *regions, size_t n); /* how many */

#endif /* PEERSHM_INTERNAL_H */
