/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpeershm - dynamically growing shared memory at one virtual address
 *
 * A region is named memory that lives at the same address, its base, in every
 * process that opened it as a client, so raw pointers that are stored in it are
 * valid in all of them. Any client can grow the region while the others run:
 * when the call returns, the new memory is in the page tables of every client,
 * and none of them takes a page fault for it.
 *
 * Units      All lengths, sizes and offsets are in bytes. The size and the
 *            capacity of a region are multiples of its page size; functions
 *            that take a size or a length round it up.
 * Errors     Functions that return int return 0, or a count, on success, and a
 *            negative errno value on failure; <linux/peershm.h> says what each
 *            means. Functions that return a pointer return NULL and set errno.
 *            After a failure the region is as before. peershm_strerror() says
 *            what was wrong.
 * Ownership  The caller owns what it passes. The library keeps no pointer to it
 *            after the call. The caller gives back a handle with peershm_close()
 *            and nothing else; what other functions return belongs to the
 *            library, and is valid as long as their comments say.
 * Threads    Several threads may call any function at the same time, also with
 *            the same handle, except peershm_close(): it must be the last call
 *            with a handle. The library makes no threads and uses no signals.
 *            Its functions are not async-signal-safe.
 * Cancelling A thread that waits in peershm_next_event() can be cancelled there. No
 *            other function is a cancellation point. A thread whose cancelability
 *            type is asynchronous must not call the library.
 * fork       A child of fork has no windows, and its parent's handles are of no
 *            use there: every call with one is ENOTCONN, and an access to a
 *            window is a segmentation fault. peershm_close() frees the child's
 *            copy of the handle and leaves the parent's client alone. The child
 *            can open the region itself, under another client name. A daemon
 *            therefore opens its regions after daemon(), which forks. A handle
 *            that was opened with PEERSHM_REATTACH is the child's own when
 *            fork() returns in the child.
 *            vfork() and posix_spawn() do not make such a child. Neither do a
 *            raw clone() and _Fork(), in whose children calls are ENOTCONN.
 *            The library calls liburcu-bp's fork hooks from pthread_atfork(): a
 *            program that uses liburcu-bp itself must not call them again.
 * Files      No file descriptor of the library is 0, 1 or 2, even if the program has
 *            closed these.
 * exec       Ends the client. Nothing of the library is left in the new program.
 * Blocking   Functions do not block unless their comments say so.
 */
#ifndef PEERSHM_H
#define PEERSHM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/peershm.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A handle on a region. If it was opened with a client name, the process is a
 * client: the window is mapped, and the registry lists it. If it was opened
 * without a client name, it has no window. It is for administration then:
 * functions that need the memory are ENOTCONN, all others work.
 */
struct peershm;

/* What a new region is created with. 0 in a field means the default. */
struct peershm_options {
	uint64_t capacity;    /* address range to reserve; default 64 GiB */
	uint64_t size;	      /* active memory at the start; default none */
	uint64_t base;	      /* default: the module picks one. At least 16 MiB; a multiple
			       * of the page size, or of 1 GiB for huge pages from the pool
			       */
	uint32_t backing;     /* enum peershm_backing; default PEERSHM_SMALL */
	uint32_t mode;	      /* permission bits, 0 to 0777; default 0600 */
	uint32_t max_clients; /* at most, and by default, the module's max_clients */
	uint64_t reserve;     /* see peershm_set_reserve(); default none */
};

/* Flags of peershm_open(). PEERSHM_ATTACH_* are the kernel's, and EINVAL here. */
#define PEERSHM_CREATE (1u << 8)     /* create the region if it does not exist */
#define PEERSHM_EXCLUSIVE (1u << 9)  /* with PEERSHM_CREATE: EEXIST if the region exists */
#define PEERSHM_READ_ONLY (1u << 10) /* no writing, growing or shrinking */
#define PEERSHM_DUMP (1u << 11)	     /* core dumps of this process contain the window */
#define PEERSHM_REATTACH (1u << 12)  /* children of fork become clients, too */

