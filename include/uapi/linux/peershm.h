/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/peershm - dynamically growing shared memory at one virtual address
 *
 * A region is named memory that lives at one address, its base, in every
 * client. A client is one process attached to one region through one open
 * file of the device; its window maps the whole capacity, of which the first
 * `size` bytes are memory. Beyond the size an access gets SIGBUS.
 *
 * Every command takes a struct whose first field, size, is sizeof(the struct).
 * A shorter struct of a caller older than the module is padded with zeroes; a
 * longer one of a newer caller is taken if what the module does not know is
 * zero. A struct shorter than the first published version gives EINVAL.
 * Pointers are passed as __u64. Byte counts and offsets are in bytes.
 *
 * errno, the same meaning for every command:
 *   E2BIG         the struct is longer than the module knows and its tail is
 *                 not zero
 *   EACCES        the region's owner, group and mode (or the way the device
 *                 was opened, or a read-only attach) do not allow it; only the
 *                 owner may UNLINK
 *   EADDRINUSE    part of the address range is taken, by a mapping of the
 *                 process (ATTACH) or by another region (CREATE)
 *   EAGAIN        the process locks its future memory (mlockall) and the
 *                 window would exceed its RLIMIT_MEMLOCK (ATTACH); there is no
 *                 event and the file is O_NONBLOCK (read)
 *   EALREADY      the process is a client of this region already (ATTACH)
 *   EBUSY         the file is bound to a region already (ATTACH, WATCH);
 *                 another client's announcement stands (SHRINK)
 *   ECANCELED     the announcement does not stand any more (SHRINK)
 *   EEXIST        the region name, or the live client name, is taken, or the
 *                 root is not the expected one (SET_ROOT)
 *   EFAULT        a pointer is bad; nothing was done. From a caller that takes
 *                 its own memory away while the call runs, CREATE and ATTACH
 *                 are undone; what else was changed stands, without an answer
 *   EINTR         a signal's handler, installed without SA_RESTART, ran before
 *                 the change was made. One with SA_RESTART runs after it
 *   EINVAL        zero, overflow, not a multiple of the page size, a flag or
 *                 padding that must be zero, a name that is not 1 to 63 bytes
 *                 without '/' and control bytes, or a buffer too small for
 *                 one event (read)
 *   ENFILE        the system's limit on open files is reached (CREATE, ATTACH)
 *   ENODEV        the backing is not available on this machine
 *   ENOENT        no such region, client or named root
 *   ENOMEM        no memory, no huge page in the pool, or the memory cgroup's
 *                 limit was hit; nobody is killed for a region's memory. (Page
 *                 tables, 8 bytes a page, are charged to the client that has
 *                 them, as for any memory; before 5.14 to the caller.)
 *   ENOSPC        beyond the capacity, or a limit of the module (in all, or
 *                 for one user without CAP_SYS_RESOURCE)
 *   ENOTCONN      this process is not a client through this file (never
 *                 attached, detached, or the file was inherited or passed); it
 *                 neither is one nor watches a region (read)
 *   ENOTTY        unknown command
 *   EPERM         part of the window is sealed with mseal() (DETACH); huge
 *                 pages from the pool are for CAP_IPC_LOCK and one group, as
 *                 SHM_HUGETLB is (CREATE, SET_RESERVE)
 * After any error the size, the registry and the header are as before.
 */
#ifndef _UAPI_LINUX_PEERSHM_H
#define _UAPI_LINUX_PEERSHM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PEERSHM_DEVICE "/dev/peershm"

/* A name's buffer: 1 to 63 bytes and the NUL; bytes after the NUL are zero. */
#define PEERSHM_NAME_SIZE 64

/* What a region's memory is made of. */
enum peershm_backing {
	PEERSHM_SMALL = 0,	/* pages of the system's page size */
	PEERSHM_THP = 1,	/* transparent huge pages */
	PEERSHM_HUGETLB_2M = 2,	/* 2 MiB pages from the system's pool */
	PEERSHM_HUGETLB_1G = 3,	/* 1 GiB pages from the system's pool */
};

