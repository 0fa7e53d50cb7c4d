/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libpeershm share. Names that cross files begin with pshm_,
 * because a program that links the static library can see them.
 *
 * A file calls only files in rows below its own:
 *
 *   open
 *   fork, peer, root, shrink
 *   attach, client, create, event, grace, region
 *   reader, reason
 *   control, find, query
 *   device, handle, options
 *   error, header, maps, policy, process
 *   file
 *
 * header and maps do not use the device, so their tests run anywhere.
 *
 * Locks, outermost first. No thread waits for another client while it holds one.
 *   process.c epoch_lock    the epoch page
 *   control.c control_lock  struct pshm_sections of all handles; which thread has which slot
 *   control.h shared.lock   the threads of one handle that share slots
 *   find.c    map_lock      the map from address to handle
 */
#ifndef PEERSHM_INTERNAL_H
#define PEERSHM_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <peershm.h>

#define PEERSHM_API __attribute__((visibility("default")))

#define PSHM_GIB (1ULL << 30)
#define PSHM_PARAMETERS "/sys/module/peershm/parameters/"

/*
 * In a function that calls what may be a cancellation point (open, close, read, stdio, the
 * poll() in urcu_bp_synchronize_rcu()): the thread cannot be cancelled until the function
 * ends, or it would leave behind a lock, a client or a file.
 */
#define PSHM_UNCANCELLED                                                         \
	__attribute__((cleanup(pshm_cancel_restore), unused)) int cancellation = \
		pshm_cancel_disable()

static inline int pshm_cancel_disable(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void pshm_cancel_restore(const int *before)
{
	pthread_setcancelstate(*before, NULL);
}

/*
 * Only peershm_open() writes to a handle, and it does not change from then until
 * peershm_close(), so no lock protects it. There are two exceptions: `sections`, and
 * pshm_attach_again(), which runs in a child of fork before the child has a second
 * thread.
 */
struct peershm {
	uint64_t epoch; /* of the process that it belongs to, see process.c */
	int fd;		/* of the device; -1: not open */
	bool read_only;
	bool dump;
	bool reattach;
	int reattach_error; /* in a child of fork: why pshm_attach_again() failed, -errno */
	char region_name[PEERSHM_NAME_SIZE];
	char opened_as[PEERSHM_NAME_SIZE];   /* client name that was passed to peershm_open() */
	char client_name[PEERSHM_NAME_SIZE]; /* of this process: differs in a child of fork */
	uint64_t command_region; /* for commands: 0 for a client, otherwise the region's id */
	uint64_t region_id;	 /* 0: not known yet */
	uint64_t client_id;	 /* 0: the handle has no window */
	uint64_t base;
	uint64_t capacity;
	uint64_t page_size;
	uint32_t backing;
	const struct peershm_header *header; /* NULL without a window */
	size_t header_length;
	size_t control_length;
	struct pshm_sections *sections; /* under control_lock; made on first use */
};

/*
 * device.c: every system call that concerns the device goes through this table. Tests
 * put their own functions here, to simulate a device and to make any step fail.
 */
struct pshm_system {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long command, void *argument);
	void *(*mmap)(int fd, size_t length, int protection, off_t offset);
	int (*munmap)(void *address, size_t length);
	int (*membarrier)(int command);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	int (*poll)(int fd, int timeout_ms); /* waits for POLLIN */
	void *(*alloc)(size_t size);	     /* zeroed; free() frees it */
	bool (*exempt)(void);		     /* this process has CAP_SYS_RESOURCE */
};

extern const struct pshm_system pshm_kernel;
extern const struct pshm_system *pshm_system;

/*
 * These return -errno and do not change the message, so a function can use them to clean up
 * after its failure.
 */
int pshm_device_open(int flags);
int pshm_device_open_failed(int err, int flags); /* explains it */
void pshm_device_close(int fd);
int pshm_device_command(int fd, unsigned long command, void *argument);
int pshm_device_map_header(int fd, size_t length, const struct peershm_header **header);
void pshm_device_unmap_header(const struct peershm_header *header, size_t length);
int pshm_device_map_control(int fd, uint64_t start, size_t length, bool writable, void **map);
void pshm_device_unmap_control(void *map, size_t length);
int pshm_membarrier(int command);
ssize_t pshm_device_read(int fd, void *buffer, size_t size);
int pshm_device_poll(int fd, int timeout_ms); /* 0: readable; -ETIMEDOUT */
void *pshm_alloc(size_t size);
/* Reads a parameter of the module. */
int pshm_parameter(const char *name, uint64_t *value);
bool pshm_exempt(void); /* whether the limits for one user do not apply */

/*
 * error.c: pshm_fail() stores `err` (-errno) and the cause for peershm_strerror() in this
 * thread, and returns `err`. A NULL format means that no more is known than `err` says.
 */
int pshm_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pshm_forget(void); /* the cause: it would explain an error that is not the library's */
const char *pshm_sentence(int err);

/*
 * attach.c: becoming a client and leaving. Only pshm_attach() uses the heap, for its
 * message, so that the others can run in a child of fork.
 */
#define PSHM_REATTACH_NAME 48 /* bytes in a name to which children of fork append */

int pshm_attach_open(bool read_only); /* the device, for a client */
int pshm_attach(struct peershm *handle, const char *client);
int pshm_attach_map(struct peershm *handle); /* the header */
void pshm_attach_unmap(struct peershm *handle);
void pshm_detach(const struct peershm *handle);
int pshm_attach_again(struct peershm *handle, uint64_t epoch);