/*
 * Open the region `name` as the client `client`, or without a window if `client`
 * is NULL. Names are 1 to 63 bytes without '/' and control bytes. When the
 * function returns, all active memory is in the page tables of this process. A
 * client that crashed opens the region again under its name, and finds the root.
 *
 * With PEERSHM_CREATE, a region that does not exist is created with `options`, or
 * with the defaults if `options` is NULL. Capacities are rounded up to a multiple
 * of the page size, or of 1 GiB for huge pages from the pool. The options do not
 * change a region that exists, except that it is grown to options->size if it is
 * smaller and the handle may write. If the region was created and opening it
 * fails afterwards, it stays, and the next attempt finds it; with
 * PEERSHM_EXCLUSIVE it is unlinked. The regions of one user can have 1 TiB of
 * capacity in all, which is 16 regions of the default capacity, unless the
 * module's parameter max_user_capacity says otherwise.
 *
 * With PEERSHM_REATTACH, every child of fork becomes another client before
 * fork() returns in the child. The handle is the child's own then, at the same
 * base, with all active memory in its page tables. Closing it does not affect
 * the parent. The child's client name is `client`, which has at most 48 bytes,
 * and ".PID", with the PID as the child sees it; ".PID.2" and so on if that name
 * is taken. A child of the child appends its own PID to `client`. If the child
 * cannot attach, because the region was unlinked or has no room for another
 * client, fork() succeeds all the same. Every call with the handle is ENOTCONN in
 * the child then, and peershm_strerror() says why. There is no second attempt, in
 * the child or in its children. A child that calls exec is a client until then.
 * fork() takes as long as opening the region does.
 *
 * Blocks while the active memory is mapped. Stores a handle in *handle, which the
 * caller gives back with peershm_close(), or NULL after a failure. Errors: ENODEV
 * (the module is not loaded), ENOENT, EEXIST, EACCES, EPERM (huge pages from the
 * pool are for CAP_IPC_LOCK and one group), EADDRINUSE (the message names the
 * mapping in the way), EALREADY, EAGAIN, EINTR (a signal handler ran), EINVAL,
 * ENOSPC, ENOMEM.
 */
int peershm_open(struct peershm **handle, const char *name, const char *client, unsigned int flags,
		 const struct peershm_options *options);

/*
 * End the client, unmap its window and free the handle. The region stays. No
 * other thread may use the handle during the call or afterwards. NULL is allowed.
 * errno, and what peershm_strerror() says, stay as they are.
 */
void peershm_close(struct peershm *handle);

/*
 * The meaning of `err`, a negative or positive errno value, in English. If `err`
 * is the error of the last failed call in this thread, the text says what the
 * cause was. The cause is forgotten when a later call succeeds that enters the
 * kernel, except peershm_close(). The text belongs to the library and is valid until
 * the thread calls the library again.
 */
const char *peershm_strerror(int err);

/*
 * What the handle knows. These functions do not enter the kernel, except
 * peershm_size() and peershm_root() with a handle that has no window. In a child
 * of fork they return 0 or NULL and set errno.
 *
 * peershm_size() says how much memory can be accessed now. While a grow runs, it
 * changes shortly before the new memory is in the page tables of all clients. A
 * client that polls the size and accesses the new memory at once may take a page
 * fault for it. A client that hears of the new memory from the one that grew the
 * region, after the grow has returned, takes none.
 */
void *peershm_base(const struct peershm *handle);    /* NULL without a window */
uint64_t peershm_size(const struct peershm *handle); /* of the active memory */
uint64_t peershm_capacity(const struct peershm *handle);
uint64_t peershm_page_size(const struct peershm *handle);

/*
 * The id of this client, 0 without a window. A region never uses an id twice: a
 * process that attaches again, even under the same name, has a new one.
 */
uint64_t peershm_client_id(const struct peershm *handle);

/* The client name of this process, valid until the handle is closed; NULL without a window. */
const char *peershm_client_name(const struct peershm *handle);

/*
 * The header that the kernel publishes, mapped read-only and valid until the
 * handle is closed; NULL without a window. Read it as <linux/peershm.h> says, or
 * with peershm_header_clients().
 */
const struct peershm_header *peershm_header(const struct peershm *handle);

