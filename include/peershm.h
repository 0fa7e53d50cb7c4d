/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpeershm - dynamically growing shared memory at one virtual address
 *
 * A region is named memory that lives at one address, its base, in every
 * process that opened it as a client, so raw pointers stored in it are valid
 * in all of them. Any client may grow it while the others run: when the call
 * returns, the new memory is in the page tables of every client, and none of
 * them takes a fault for it.
 *
 * Units      All lengths and sizes are bytes. A region's size and capacity are
 *            multiples of its page size; the calls here round up to it.
 * Errors     Functions that return int give 0 (or a count) or a negative errno
 *            value, the meanings of which stand in <linux/peershm.h>; functions
 *            that return a pointer give NULL and set errno. After a failure the
 *            region is as before. peershm_strerror() says what was in the way.
 * Threads    Every function may be called by several threads at once, also on
 *            one handle, but for peershm_close(), which must be the last call
 *            on a handle. No threads are made and no signals used.
 *            Not async-signal-safe.
 * fork       A child has no window and no handles: every call on a handle made
 *            by the parent gives ENOTCONN there, and touching the window is a
 *            segmentation fault. peershm_close() frees what the handle holds in
 *            the child and leaves the parent's client alone. A child may open
 *            the region itself, under another client name. So a daemon opens its
 *            regions after daemon(), which forks. Or the parent opens
 *            it with PEERSHM_REATTACH: then the handle is the child's own when
 *            fork() returns there. vfork() and posix_spawn() make no such child,
 *            nor do a raw clone() and _Fork(), where handles give ENOTCONN.
 *            The library calls liburcu-bp's fork hooks from pthread_atfork(): a
 *            program that uses liburcu-bp too must not call them again.
 * exec       Leaves nothing behind: the client is gone.
 * Blocking   Only where it says so.
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
 * A process's hold on a region. With a client name it is a client: it has the
 * window mapped and is in the registry. Without one it only administers: the
 * calls that need memory give ENOTCONN, all others work.
 */
struct peershm;

/* What a region is made with. Zero in a field means its default. */
struct peershm_options {
	uint64_t capacity;	      /* address range reserved; 64 GiB */
	uint64_t size;		      /* active at once; 0 */
	uint64_t base;		      /* picked by the module; a multiple of the page size, or of
				       * 1 GiB for huge pages of the pool, and at least 16 MiB
				       */
	enum peershm_backing backing; /* PEERSHM_SMALL */
	uint32_t mode;		      /* permission bits; 0600 */
	uint32_t max_clients;	      /* the module's limit, which is the most */
	uint64_t reserve;	      /* as for peershm_set_reserve(); 0 */
};

#define PEERSHM_CREATE (1u << 0)    /* make the region if there is none */
#define PEERSHM_EXCLUSIVE (1u << 1) /* with CREATE: EEXIST if there is one */
#define PEERSHM_READ_ONLY (1u << 2) /* no writing, growing, shrinking */
#define PEERSHM_DUMP (1u << 3)	    /* the window is part of this process's core dumps */
#define PEERSHM_REATTACH (1u << 4)  /* children of fork are clients, too */