/*
 * Offsets for mmap() on the device file of a client, MAP_SHARED. The window
 * is not mapped with mmap(): ATTACH does it.
 */
#define PEERSHM_HEADER_OFFSET 0x100000000ULL	/* header_length, PROT_READ */
#define PEERSHM_CONTROL_OFFSET 0x200000000ULL	/* control_length */

/*
 * The control pages are the clients' own: the kernel gives a client an empty
 * page when it attaches, and neither reads nor writes any of them otherwise. A
 * page (the system's) for all comes first, then one for each entry of the
 * header, in that order: control_length / (1 + max_clients) is what a page is. A
 * client that attached read-only may map its own page writable, alone and
 * through a file opened for reading and writing, and all of them PROT_READ. As
 * long as its own page is mapped, its entry is not given to another client, also
 * when it has left. The other clients may write all: take what is there for a
 * claim, not a fact.
 */

/*
 * The header: written by the kernel alone, read by clients without a lock.
 * seq is odd while it changes: read seq (acquire) until it is even, read the
 * fields, then (acquire fence) read seq again and start over if it differs.
 */
#define PEERSHM_HEADER_MAGIC 0x4d485350u	/* "PSHM" */
#define PEERSHM_HEADER_VERSION 1

#define PEERSHM_HEADER_UNLINKED (1u << 0)	/* the name is gone */

enum peershm_client_state {
	PEERSHM_CLIENT_FREE = 0,	/* the entry is not in use */
	PEERSHM_CLIENT_LIVE = 1,
};

#define PEERSHM_CLIENT_READ_ONLY (1u << 0)

/* One client, as the header shows it. */
struct peershm_header_client {
	__u64 id;	  /* never used twice in a region; 0 in a free entry */
	__u64 start_time; /* of the process, ns since boot */
	__u64 base;	  /* where its window is */
	__u64 mapped;	  /* bytes from the base known to be in its page tables */
	__s32 pid;	  /* as the region's creator sees it; 0 if it cannot */
	__u32 state;	  /* enum peershm_client_state */
	__u32 flags;	  /* PEERSHM_CLIENT_* */
	__u32 reserved;
	char name[PEERSHM_NAME_SIZE];
	__u64 generation; /* of its name, see ATTACH */
	__u64 reserved2;
};

struct peershm_header {
	__u32 magic;
	__u32 version;
	__u32 seq;
	__u32 flags; /* PEERSHM_HEADER_* */
	__u64 region;	/* id, never used twice while the module is loaded */
	__u64 base;
	__u64 capacity;
	__u64 size;
	__u64 root;
	__u64 generation;   /* counts changes of the region: what is here but for
			     * the clients' entries, and named roots
			     */
	__u32 backing;	    /* enum peershm_backing */
	__u32 page_size;    /* sizes are multiples of it */
	__u32 nr_clients;   /* entries in use */
	__u32 max_clients;  /* entries there are */
	__u32 client_offset; /* of entry 0 from the start of the header */
	__u32 client_size;   /* from one entry to the next */
	/* The size that an announced shrink will leave, else the size. */
	__u64 watermark;
	__u64 root_generation; /* see SET_ROOT */
	__u64 reserved[2];
	char name[PEERSHM_NAME_SIZE];
};

/*
 * CREATE: make a region. It has no client yet and lives until it is unlinked
 * and its last client is gone. Owner and group are the caller's.
 */
struct peershm_create {
	__u32 size;
	__u32 flags;	   /* must be 0 */
	char name[PEERSHM_NAME_SIZE];
	__u64 capacity;	   /* multiple of the backing's page size */
	/* 0: the module picks one. Else at least 16 MiB, a multiple of the
	 * page size, and of 1 GiB for huge pages from the pool.
	 */
	__u64 base;
	__u32 backing;	   /* enum peershm_backing */
	__u32 mode;	   /* permission bits, 0 to 0777; no umask is applied */
	__u32 max_clients; /* 0: the module's limit */
	__u32 reserved;
	__u64 reserve;	   /* as for SET_RESERVE */
	__u64 region;	   /* out: id */
};