/*
 * Copy a consistent snapshot of the live clients in the header to `clients`, at
 * most `n` of them. Takes no lock and does not enter the kernel. Returns the
 * number of live clients, which can be larger than n. PIDs are as the creator of
 * the region sees them. If the header is being changed, the function tries again
 * for at most a second. Errors: EAGAIN (the header kept changing), ENOTCONN
 * (no window), EIO (the header is not valid).
 */
int peershm_header_clients(const struct peershm *handle, struct peershm_header_client *clients,
			   size_t n);

/*
 * Parameters and results of a call that maps memory into other clients.
 *
 * The caller sets `peers` and `max_peers` to an array that gets one record for
 * each client, or to NULL and 0; and `timeout_ms`, 0 to 60000, to the time for
 * which the call waits for clients that it cannot reach at once, all of them
 * together (0 means 100 ms). It must zero the other fields. The call does not
 * change these three fields, so the report can be used again.
 *
 * The call sets `nr_peers` to the number of clients, which can be larger than
 * max_peers. `mapped`, `deferred`, `gone` and `partial` count the clients by
 * result (enum peershm_peer_result); the caller's own window is one of them.
 * peershm_grow() also sets `old_size` and `new_size` to the region's size before
 * and after the call.
 */
struct peershm_report {
	struct peershm_peer *peers;
	uint32_t max_peers;
	uint32_t timeout_ms;
	uint32_t nr_peers;
	uint32_t mapped;
	uint32_t deferred;
	uint32_t gone;
	uint32_t partial;
	uint64_t old_size;
	uint64_t new_size;
};

/*
 * Make the region at least `size` bytes large. `size` is rounded up to the page
 * size. When the call returns 0, the memory is allocated, reads as zero, and is in
 * the page tables of every client except those that `report` counts as deferred,
 * gone or partial. `report` may be NULL. It is no error if the region has that
 * size already.
 *
 * The memory lies on the NUMA nodes that mbind() on a window set, in any client.
 * Huge pages from the pool are an exception: they follow the policy of this
 * process's window, and the kernel's if they come from the reserve.
 *
 * Blocks while memory is allocated and zeroed, and then at most for the report's
 * timeout. Errors: ENOSPC, ENOMEM, EINTR, EACCES, EFAULT, EINVAL (a size of 0).
 */
int peershm_grow(struct peershm *handle, uint64_t size, struct peershm_report *report);

/*
 * Grow the region by `length` bytes, rounded up to the page size, and return the
 * address of the new part, like sbrk(). Two callers at the same time get parts
 * that do not overlap. Blocks and fails like peershm_grow(), and also with
 * ENOTCONN without a window, because the part would have no address.
 */
void *peershm_extend(struct peershm *handle, uint64_t length);

/*
 * Give the memory beyond `size`, rounded up to the page size, back to the system.
 * From then on an access to it is SIGBUS in every process. So the caller first
 * removes all pointers to this memory from the data structure, and keeps others
 * from adding memory until the shrink is announced; and readers follow pointers
 * only inside read sections.
 *
 * peershm_shrink() announces the shrink (the event `shrinking`, and the watermark
 * in the header), waits like peershm_synchronize() for the read sections that have
 * begun and for memory that is pinned for devices (registered for RDMA or with
 * io_uring; where the kernel pins it, a transfer under way), and then takes the memory
 * away. Blocks for at most `timeout_ms` (0 means 1000) while it waits. Errors:
 * ETIMEDOUT (a client stayed in its section), EBUSY (another client has announced a
 * shrink, or memory is still pinned), ECANCELED (the region grew or was shrunk
 * meanwhile, or another thread announced a shrink with this handle; the call must
 * not just be repeated: what was added meanwhile may be in use), ENOTCONN (no
 * window), EDEADLK (this thread is in a read section itself), EINTR (a signal
 * handler ran), ENOMEM and ENOSYS (as for peershm_synchronize()), EINVAL (the region
 * is smaller than that), EACCES. After an error this call's announcement is
 * withdrawn, and it has taken nothing away.
 *
 * peershm_shrink_force() announces nothing and does not wait, so a device may go on
 * with memory that no process sees any more. It works without a window, too. Errors:
 * EINTR, EINVAL, EACCES.
 */
int peershm_shrink(struct peershm *handle, uint64_t size, uint32_t timeout_ms);
int peershm_shrink_force(struct peershm *handle, uint64_t size);