/*
 * Open region `name`, as the client named `client`, or for administration
 * alone if `client` is NULL. With PEERSHM_CREATE, a region that does not exist
 * is made with `options` (NULL: all defaults). Of one that exists the options
 * change nothing, but that it is grown to options->size if it is smaller and
 * may be written. Capacities are rounded up to the page size, of the hugetlb
 * backings to 1 GiB. If the region was made and opening fails afterwards, it
 * stays, so that the next attempt finds it; with PEERSHM_EXCLUSIVE it is
 * unlinked. The regions of one user have 1 TiB of capacity in all, unless the
 * module's max_user_capacity says otherwise: 16 of the default capacity.
 * When it returns, all active memory is in this process's page tables. A
 * client that crashed opens again under its name and finds the root.
 * Blocks for as long as mapping the active memory takes.
 * A process that becomes a daemon opens after daemon(), or with PEERSHM_REATTACH:
 * what its parent opened is of no use to a child of fork.
 *
 * With PEERSHM_REATTACH, of a client whose name is 48 bytes at most, each child
 * of fork has the handle as its own before fork() returns there: it is another
 * client, at the same base, with all active memory in its page tables, and with
 * ".PID" after the name (".PID.2" and so on if that is taken), as seen from the
 * child; its own children get their own PIDs after the name that was opened. It
 * closes it without harm to its parent. Should it not come about (the region was
 * unlinked, or has no room for another client) fork() succeeds all the same:
 * every call on the handle then gives ENOTCONN, and peershm_strerror() says why.
 * It is tried once; children of that child have no handle either. A child that
 * calls exec is a client until then. fork() takes as long as opening does.
 *
 * *handle is the caller's, to be given back with peershm_close(); it is NULL
 * after a failure. Errors: ENODEV (the module is not loaded), ENOENT, EEXIST,
 * EACCES, EPERM (huge pages from the pool are for CAP_IPC_LOCK and one group),
 * EADDRINUSE (the message names the mapping in the way), EALREADY, EAGAIN,
 * EINVAL, ENOSPC, ENOMEM.
 */
int peershm_open(struct peershm **handle, const char *name, const char *client, unsigned int flags,
		 const struct peershm_options *options);

/*
 * Leave the registry, unmap the window and free the handle. The region stays.
 * NULL is allowed.
 */
void peershm_close(struct peershm *handle);

/*
 * What `err` (negative or positive errno value) means, in English; if it is
 * what the last failed call in this thread gave, with what was in the way. The
 * text is the library's and holds until the thread's next call.
 */
const char *peershm_strerror(int err);

/*
 * Where the memory is. None of these blocks or enters the kernel, but for
 * peershm_size() and peershm_root() on a handle without window, which ask it.
 * 0, NULL and errno in a child of fork.
 *
 * The size tells what may be touched. It changes a moment before a grow has
 * mapped the new part into everyone, so a client that watches it and is quicker
 * than that takes a fault. None does that learns of new memory from the client
 * that grew it, after the call.
 */
void *peershm_base(const struct peershm *handle);    /* NULL without window */
uint64_t peershm_size(const struct peershm *handle); /* active now */
uint64_t peershm_capacity(const struct peershm *handle);
uint64_t peershm_page_size(const struct peershm *handle);
uint64_t peershm_client_id(const struct peershm *handle); /* 0 without window */

/* This process's name as a client, the handle's until it is closed; NULL without window. */
const char *peershm_client_name(const struct peershm *handle);

/*
 * How many clients have had this one's name, itself included: 1 for the first,
 * more for one that takes the place of a client that left or died. (A region
 * remembers the names that were left last, as many as it may have clients.) 0
 * without window.
 */
uint64_t peershm_generation(const struct peershm *handle);

/*
 * The header the kernel publishes, mapped read-only, valid until close; NULL
 * without window. Read it as <linux/peershm.h> says, or with
 * peershm_header_clients().
 */
const struct peershm_header *peershm_header(const struct peershm *handle);

/*
 * Copy a consistent snapshot of the header's live clients to `clients`, at most
 * `n`, lock-free and without entering the kernel. Gives how many there are,
 * which may be more than n. PIDs are as the region's creator sees them. A header
 * that is being changed is waited for, a second at most (EAGAIN). ENOTCONN
 * without window, EIO if the header makes no sense.
 */
int peershm_header_clients(const struct peershm *handle, struct peershm_header_client *clients,
			   size_t n);

/*
 * How a call that maps peers answers. `peers` and `max_peers` are the caller's
 * array for one record a client (or NULL and 0), `timeout_ms` how long to wait
 * in all for clients that cannot be reached at once (0: 100 ms, at most 60000).
 * Zero what you do not set. On return
 * nr_peers is how many clients there were, which may be more than the array
 * takes, and mapped, deferred, gone and partial count them by result; the
 * caller's own window is one of them. peershm_grow() tells the region's size
 * before and after, too. What goes in stays as it is, for the next call.
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
 * Make the region at least `size` bytes, rounded up to its page size. When it
 * returns 0, the memory is allocated and in the page tables of every client
 * that `report` (may be NULL) does not name as deferred, gone or partial. New
 * memory reads as zero. It lies on the NUMA nodes that mbind() on a window said,
 * in whichever process; of huge pages of the pool, in this one, and their reserve
 * where the kernel likes. Blocks while memory is allocated and zeroed, then for
 * the report's timeout at most. A size of 0 is EINVAL; one that the region has
 * already is not. Errors: ENOSPC, ENOMEM, EINTR, EACCES, EFAULT, EINVAL.
 */