/*
 * ATTACH: make the calling process a client of the region, map its window at
 * the region's base and put all active memory into its page tables. The
 * client lives until DETACH or until nothing of the window is mapped any more
 * (exit, exec, death); closing the file alone does not end it. A child of
 * fork is no client and has no window. Write access needs a file opened for
 * reading and writing. A client that is being killed, or dumps core, makes room
 * for another of its name: ATTACH waits for it, up to a second.
 *
 * Whoever attaches under the name of a client that left or died takes its
 * place: it has a new id, and a generation that is one more than that client's.
 * The first of a name has generation 1. A region remembers as many names that
 * were left as it can have clients, those left last; a name that was forgotten
 * begins again with 1.
 */
#define PEERSHM_ATTACH_READ_ONLY (1u << 0) /* window PROT_READ, for good */
#define PEERSHM_ATTACH_DUMP (1u << 1)	   /* the window is part of core dumps */

struct peershm_attach {
	__u32 size;
	__u32 flags;	/* PEERSHM_ATTACH_* */
	char region_name[PEERSHM_NAME_SIZE];
	char client_name[PEERSHM_NAME_SIZE]; /* unique among live clients */
	__u64 region;	/* out: id */
	__u64 client;	/* out: id */
	__u64 base;	/* out */
	__u64 capacity;	/* out */
	__u64 active;	/* out: the region's size */
	__u64 root;	/* out: what SET_ROOT stored, 0 if never */
	__u64 header_length;  /* out: for mmap at PEERSHM_HEADER_OFFSET */
	__u64 control_length; /* out: for mmap at PEERSHM_CONTROL_OFFSET */
	__u64 generation;     /* out: of the client's name */
	__u64 root_generation; /* out */
};

/* DETACH: leave the registry and unmap the window. */
struct peershm_detach {
	__u32 size;
	__u32 flags; /* must be 0 */
};

/*
 * What peer map did for one client. Every client is tried before any is
 * waited for, and all of them together are waited for no longer than the
 * timeout.
 */
enum peershm_peer_result {
	PEERSHM_PEER_MAPPED = 1,   /* all of the range is in its page tables */
	PEERSHM_PEER_DEFERRED = 2, /* not reached in time; faults by itself */
	PEERSHM_PEER_GONE = 3,	   /* exited meanwhile */
	/*
	 * Part of its window is not mapped as it was attached, or memory for
	 * page tables ran out; the rest is done.
	 */
	PEERSHM_PEER_PARTIAL = 4,
};

struct peershm_peer {
	__u64 client;	/* id */
	__u64 mapped;	/* bytes from the base, as in the header */
	__s32 pid;	/* in the caller's PID namespace, 0 if not in it */
	__u32 result;	/* enum peershm_peer_result */
	char name[PEERSHM_NAME_SIZE];
};

/*
 * How a call that maps peers is told to, and how it answers. Set nr_peers again
 * before every call: without an array it must be 0.
 */
struct peershm_map_report {
	__u64 peers;	  /* in: array of struct peershm_peer, or 0 */
	__u32 nr_peers;	  /* in: its length; out: clients there were */
	__u32 timeout_ms; /* in: 0: 100 ms; at most 60000 */
	__u32 mapped;	  /* out: clients by result, the caller included */
	__u32 deferred;
	__u32 gone;
	__u32 partial;
};

/*
 * GROW: more memory, all or nothing, in the page tables of every client when
 * the call returns. By an amount, or up to a size (which a region that is that
 * large already satisfies: old_size equals new_size then).
 */
#define PEERSHM_GROW_TO (1u << 0) /* length is the size wanted */

struct peershm_grow {
	__u32 size;
	__u32 flags;	/* PEERSHM_GROW_* */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 length;	/* multiple of the region's page size */
	__u64 old_size;	/* out */
	__u64 new_size;	/* out */
	struct peershm_map_report report;
};

/*
 * PEER_MAP: put a range of the active memory into the page tables of all
 * clients, or of the one with this PID, or of the one with this name.
 */
#define PEERSHM_MAP_BY_PID (1u << 0)
#define PEERSHM_MAP_BY_NAME (1u << 1)