/*
 * Wait until every read section that has begun in any client of the region is
 * over. After that no client holds a pointer that was removed from the data
 * structure before the call. The call does not wait for sections that begin later.
 * It waits for a client that dies in a section only until the registry has dropped
 * it.
 *
 * Blocks for at most `timeout_ms` (0 means 1000). Errors: ETIMEDOUT (a client
 * stayed in its section, or wrote garbage to the control pages; peershm_strerror()
 * names it), EDEADLK (this thread is in a read section itself), EACCES (a read-only
 * handle), ENOTCONN (no window), ENOMEM, ENOSYS (this process may not call
 * membarrier(2), and another client relies on it).
 */
int peershm_synchronize(struct peershm *handle, uint32_t timeout_ms);

/*
 * Read sections. Memory that a thread finds in the region between
 * peershm_read_lock() and peershm_read_unlock() is not taken away before it
 * unlocks, if everybody who takes memory away uses peershm_shrink(), or calls
 * peershm_synchronize() before using the memory for something else.
 *
 * A section belongs to one thread and one handle. Sections nest. They take no lock
 * and hold up no other client, except one that waits for them. They enter the
 * kernel only if somebody waits for this thread. Keep sections short, and do not
 * wait for another client inside one. A thread that ends inside a section leaves
 * it. Not async-signal-safe.
 *
 * The first lock by a thread with a handle makes what the thread needs, and can
 * fail: ENOMEM, ENOSPC (the thread reads in 128 regions already), EAGAIN (the
 * process has PTHREAD_KEYS_MAX keys for thread-specific data), EACCES (a read-only
 * handle of a process that may open the device for reading only), ENOTCONN (no
 * window, or a child of fork). After that the lock always returns 0.
 *
 * Each thread of a client has 64 bytes in one page of the system's page size, so
 * there is room for 61 threads with pages of 4 KiB. Further threads of the process
 * share what is left, under a mutex. A thread that changes from one region to
 * another with every section is slower than one that stays in one region.
 */
static inline int peershm_read_lock(struct peershm *handle);
static inline void peershm_read_unlock(struct peershm *handle);

/*
 * Keep `bytes`, rounded up to the page size, allocated and zeroed beyond the size,
 * so that a grow of no more than that need not allocate or zero anything. 0 gives
 * the reserve up. The kernel fills the reserve in the background, now and after
 * every grow and shrink, as far as the capacity goes; peershm_stat() says how much
 * of it is allocated. It is charged to the caller's memory cgroup. When the system
 * runs short of memory, the kernel takes the reserve back, except huge pages from
 * the pool. Does not wait until the reserve is filled.
 *
 * With huge pages from the pool, an access just beyond the size does not always
 * get SIGBUS if there is a reserve, and what it writes there stays.
 *
 * Errors: EACCES, EPERM (as for peershm_open()), ENOSPC (beyond the capacity), EINTR.
 */
int peershm_set_reserve(struct peershm *handle, uint64_t bytes);

/*
 * Put `length` bytes from `offset` into the page tables of all clients, of the
 * client with this PID, or of the client with this name. Both are multiples of the
 * page size; a length of 0 means all active memory from `offset`. Growing and
 * opening do this already; call it again for a client that was deferred. `report`
 * may be NULL. Blocks for at most the report's timeout. Errors: ENOENT (there is no
 * such client), EINVAL, EACCES, EFAULT.
 */
int peershm_map_all(struct peershm *handle, uint64_t offset, uint64_t length,
		    struct peershm_report *report);
int peershm_map_pid(struct peershm *handle, pid_t pid, uint64_t offset, uint64_t length,
		    struct peershm_report *report);
int peershm_map_name(struct peershm *handle, const char *client, uint64_t offset, uint64_t length,
		     struct peershm_report *report);

/*
 * The root: one pointer that a region keeps for whoever opens it. It is NULL until
 * it is set. peershm_set_root() compares and sets: if the root is `expected`, it
 * becomes `root`, which is NULL or an address in the active memory. Errors: EEXIST
 * (the root is not `expected`), EINVAL (an address outside the active memory),
 * EACCES.
 *
 * Setting a root is a release and reading it an acquire. A client that reads a root
 * sees everything that was written before the root was set, and before the roots
 * that its setter had read were set. This holds for roots only. Pointers inside the
 * data structure that change while others can reach them need atomic stores with
 * __ATOMIC_RELEASE and loads with __ATOMIC_ACQUIRE, or a lock in shared memory.
 */