int peershm_grow(struct peershm *handle, uint64_t size, struct peershm_report *report);

/*
 * Grow by `length` bytes, rounded up to the page size, and give the address of
 * the new part, like sbrk(). Two callers at once get parts that do not overlap.
 * NULL and errno as for peershm_grow(), and ENOTCONN without window, where there
 * would be no address to give.
 */
void *peershm_extend(struct peershm *handle, uint64_t length);

/*
 * Give memory beyond `size`, rounded up to the page size, back to the system.
 * An access to it gets SIGBUS in every process from then on. So whoever shrinks
 * first takes out of the data structure all that leads there, and readers follow
 * pointers inside read sections only.
 *
 * peershm_shrink() announces the shrink (event `shrinking`, watermark in the
 * header), waits as peershm_synchronize() does until no client is in a read
 * section that it was in before, and then takes the memory away. ETIMEDOUT: a
 * client stayed in its section for `timeout_ms` (0: 1000); the announcement is
 * withdrawn and nothing has changed. EBUSY: another client's announcement
 * stands. ECANCELED: the region grew, or was shrunk, meanwhile. ENOTCONN without
 * window. EDEADLK: this thread is in a read section itself. ENOSYS: see
 * peershm_synchronize().
 *
 * peershm_shrink_force() announces nothing and waits for nobody; it works
 * without window, too. Both: EINVAL if the region is smaller than that, EACCES.
 */
int peershm_shrink(struct peershm *handle, uint64_t size, uint32_t timeout_ms);
int peershm_shrink_force(struct peershm *handle, uint64_t size);

/*
 * Wait until every read section of any client of the region that had begun
 * before the call has ended. What was taken out of the data structure before it
 * is then out of everybody's hands. Sections that begin later do not count. A
 * client that dies in its section is out of it as soon as the registry has
 * dropped it. ETIMEDOUT: a client stayed in its section for `timeout_ms` (0:
 * 1000), or the control pages were overwritten; peershm_strerror() names it.
 * EDEADLK: this thread is in a read section itself. EACCES on a read-only
 * handle, ENOTCONN without window. ENOSYS: this process may not call
 * membarrier(2), and another client relies on it.
 */
int peershm_synchronize(struct peershm *handle, uint32_t timeout_ms);

/*
 * Read sections. What a thread finds in the region between peershm_read_lock()
 * and peershm_read_unlock() stays there until it unlocks, as long as those who
 * take memory away use peershm_shrink(), or peershm_synchronize() before they
 * use it again. Sections nest. They are of one thread and one handle, take no
 * lock, keep no other client from anything, and enter the kernel only when
 * somebody waits for this thread. Keep them short, and wait for no other client
 * in one. A thread that ends in a section has left it.
 *
 * The lock gives 0, and always does once it has done so for this thread and
 * handle. The first time in a thread it sets up what it needs: ENOMEM, ENOSPC
 * (the thread reads in 128 regions already), EACCES (a read-only handle, and the
 * process may open the device for reading alone); ENOTCONN without window and in
 * a child of fork. There is room for one thread less than fits in a page at 64
 * bytes each, 61 with pages of 4 KiB; further threads of a process share what is
 * left under a mutex. A thread that goes back and forth between regions is slower
 * than one that stays in one. Not async-signal-safe.
 */
static inline int peershm_read_lock(struct peershm *handle);
static inline void peershm_read_unlock(struct peershm *handle);