/* fork.c: gives the process's epoch, and registers the fork handlers on first use. */
int pshm_fork_enter(uint64_t *epoch);

/* process.c: which process a handle belongs to. */
int pshm_process_enter(uint64_t *epoch); /* made on first use; the caller holds the lock */
uint64_t pshm_process_epoch(void);	 /* 0: this process has not opened a handle */
void pshm_process_lock(void);
void pshm_process_unlock(void);

/* grace.c: waits until every read section that has begun is over. */
int pshm_grace_wait(struct peershm *handle, uint32_t timeout_ms);

/* reader.c: the threads that read. */
void pshm_reader_close(struct peershm *handle);	       /* forgets them, unmaps the control pages */
bool pshm_reader_inside(const struct peershm *handle); /* this thread is in a section */

/* control.c: a handle's control pages. pshm_control_map_own() needs the lock held. */
int pshm_control_map_own(struct peershm *handle);
int pshm_control_map_all(struct peershm *handle);
void pshm_control_close(struct peershm *handle);
void pshm_control_lock(void); /* fork.c locks it around a fork, too */
void pshm_control_unlock(void);

/* find.c */
int pshm_find_add(struct peershm *handle);
void pshm_find_remove(struct peershm *handle);
void pshm_find_lock(void); /* fork.c locks it around a fork */
void pshm_find_unlock(void);
void pshm_find_inherit(uint64_t parent, uint64_t child,
		       int (*again)(struct peershm *handle, uint64_t epoch));

/*
 * header.c: reading a header that is mapped at `map`, `length` bytes. -EIO: it is not
 * valid. -EAGAIN: it kept changing for PSHM_HEADER_TIMEOUT_S.
 */
#define PSHM_HEADER_TIMEOUT_S 1

int pshm_header_read(const void *map, size_t length, struct peershm_header *copy);
int pshm_header_list(const void *map, size_t length, struct peershm_header_client *clients,
		     size_t n);
/* Copies entry `index`: 1 if it is live, 0 if it is free, -ENOENT beyond the last. */
int pshm_header_client(const void *map, size_t length, uint32_t index,
		       struct peershm_header_client *client);
uint64_t pshm_header_size(const struct peershm_header *header);
uint64_t pshm_header_root(const struct peershm_header *header);

/*
 * file.c: open() for all files of the library. `flags` include O_CLOEXEC. The number of the
 * file is 3 or more. Returns -1 and sets errno on failure.
 */
int pshm_file_open(const char *path, int flags);

/* maps.c: writes to `text` which mappings in `path` overlap; returns how many. */
size_t pshm_maps_overlap(const char *path, uint64_t start, uint64_t end, char *text, size_t size);

/* options.c: the arguments of CREATE, rounding, and checking names. */
int pshm_options_fill(struct peershm_create *create, const char *name,
		      const struct peershm_options *options);
uint64_t pshm_page_unit(uint32_t backing);			     /* sizes are multiples of it */
int pshm_round_up(uint64_t value, uint64_t unit, uint64_t *rounded); /* -EINVAL: overflow */
int pshm_name_copy(char to[PEERSHM_NAME_SIZE], const char *from, const char *what);

/* policy.c: gives the calling thread the window's NUMA policy while memory is allocated. */
struct pshm_policy {
	int mode;
	bool replaced;
	unsigned long nodes[1024 / (8 * sizeof(unsigned long))];
};

void pshm_policy_adopt(const struct peershm *handle, struct pshm_policy *own);
void pshm_policy_restore(const struct pshm_policy *own);

/* create.c: -EEXIST comes without a message, every other error with one. */
int pshm_create(int fd, struct peershm_create *create);

/* peer.c: explains why GROW failed. */
int pshm_grow_failed(int err, const struct peershm *handle, uint64_t size);

/* reason.c: explains failures that several commands have in common. */
int pshm_reason_pool(int err);
const char *pshm_reason_memory(uint32_t backing);
int pshm_reason_denied(int err, const struct peershm_region_info *region);
int pshm_reason_client(int err, const struct peershm *handle, const char *name, pid_t pid);
int pshm_reason_region(int err, const struct peershm *handle);

/* region.c: peershm_stat() for functions that set errno. */
bool pshm_region_stat(const struct peershm *handle, struct peershm_region_info *info);

/*
 * handle.c: whether a handle can be used. pshm_handle_usable() sets errno if not. The other
 * two are for calls that can fail for other reasons, too, and forget the last failure.
 */
bool pshm_handle_usable(const struct peershm *handle);
int pshm_handle_check(const struct peershm *handle);	    /* -ENOTCONN in a child of fork */
int pshm_handle_check_window(const struct peershm *handle); /* -ENOTCONN without a window, too */

/* query.c: asking the kernel about regions. These return -errno without a message. */
int pshm_query_name(int fd, const char *name, struct peershm_region_info *info);
int pshm_query_region(const struct peershm *handle, struct peershm_region_info *info);
int pshm_query_regions(int fd, struct peershm_region_info *regions, size_t n); /* count */
/*
 * The client's PID as this process sees it, which the header's PIDs are not; 0 if there is
 * none, or if the client of this name is not the one with this id (0: any).
 */
pid_t pshm_query_pid(int fd, uint64_t region, const char *client, uint64_t id);

#endif /* PEERSHM_INTERNAL_H */