void *peershm_root(const struct peershm *handle);
int peershm_set_root(struct peershm *handle, const void *expected, const void *root);

/*
 * Named roots: up to PEERSHM_MAX_ROOTS pointers in a region, for data structures by
 * different authors. The kernel keeps them: a client that is killed while it
 * publishes a root has published it completely or not at all. A root whose memory a
 * shrink takes away is withdrawn. Reading needs read permission, publishing and
 * withdrawing need write permission.
 *
 * peershm_publish() sets the root `name` to `root`, an address in the active memory,
 * if it is `expected` now (NULL: it does not exist). peershm_withdraw() removes the
 * root if it is `expected`; if there is none and `expected` is NULL, it is ENOENT.
 * Errors of both: EEXIST (the root is not `expected`), ENOSPC, EINVAL, EACCES.
 *
 * peershm_lookup() returns the root, or NULL and ENOENT. peershm_roots() copies at
 * most `n` of them to `roots`, in the order in which they were published, and
 * returns the number of named roots.
 */
int peershm_publish(struct peershm *handle, const char *name, const void *expected,
		    const void *root);
int peershm_withdraw(struct peershm *handle, const char *name, const void *expected);
void *peershm_lookup(struct peershm *handle, const char *name);
int peershm_roots(struct peershm *handle, struct peershm_root_info *roots, size_t n);

/*
 * Roots with generations. Comparing addresses does not show that a root was changed
 * and changed back, as can happen when memory is used again. A root's generation
 * does, because every change gives it a new one.
 *
 * peershm_read_root() reads a root and its generation; a name of NULL or "" means
 * the root without a name. A root that does not exist is NULL with generation 0,
 * and no error. peershm_replace_root() sets the root to `root`, or withdraws a named
 * root if `root` is NULL, if nobody has changed it since `info` was read, and stores
 * in `info` what it is now. If somebody has changed it, EEXIST, and `info` stays as
 * it is.
 */
int peershm_read_root(struct peershm *handle, const char *name, struct peershm_root_info *info);
int peershm_replace_root(struct peershm *handle, struct peershm_root_info *info, const void *root);

/*
 * The registry. peershm_clients() copies at most `n` live clients to `clients` and
 * returns the number of live clients. The others translate between the name of a
 * client and its PID. PIDs are in the caller's PID namespace, and 0 for a process
 * that is not in it. Errors: ENOENT (there is no such client).
 */
int peershm_clients(struct peershm *handle, struct peershm_client_info *clients, size_t n);
int peershm_resolve_name(struct peershm *handle, const char *client, pid_t *pid);
int peershm_resolve_pid(struct peershm *handle, pid_t pid, char client[PEERSHM_NAME_SIZE]);

/*
 * Events: which clients joined, left or died, and when the region grew, shrank or
 * was unlinked. <linux/peershm.h> says what each event contains. A client gets all
 * events since it opened the region. A handle without a window gets the events since
 * the first of these calls. Events that the handle itself caused are among them.
 *
 * peershm_next_event() stores the next event in *event. It blocks until there is
 * one, for at most `timeout_ms` (-1: for ever, 0: not at all). Errors: ETIMEDOUT
 * (there was none), EINTR (a signal handler ran), ENOENT (the region is unlinked, and
 * there are no more events). After PEERSHM_EVENT_OVERFLOW some events are lost: read
 * the present state with peershm_stat() and peershm_clients().
 *
 * peershm_event_fd() returns a file descriptor for poll() and the like. It is
 * readable when there is an event, and hangs up when the region is unlinked. It is
 * non-blocking, belongs to the handle and is closed with it.
 *
 * peershm_event_name() returns "joined", "died" and so on, or NULL if `type` is no
 * enum peershm_event_type.
 */
int peershm_next_event(struct peershm *handle, struct peershm_event *event, int timeout_ms);
int peershm_event_fd(struct peershm *handle);
const char *peershm_event_name(uint32_t type);

/* What the region is. Fills *info. */
int peershm_stat(struct peershm *handle, struct peershm_region_info *info);