/*
 * Keep `bytes`, rounded up to the page size, allocated and zeroed beyond the
 * size: a grow of no more than that has nothing to allocate and nothing to
 * zero. The reserve is filled in the background, now and after each grow and
 * shrink, as far as the capacity goes; peershm_stat() tells how much of it lies
 * ready. It is charged to the caller's memory cgroup. The system takes it back
 * when it runs short of memory, except huge pages of the pool. 0 gives it up.
 * With huge pages of the pool, an access just beyond the size need not get a
 * SIGBUS where the reserve lies ready, and what is written there stays.
 * Errors: EACCES, EPERM (as for peershm_open()), ENOSPC (beyond the capacity).
 */
int peershm_set_reserve(struct peershm *handle, uint64_t bytes);

/*
 * Put `length` bytes (0: all to the end) from `offset`, both multiples of the
 * page size, into the page tables of all clients, one PID's, or one name's.
 * Growing and opening do this by themselves; this repeats it for a client that
 * was deferred. `report` may be NULL. ENOENT: no such client.
 */
int peershm_map_all(struct peershm *handle, uint64_t offset, uint64_t length,
		    struct peershm_report *report);
int peershm_map_pid(struct peershm *handle, pid_t pid, uint64_t offset, uint64_t length,
		    struct peershm_report *report);
int peershm_map_name(struct peershm *handle, const char *client, uint64_t offset, uint64_t length,
		     struct peershm_report *report);

/*
 * The root: one pointer that a region hands to whoever opens it. NULL until it
 * is set. peershm_set_root() stores `root` (NULL, or an address in the active
 * memory) if the root is `expected`, and gives EEXIST if it is not.
 *
 * Setting any root is a release and reading it an acquire: whoever reads it sees
 * all that was written before it was set, and before the roots that its setter
 * had read. That is for roots alone. What is changed once others can reach it
 * (say, a pointer from one element to the next) needs atomic stores and loads of
 * yours, __ATOMIC_RELEASE and __ATOMIC_ACQUIRE, or a lock that processes share.
 */
void *peershm_root(const struct peershm *handle);
int peershm_set_root(struct peershm *handle, const void *expected, const void *root);

/*
 * Named roots, PEERSHM_MAX_ROOTS a region (ENOSPC), for structures that have
 * their own authors. A name is 1 to 63 bytes without '/' and control bytes. The
 * kernel keeps them: a client that is killed in the middle has published or not.
 * One whose memory a shrink takes is withdrawn. Looking up needs read
 * permission, publishing write permission.
 *
 * peershm_publish() makes root `name` point to `root`, an address in the active
 * memory, if it is `expected` now (NULL: there is none), and gives EEXIST if it
 * is not. peershm_withdraw() takes it away if it is `expected`; ENOENT if there
 * is none and `expected` is NULL. peershm_lookup() gives it, or NULL and ENOENT.
 * peershm_roots() copies at most `n` to `roots`, in the order in which they were
 * published, and gives how many there are.
 */
int peershm_publish(struct peershm *handle, const char *name, const void *expected,
		    const void *root);
int peershm_withdraw(struct peershm *handle, const char *name, const void *expected);
void *peershm_lookup(struct peershm *handle, const char *name);
int peershm_roots(struct peershm *handle, struct peershm_root_info *roots, size_t n);

/*
 * To compare a root is not enough where memory is used again: it may have been
 * changed and changed back. A root's generation tells, as it is never the same
 * after a change. peershm_read_root() reads a root (NULL or "": the one without a
 * name) with its generation; one that is not there is NULL with generation 0, and
 * no error. peershm_replace_root() makes it `root` (NULL withdraws a named one)
 * if nobody has changed it since `info` was read, and says in `info` what it is
 * now; EEXIST, and `info` as before, if somebody has.
 */
int peershm_read_root(struct peershm *handle, const char *name, struct peershm_root_info *info);
int peershm_replace_root(struct peershm *handle, struct peershm_root_info *info, const void *root);

/*
 * The registry. peershm_clients() copies at most `n` live clients to `clients`
 * and gives how many there are. PIDs are in the caller's PID namespace, 0 for
 * a process outside it. ENOENT: no such client.
 */
int peershm_clients(struct peershm *handle, struct peershm_client_info *clients, size_t n);
int peershm_resolve_name(struct peershm *handle, const char *client, pid_t *pid);
int peershm_resolve_pid(struct peershm *handle, pid_t pid, char client[PEERSHM_NAME_SIZE]);