struct peershm_peer_map {
	__u32 size;
	__u32 flags;	/* PEERSHM_MAP_*; 0: all clients */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 offset;	/* from the base, multiple of the page size */
	__u64 length;	/* multiple of the page size; 0: to the end */
	__s32 pid;	/* in the caller's PID namespace */
	__u32 reserved;
	char name[PEERSHM_NAME_SIZE];
	struct peershm_map_report report;
};

/*
 * SHRINK: memory beyond the new size is gone from every client and freed. A
 * root that lay there is 0 from then on, a named one withdrawn.
 *
 * So that nobody is hurt, a client may do it in two steps. ANNOUNCE takes
 * nothing away: it makes new_size the header's watermark, for everybody to see.
 * ANNOUNCED then shrinks to exactly that, if the announcement still stands, and
 * gives ECANCELED if not; CANCEL (new_size 0) withdraws it. An announcement is
 * its client's: others get EBUSY for another one, and it falls when the client
 * leaves. It also falls when the region grows, or is shrunk without it: nobody
 * loses memory that was granted after the announcement.
 */
#define PEERSHM_SHRINK_ANNOUNCE (1u << 0)
#define PEERSHM_SHRINK_CANCEL (1u << 1)
#define PEERSHM_SHRINK_ANNOUNCED (1u << 2)

struct peershm_shrink {
	__u32 size;
	__u32 flags;	/* one of PEERSHM_SHRINK_*, or 0 */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 new_size;	/* multiple of the page size, not above the size */
	__u64 old_size;	/* out */
};

/*
 * Roots: pointers that a region keeps for whoever attaches. There is one without
 * a name, which ATTACH and the header tell, and up to PEERSHM_MAX_ROOTS with
 * names. The kernel keeps them, so that a client that dies while it changes one
 * has changed it or not.
 *
 * The generation of a root goes up with every change of it, and is never the
 * same twice in a region, whatever the name: a root that has the generation it
 * had has not been changed meanwhile, not even to another value and back. It is
 * 0 of a root that was never set, or is not there.
 */
#define PEERSHM_MAX_ROOTS 64

/*
 * SET_ROOT: if the root is `expected`, and with PEERSHM_ROOT_GENERATION its
 * generation `expected_generation`, make it `root`: 0, or an address in the
 * active memory. Otherwise EEXIST. A named root that is not there is 0; to make
 * it something else publishes it, and to make it 0 withdraws it (ENOENT if it
 * was not there and that was expected).
 */
#define PEERSHM_ROOT_GENERATION (1u << 0)

struct peershm_set_root {
	__u32 size;
	__u32 flags;	/* PEERSHM_ROOT_GENERATION */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 expected;
	__u64 root;
	__u64 expected_generation; /* 0 without the flag */
	__u64 generation; /* out: the new one; 0 of one that was withdrawn */
	char name[PEERSHM_NAME_SIZE]; /* empty: the one without a name */
};

/* One root, as ROOTS lists it and GET_ROOT gives it. */
struct peershm_root_info {
	__u64 root;
	__u64 generation;
	char name[PEERSHM_NAME_SIZE];
};

/* GET_ROOT: ENOENT for a named root that is not there. */
struct peershm_get_root {
	__u32 size;
	__u32 flags;	/* must be 0 */
	__u64 region;	/* id; 0: the one this file is attached to */
	struct peershm_root_info info; /* in: name, or empty; out: the rest */
};

/* ROOTS: the named roots, in the order they were published. */
struct peershm_roots {
	__u32 size;
	__u32 flags;	/* must be 0 */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 roots;	/* in: array of struct peershm_root_info, or 0 */
	__u32 nr_roots;	/* in: its length; out: named roots there are */
	__u32 reserved;
};

/*
 * SET_RESERVE: keep so much memory allocated and zeroed beyond the size (within
 * the capacity), so that a grow of no more than that has nothing to allocate.
 * It is filled in the background, and again after a grow or shrink; charged to
 * the caller's memory cgroup (on kernels before 5.14 to none); and given back
 * when the system runs short of memory, except huge pages of the pool. Of those,
 * an access to the part that lies ready need not be caught: newer hugetlbfs
 * finds what is there, whatever the size is. What was written there is in the memory granted
 * later.
 */