/*
 * Copy at most `n` of the regions that the caller may read to `regions`. Returns the
 * number of such regions, which can be larger than n.
 */
int peershm_regions(struct peershm_region_info *regions, size_t n);

/*
 * Take the region's name away. Its clients go on as before. Its memory is freed when
 * the last of them is gone. Errors: ENOENT, EACCES (only the owner may do this).
 */
int peershm_unlink(const char *name);

/*
 * The handle whose window contains `address`, or NULL. Takes no lock, so any number
 * of threads can look up addresses while others open and close regions. The caller
 * must know that no other thread closes the handle while it uses it.
 */
struct peershm *peershm_find(const void *address);

/*
 * The names of backings: "small", "thp", "hugetlb-2m", "hugetlb-1g", and so on for huge pages
 * of other sizes. peershm_backing_name() returns NULL if `backing` has none.
 * peershm_backing_find() stores in *backing which one it is. Errors: EINVAL (no backing has
 * this name).
 */
int peershm_backing_find(const char *name, uint32_t *backing);
const char *peershm_backing_name(uint32_t backing);

/*
 * The rest is inlined into programs, and so is part of the binary interface. Programs
 * must not use it directly. grace.c explains how it works.
 */

/* The slot of one reading thread in the control pages: a cache line of its own. */
struct peershm_slot {
	uint32_t inside;  /* 1 inside a section; its thread stores it, waiters load it */
	uint32_t waiting; /* waiters store 1, its thread stores 0 */
	uint32_t passed;  /* sections that ended while somebody waited; a futex */
	uint32_t reserved[13];
};

/*
 * The state of a thread's sections on one handle, in the process's private memory. A
 * child of fork finds it zeroed. `depth` is 1 outside of sections, so that the child can
 * tell a zeroed reader, which seems to belong to the handle NULL, from one with a slot.
 */
struct peershm_reader {
	const struct peershm *handle;
	struct peershm_slot *slot; /* NULL: the thread uses a shared slot */
	uint32_t depth;		   /* of nested sections, and 1 */
	uint32_t number;	   /* of its slot, or of the shared slot it is in */
	struct peershm_reader *next;
};

/* The reader of the handle that this thread used last; never NULL. */
extern __thread struct peershm_reader *peershm_reader_ __attribute__((tls_model("initial-exec")));

int peershm_read_enter_(struct peershm *handle);
void peershm_read_exit_(struct peershm *handle);
void peershm_read_wake_(struct peershm_slot *slot);

static inline int peershm_read_lock(struct peershm *handle)
{
	struct peershm_reader *reader = peershm_reader_;

	if (__builtin_expect(__atomic_load_n(&reader->handle, __ATOMIC_RELAXED) != handle, 0))
		return peershm_read_enter_(handle);
	if (__builtin_expect(reader->depth != 1, 0)) {
		if (!reader->depth)
			return peershm_read_enter_(handle);
		reader->depth++;
		return 0;
	}
	reader->depth = 2;
	__atomic_store_n(&reader->slot->inside, 1, __ATOMIC_RELAXED);
	/*
	 * The store comes before all loads in the section (grace.c, A). This orders
	 * the compiler only. The CPU is ordered by the waiter's membarrier().
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 0;
}

static inline void peershm_read_unlock(struct peershm *handle)
{
	struct peershm_reader *reader = peershm_reader_;
	struct peershm_slot *slot = reader->slot;

	if (__builtin_expect(__atomic_load_n(&reader->handle, __ATOMIC_RELAXED) != handle, 0)) {
		peershm_read_exit_(handle);
		return;
	}
	if (__builtin_expect(reader->depth != 2, 0)) {
		if (reader->depth > 2)
			reader->depth--;
		return;
	}
	reader->depth = 1;
	/* Release: all loads of the section come before (grace.c, B). */
	__atomic_store_n(&slot->inside, 0, __ATOMIC_RELEASE);
	/* The store comes before the load of `waiting` (grace.c, C), as in the lock. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&slot->waiting, __ATOMIC_RELAXED) != 0, 0))
		peershm_read_wake_(slot);
}

#ifdef __cplusplus
}
#endif

#endif /* PEERSHM_H */