/*
 * Events: who came, left or died, what grew, shrank or was unlinked. <linux/peershm.h>
 * says what each tells. A client gets all from its own opening on, an administrative
 * handle from the first of these calls on; its own doings are among them.
 *
 * peershm_next_event() waits `timeout_ms` (-1: for ever, 0: not at all) for one and
 * gives 0, or: ETIMEDOUT there was none, EINTR a signal's handler ran, ENOENT the region is
 * unlinked and there are no more. After PEERSHM_EVENT_OVERFLOW some are lost: ask what
 * the state is now.
 *
 * peershm_event_fd() gives the file descriptor for poll() and the like, which becomes
 * readable when there is an event, and hangs up when the region is unlinked. It is
 * non-blocking, the handle's own, and closed with it.
 *
 * peershm_event_name() gives "joined", "died" and so on; NULL for what is none.
 */
int peershm_next_event(struct peershm *handle, struct peershm_event *event, int timeout_ms);
int peershm_event_fd(struct peershm *handle);
const char *peershm_event_name(enum peershm_event_type type);

/* What the region is. */
int peershm_stat(struct peershm *handle, struct peershm_region_info *info);

/* Copy at most `n` of the regions the caller may read; gives how many. */
int peershm_regions(struct peershm_region_info *regions, size_t n);

/*
 * Take the region's name away. Its clients go on; its memory is freed when the
 * last of them is gone.
 */
int peershm_unlink(const char *name);

/*
 * The handle whose window holds `address`, or NULL. Lock-free: any number of
 * threads may look up while others open and close. The handle is good for as
 * long as the caller knows that nobody closes it.
 */
struct peershm *peershm_find(const void *address);

/* "small", "thp", "hugetlb-2m", "hugetlb-1g"; NULL for what is none. */
const char *peershm_backing_name(enum peershm_backing backing);

/*
 * What follows is part of the binary interface, as it is inlined into programs,
 * but not for use by hand. grace.c explains it.
 */

/* Of one reading thread, in the control pages: a cache line of its own. */
struct peershm_slot {
	uint32_t inside;  /* 1 in a section; its thread writes, all read */
	uint32_t waiting; /* 1: somebody waits for it; they set, its thread clears */
	uint32_t passed;  /* sections ended while somebody waited; a futex */
	uint32_t reserved[13];
};

/* The same thread's side of it, in its own memory. */
struct peershm_reader {
	const struct peershm *handle;
	struct peershm_slot *slot;
	uint32_t depth; /* of nesting */
	uint32_t number;
	struct peershm_reader *next;
};

/* Of the handle that this thread used last; never NULL. */
extern __thread struct peershm_reader *peershm_reader_ __attribute__((tls_model("initial-exec")));

int peershm_read_enter_(struct peershm *handle);
void peershm_read_exit_(struct peershm *handle);
void peershm_read_wake_(struct peershm_slot *slot);

static inline int peershm_read_lock(struct peershm *handle)
{
	struct peershm_reader *reader = peershm_reader_;

	if (__builtin_expect(__atomic_load_n(&reader->handle, __ATOMIC_RELAXED) != handle, 0))
		return peershm_read_enter_(handle);
	if (__builtin_expect(reader->depth != 0, 0)) {
		reader->depth++;
		return 0;
	}
	reader->depth = 1;
	__atomic_store_n(&reader->slot->inside, 1, __ATOMIC_RELAXED);
	/*
	 * The store comes before all loads in the section. For the compiler only;
	 * the processor is told by the membarrier() of who waits (grace.c, A).
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
	if (__builtin_expect(reader->depth != 1, 0)) {
		if (reader->depth)
			reader->depth--;
		return;
	}
	reader->depth = 0;
	/* Release: all that the section did is done (grace.c, B). */
	__atomic_store_n(&slot->inside, 0, __ATOMIC_RELEASE);
	/* As in the lock: the store, then the load (grace.c, C). */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&slot->waiting, __ATOMIC_RELAXED) != 0, 0))
		peershm_read_wake_(slot);
}

#ifdef __cplusplus
}
#endif

#endif /* PEERSHM_H */