struct peershm_set_reserve {
	__u32 size;
	__u32 flags;	/* must be 0 */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 reserve;	/* multiple of the page size; 0: none */
};

/* One client, as CLIENTS lists it. */
struct peershm_client_info {
	__u64 id;
	__u64 start_time; /* of the process, ns since boot */
	__u64 base;
	__u64 mapped;	/* bytes from the base known to be in its page tables */
	/*
	 * In the caller's PID namespace; 0 if not in it, or if the process has
	 * ended and another goes on with its memory.
	 */
	__s32 pid;
	__u32 flags;	/* PEERSHM_CLIENT_* */
	char name[PEERSHM_NAME_SIZE];
	__u64 generation; /* of its name, see ATTACH */
};

struct peershm_clients {
	__u32 size;
	__u32 flags;	  /* must be 0 */
	__u64 region;	  /* id; 0: the one this file is attached to */
	__u64 clients;	  /* in: array of struct peershm_client_info, or 0 */
	__u32 nr_clients; /* in: its length; out: clients there are */
	__u32 reserved;
};

/* RESOLVE: PID of a client name, or with BY_PID the client name of a PID. */
#define PEERSHM_RESOLVE_BY_PID (1u << 0)

struct peershm_resolve {
	__u32 size;
	__u32 flags;	/* PEERSHM_RESOLVE_* */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 client;	/* out: id */
	char name[PEERSHM_NAME_SIZE]; /* in, or out with BY_PID */
	__s32 pid;	/* out, or in with BY_PID; in the caller's namespace */
	__u32 reserved;
};

/* One region, as STAT and REGIONS show it. */
struct peershm_region_info {
	__u64 id;
	__u64 base;
	__u64 capacity;
	__u64 active;	/* the region's size */
	__u64 root;
	__u64 generation;
	__u64 reserve;	/* what SET_RESERVE asked for */
	__u64 reserved;	/* how much of it lies ready now */
	__u32 backing;	/* enum peershm_backing */
	__u32 page_size;
	__u32 nr_clients;
	__u32 max_clients;
	__u32 uid;	/* in the caller's user namespace */
	__u32 gid;
	__u32 mode;
	__u32 flags;	/* PEERSHM_HEADER_* */
	char name[PEERSHM_NAME_SIZE];
	__u64 root_generation;
	__u32 nr_roots;	/* named ones */
	__u32 padding;
};

/* STAT: by name, by id, or (neither) the region this file is attached to. */
struct peershm_stat {
	__u32 size;
	__u32 flags;	/* must be 0 */
	__u64 region;	/* id, or 0 */
	char name[PEERSHM_NAME_SIZE]; /* or empty */
	struct peershm_region_info info; /* out */
};

/* REGIONS: the linked regions that the caller may read. */
struct peershm_regions {
	__u32 size;
	__u32 flags;	  /* must be 0 */
	__u64 regions;	  /* in: array of struct peershm_region_info, or 0 */
	__u32 nr_regions; /* in: its length; out: regions there are */
	__u32 reserved;
};

/*
 * UNLINK: the name is free again. The region's clients go on as before; its
 * memory is freed when the last of them is gone.
 */
struct peershm_unlink {
	__u32 size;
	__u32 flags;	/* must be 0 */
	__u64 region;	/* id; 0: by name */
	char name[PEERSHM_NAME_SIZE];
};

/*
 * WATCH: let an open file that is not attached read the region's events. It
 * needs read permission, makes no client and keeps nothing of the region alive.
 * The file watches until it is closed, for the calling process alone. A region
 * has at most as many watchers as clients, and another user than its owner has a
 * share of them (ENOSPC).
 */
struct peershm_watch {
	__u32 size;
	__u32 flags;	/* must be 0 */
	__u64 region;	/* id */
};

/*
 * Events. read() on the file of a client, or on one that watches, gives as many
 * whole records as there are and fit, and blocks while there is none. A region
 * has one sequence of events: every reader gets the same records in the same
 * order, its own doings among them, from its own `joined` or its WATCH on. The
 * header shows a change before its record can be read.
 *
 * The region keeps its last events only. A reader that is too slow loses the
 * oldest: one `overflow` record tells how many, and what the state is now stands
 * in the header (or is asked with STAT and CLIENTS).
 *
 * poll() gives EPOLLIN when there is a record; EPOLLHUP once the region is
 * unlinked, from when on read() gives 0 where it would have blocked; EPOLLERR
 * where read() gives ENOTCONN. An epoll learns of it a moment after the call that
 * was the cause: with a timeout of 0 it may still find nothing.
 */
enum peershm_event_type {
	PEERSHM_EVENT_JOINED = 1,    /* a client attached */
	PEERSHM_EVENT_LEFT = 2,	     /* it detached, or unmapped its window */
	PEERSHM_EVENT_DIED = 3,	     /* its process ended, or did exec */
	PEERSHM_EVENT_GREW = 4,	     /* old and new size */
	PEERSHM_EVENT_SHRINKING = 5, /* size and watermark: equal, withdrawn */
	PEERSHM_EVENT_SHRUNK = 6,    /* old and new size */
	PEERSHM_EVENT_ROOT = 7,	     /* old and new address; its name */
	PEERSHM_EVENT_UNLINKED = 8,
	PEERSHM_EVENT_CAUGHT_UP = 9, /* mapped bytes, when deferred and now */
	PEERSHM_EVENT_OVERFLOW = 10, /* 0 and the number of records lost */
};

struct peershm_event {
	__u32 size;	/* of this record */
	__u32 type;	/* enum peershm_event_type */
	__u64 sequence; /* the region's, by 1; of overflow, the last one lost */
	__u64 time;	/* CLOCK_BOOTTIME, ns */
	__u64 client;	/* whom it is about, or who did it; 0: no client */
	__u64 old_value;
	__u64 new_value;
	__s32 pid;	/* in the reader's PID namespace, 0 if not in it */
	__u32 flags;	/* PEERSHM_CLIENT_* of the client */
	__u64 reserved;
	char name[PEERSHM_NAME_SIZE]; /* of the client; of root, the root's */
};

#define PEERSHM_IOC_TYPE 0xBC
#define PEERSHM_IOC_CREATE _IO(PEERSHM_IOC_TYPE, 0x10)
#define PEERSHM_IOC_ATTACH _IO(PEERSHM_IOC_TYPE, 0x11)
#define PEERSHM_IOC_DETACH _IO(PEERSHM_IOC_TYPE, 0x12)
#define PEERSHM_IOC_GROW _IO(PEERSHM_IOC_TYPE, 0x13)
#define PEERSHM_IOC_PEER_MAP _IO(PEERSHM_IOC_TYPE, 0x14)
#define PEERSHM_IOC_SHRINK _IO(PEERSHM_IOC_TYPE, 0x15)
#define PEERSHM_IOC_SET_ROOT _IO(PEERSHM_IOC_TYPE, 0x16)
#define PEERSHM_IOC_CLIENTS _IO(PEERSHM_IOC_TYPE, 0x17)
#define PEERSHM_IOC_RESOLVE _IO(PEERSHM_IOC_TYPE, 0x18)
#define PEERSHM_IOC_REGIONS _IO(PEERSHM_IOC_TYPE, 0x19)
#define PEERSHM_IOC_STAT _IO(PEERSHM_IOC_TYPE, 0x1a)
#define PEERSHM_IOC_UNLINK _IO(PEERSHM_IOC_TYPE, 0x1b)
#define PEERSHM_IOC_WATCH _IO(PEERSHM_IOC_TYPE, 0x1c)
#define PEERSHM_IOC_GET_ROOT _IO(PEERSHM_IOC_TYPE, 0x1d)
#define PEERSHM_IOC_ROOTS _IO(PEERSHM_IOC_TYPE, 0x1e)
#define PEERSHM_IOC_SET_RESERVE _IO(PEERSHM_IOC_TYPE, 0x20)

#endif /* _UAPI_LINUX_PEERSHM_H */
