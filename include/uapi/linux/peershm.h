/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/peershm - dynamically growing shared memory at one virtual address
 *
 * A region is named memory that lives at the same address, its base, in every
 * client. A client is one process attached to one region through one open file
 * of the device. The client's window maps the whole capacity of the region.
 * The first `size` bytes of it are memory; an access beyond them gets SIGBUS.
 *
 * Every command takes a struct that begins with `size`, `flags` and `failure`.
 * The caller sets `size` to sizeof(the struct). The module accepts a shorter
 * struct from a program that is older than itself and takes the missing fields
 * as zero. It accepts a longer struct from a newer program if the fields it does
 * not know are zero. A struct that is shorter than the first published version
 * is EINVAL. Pointers are passed as __u64. All lengths, sizes and offsets are in
 * bytes.
 *
 * Arrays of records grow in the same way: the caller sets `record_size` to
 * sizeof(one record) as it knows it. The module fills in as much of each record
 * as both know, and sets the rest of it to zero.
 *
 * A timeout is in milliseconds. Signals end every wait.
 *
 * An errno value has the same meaning for every command:
 *   E2BIG         the struct is longer than the module knows, and the part that
 *                 the module does not know is not zero
 *   EACCES        the region's owner, group and mode do not allow it, or the
 *                 device was opened for reading only, or the client attached
 *                 read-only; only the owner may UNLINK
 *   EADDRINUSE    part of the address range is taken, by a mapping of the
 *                 process (ATTACH) or by another region (CREATE)
 *   EAGAIN        the process locks its future memory (mlockall) and the
 *                 window would exceed its RLIMIT_MEMLOCK (ATTACH); there is no
 *                 event and the file is O_NONBLOCK (read)
 *   EALREADY      the process is a client of this region already (ATTACH)
 *   EBUSY         the file is bound to a region already (ATTACH, WATCH);
 *                 another client has announced a shrink, or memory that would
 *                 go is pinned (SHRINK)
 *   ECANCELED     the announcement is not, or no longer, in force (SHRINK)
 *   EEXIST        a region or a live client has this name already, or the root
 *                 is not the expected one (SET_ROOT)
 *   EFAULT        a pointer is bad, and nothing was done. If the caller unmaps
 *                 the memory of its argument while the call runs, CREATE and
 *                 ATTACH are undone; other commands have taken effect, but
 *                 the caller gets no answer
 *   EINTR         a signal handler without SA_RESTART ran before anything was
 *                 changed. A handler with SA_RESTART makes no command fail
 *   EINVAL        a value is zero, overflows or is not a multiple of the page
 *                 size; a flag or padding that must be zero is not; a name is
 *                 not 1 to 63 bytes, or contains '/' or a control byte; or the
 *                 buffer is too small for one event (read)
 *   ENFILE        the system's limit on open files is reached (CREATE, ATTACH)
 *   ENODEV        the backing is not available on this machine
 *   ENOENT        there is no such region, client or named root
 *   ENOMEM        there is no memory or no huge page in the pool, or the memory
 *                 cgroup's limit is reached; the OOM killer kills nobody for a
 *                 region's memory. (Page tables, 8 bytes a page, are charged to
 *                 the client that they belong to, as for any memory.)
 *   ENOSPC        beyond the capacity, or beyond a limit of the module: one for
 *                 all, or one for each user without CAP_SYS_RESOURCE
 *   ENOTCONN      this process is not a client through this file: it never
 *                 attached, it detached, or it inherited or received the file;
 *                 for read(), the file does not watch a region either
 *   ENOTTY        unknown command
 *   EPERM         part of the window is sealed with mseal() (DETACH); only
 *                 processes with CAP_IPC_LOCK and one group may use huge pages
 *                 from the pool, as with SHM_HUGETLB (CREATE, SET_RESERVE)
 * After an error the size, the registry and the header are as before, except
 * where EFAULT says otherwise. Of the caller's struct only `failure` is changed.
 */
#ifndef _UAPI_LINUX_PEERSHM_H
#define _UAPI_LINUX_PEERSHM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PEERSHM_DEVICE "/dev/peershm"

/* Of this header. INFO gives that of the module. */
#define PEERSHM_VERSION_MAJOR 0
#define PEERSHM_VERSION_MINOR 2
#define PEERSHM_VERSION_PATCH 0
#define PEERSHM_VERSION_STRING "0.2.0"
#define PEERSHM_VERSION_NUMBER(major, minor, patch) \
	((__u32)(major) << 16 | (minor) << 8 | (patch))
#define PEERSHM_VERSION                                                       \
	PEERSHM_VERSION_NUMBER(PEERSHM_VERSION_MAJOR, PEERSHM_VERSION_MINOR, \
			       PEERSHM_VERSION_PATCH)

/* Timeouts: not at all, without end, and as long as the command says. */
#define PEERSHM_TIMEOUT_NONE 0
#define PEERSHM_TIMEOUT_NEVER (-1)
#define PEERSHM_TIMEOUT_DEFAULT (-2)

/* The buffer of a name: 1 to 63 bytes, then zeroes to the end. */
#define PEERSHM_NAME_SIZE 64

/*
 * What a region's memory is made of. For huge pages from the system's pool the
 * value contains the base 2 logarithm of their size. INFO lists what there is.
 */
#define PEERSHM_HUGETLB(shift) (2 | (shift) << 8)

enum peershm_backing {
	PEERSHM_SMALL = 0,	/* pages of the system's page size */
	PEERSHM_THP = 1,	/* transparent huge pages */
	PEERSHM_HUGETLB_2M = PEERSHM_HUGETLB(21),
	PEERSHM_HUGETLB_1G = PEERSHM_HUGETLB(30),
};

/*
 * Why a command failed, where its errno value can mean several things. What is in
 * parentheses is in `detail`, which is 0 otherwise.
 */
enum peershm_reason {
	PEERSHM_REASON_NONE = 0, /* there is no more to say than the errno value */

	/* EINVAL */
	PEERSHM_REASON_ARGUMENT = 1, /* flags, or a field that must be 0 */
	PEERSHM_REASON_NAME = 2,
	PEERSHM_REASON_ALIGNMENT = 3, /* not a multiple (of this) */
	PEERSHM_REASON_RECORD_SIZE = 4, /* a record has at least (so many bytes) */
	PEERSHM_REASON_TIMEOUT = 5,
	PEERSHM_REASON_BACKING = 6, /* there is none of this number */
	PEERSHM_REASON_MODE = 7,    /* it has more than permission bits */
	PEERSHM_REASON_BASE = 8,    /* the base is below (this) */
	PEERSHM_REASON_ADDRESS_SPACE = 9, /* it reaches beyond (this address) */
	PEERSHM_REASON_ZERO = 10, /* a length or capacity is 0 */
	PEERSHM_REASON_SIZE = 11, /* beyond the region's size (which is this) */

	/* EACCES and EPERM */
	PEERSHM_REASON_DENIED = 20, /* by the region's owner, group and mode */
	PEERSHM_REASON_DEVICE_READ_ONLY = 21, /* opened for reading only */
	PEERSHM_REASON_CLIENT_READ_ONLY = 22, /* attached for reading only */
	PEERSHM_REASON_NOT_OWNER = 23,
	PEERSHM_REASON_POOL = 24, /* not in the group (of this id) */

	/* ENOENT, ENODEV and ENOTCONN */
	PEERSHM_REASON_NO_REGION = 30,
	PEERSHM_REASON_NO_CLIENT = 31,
	PEERSHM_REASON_NO_ROOT = 32,
	PEERSHM_REASON_NO_BACKING = 33, /* this machine does not have it */
	PEERSHM_REASON_NO_WINDOW = 34,	/* the process is no client */

	/* EEXIST, EADDRINUSE, EBUSY and ECANCELED */
	PEERSHM_REASON_REGION_NAME = 40, /* a region has it */
	PEERSHM_REASON_CLIENT_NAME = 41, /* a client has it (with this id) */
	PEERSHM_REASON_ROOT_CHANGED = 42,
	PEERSHM_REASON_REGION_RANGE = 43,  /* a region has the addresses */
	PEERSHM_REASON_PROCESS_RANGE = 44, /* the process has mapped something there */
	PEERSHM_REASON_FILE_BOUND = 45,
	PEERSHM_REASON_ANNOUNCED = 46, /* by another client (of this id) */
	PEERSHM_REASON_PINNED = 47, /* (so many bytes, and perhaps more) */
	PEERSHM_REASON_NOT_IN_FORCE = 48,

	/* ENOSPC: the limit (which is this) on */
	PEERSHM_REASON_CAPACITY = 60,		/* bytes in this region */
	PEERSHM_REASON_MAX_BYTES = 61,		/* bytes in all regions */
	PEERSHM_REASON_MAX_USER_BYTES = 62,	/* bytes in all of the owner's */
	PEERSHM_REASON_MAX_REGIONS = 63,	/* regions */
	PEERSHM_REASON_MAX_USER_REGIONS = 64,	/* regions of a user */
	PEERSHM_REASON_MAX_USER_CAPACITY = 65,	/* capacity of those */
	PEERSHM_REASON_NO_RANGE = 66,		/* addresses: none are free (0) */
	PEERSHM_REASON_MAX_CLIENTS = 67,	/* clients of any region */
	PEERSHM_REASON_CLIENTS = 68,		/* clients, or watchers, of this one */
	PEERSHM_REASON_MAX_USER_CLIENTS = 69,	/* those of a user */
	PEERSHM_REASON_MAX_ROOTS = 70,		/* named roots */

	/* ENOMEM and EAGAIN */
	PEERSHM_REASON_POOL_EMPTY = 80,	   /* of huge pages (of this size) */
	PEERSHM_REASON_LOCKED_MEMORY = 81, /* RLIMIT_MEMLOCK */
};

/* What a command says when it fails. What is in it before does not matter. */
struct peershm_failure {
	__u32 reason;	/* enum peershm_reason; newer modules may give others */
	__u32 reserved;
	__u64 detail;
};

/*
 * What a client can map with mmap() on its file of the device, MAP_SHARED, at
 * these offsets. The window is not among them: ATTACH maps it.
 */
#define PEERSHM_HEADER_OFFSET 0x100000000ULL	/* header_length, PROT_READ */
#define PEERSHM_CONTROL_OFFSET 0x200000000ULL	/* control_length */

/*
 * The control pages belong to the clients. The kernel gives a client an empty
 * page when it attaches, and does not read or write the pages after that. The
 * first page is for all clients; one page for each entry of the header follows,
 * in the order of the entries. Each has control_length / (1 + max_clients)
 * bytes, the system's page size.
 *
 * A client can map any of the pages. A client that attached read-only can map
 * them PROT_READ, and its own page alone writable, if it opened the device for
 * reading and writing. While it has its own page mapped alone, no other client
 * gets its entry, even after it has left. Every other client can write to every
 * page, so a reader must not trust what it finds there.
 */

/*
 * The header: only the kernel writes it; clients read it without a lock. `seq`
 * is odd while the kernel changes the header. To read a consistent copy, load
 * `seq` with acquire until it is even, copy the fields, execute an acquire
 * fence, load `seq` again, and start over if it has changed.
 */
#define PEERSHM_HEADER_MAGIC 0x4d485350u	/* "PSHM" */
#define PEERSHM_HEADER_MAJOR 1 /* readers accept every minor version of it */
#define PEERSHM_HEADER_MINOR 0

#define PEERSHM_HEADER_UNLINKED (1u << 0)	/* the region has no name any more */

enum peershm_client_state {
	PEERSHM_CLIENT_FREE = 0,	/* the entry is not in use */
	PEERSHM_CLIENT_LIVE = 1,
};

#define PEERSHM_CLIENT_READ_ONLY (1u << 0)

/* One client, as the header shows it. */
struct peershm_header_client {
	__u64 id;	  /* never used twice in a region; 0 in a free entry */
	__u64 start_time; /* of the process, CLOCK_BOOTTIME of the host, ns */
	__u64 base;	  /* where its window is */
	__u64 mapped;	  /* bytes from the base known to be in its page tables */
	__s32 pid;	  /* as the creator of the region sees it; 0 if it cannot */
	__u32 state;	  /* enum peershm_client_state */
	__u32 flags;	  /* PEERSHM_CLIENT_* */
	__u32 reserved;
	char name[PEERSHM_NAME_SIZE];
};

struct peershm_header {
	__u32 magic;
	__u16 major; /* higher: fields have changed their meaning */
	__u16 minor; /* higher: fields have been added */
	__u32 seq;
	__u32 flags; /* PEERSHM_HEADER_* */
	__u64 region;	/* id, never used twice while the module is loaded */
	__u64 base;
	__u64 capacity;
	__u64 size;
	__u64 root;
	__u64 generation;   /* goes up with every change of the fields of this
			     * struct and of the named roots, not with changes
			     * of the clients' entries
			     */
	__u64 page_size;    /* sizes are multiples of it */
	__u32 backing;	    /* enum peershm_backing */
	__u32 nr_clients;   /* entries in use */
	__u32 max_clients;  /* entries there are, one for each slot */
	__u32 client_offset; /* from the start of the header to entry 0 */
	__u32 client_size;   /* from one entry to the next */
	__u32 padding;
	/* While a shrink is announced, the size after it; otherwise the size. */
	__u64 watermark;
	__u64 root_generation; /* see SET_ROOT */
	__u64 reserved[2];
	char name[PEERSHM_NAME_SIZE];
};

/*
 * CREATE: make a region. A new region has no client. It lives until it is
 * unlinked and its last client is gone. It belongs to the user and group that a
 * file created by the caller would belong to.
 */
struct peershm_create {
	__u32 size;
	__u32 flags;	   /* must be 0 */
	struct peershm_failure failure; /* out */
	char name[PEERSHM_NAME_SIZE];
	__u64 capacity;	   /* multiple of the backing's page size */
	/* 0: the module picks one. Otherwise at least 16 MiB, and a multiple
	 * of the page size, or of 1 GiB for huge pages from the pool.
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
 * the region's base and put all active memory into its page tables. The client
 * lives until DETACH, or until no part of the window is mapped any more: the
 * process unmapped it, called exec, or ended. Closing the file does not end the
 * client. A child of fork is not a client and has no window. A client that
 * writes must have opened the device for reading and writing.
 *
 * If a client of the same name is being killed or dumps core, ATTACH waits up
 * to a second for it to be gone.
 *
 * A client that attaches under the name of a client that left or died gets a
 * new id. A region never uses an id twice, so the id tells the two apart.
 */
#define PEERSHM_ATTACH_READ_ONLY (1u << 0) /* window PROT_READ; mprotect() cannot change it */
#define PEERSHM_ATTACH_DUMP (1u << 1)	   /* the window is part of core dumps */

struct peershm_attach {
	__u32 size;
	__u32 flags;	/* PEERSHM_ATTACH_* */
	struct peershm_failure failure; /* out */
	char region_name[PEERSHM_NAME_SIZE];
	char client_name[PEERSHM_NAME_SIZE]; /* unique among live clients */
	__u64 region;	/* out: id */
	__u64 client;	/* out: id */
	__u64 base;	/* out */
	__u64 capacity;	/* out */
	__u64 active;	/* out: the region's size */
	__u64 root;	/* out: the root without a name; 0 if it was never set */
	__u64 header_length;  /* out: for mmap at PEERSHM_HEADER_OFFSET */
	__u64 control_length; /* out: for mmap at PEERSHM_CONTROL_OFFSET */
	__u64 root_generation; /* out */
	__u32 slot;	   /* out: the client's own while it lives, below max_clients */
	__u32 max_clients; /* out */
	__u32 event_size;  /* in: of one record for read(); 0: 128 */
	__u32 reserved;
};

/* DETACH: leave the registry and unmap the window. */
struct peershm_detach {
	__u32 size;
	__u32 flags; /* must be 0 */
	struct peershm_failure failure; /* out */
};

/*
 * What peer map did for one client. The kernel first tries every client without
 * waiting, and then waits for those whose mmap lock was taken. The timeout is
 * for all of them together.
 */
enum peershm_peer_result {
	PEERSHM_PEER_MAPPED = 1,   /* all of the range is in its page tables */
	PEERSHM_PEER_DEFERRED = 2, /* not reached in time; its accesses fault the memory in */
	PEERSHM_PEER_GONE = 3,	   /* its process ended during the call */
	/*
	 * Part of its window is no longer mapped as ATTACH left it, or there was
	 * no memory for its page tables. The other parts are mapped.
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
 * Parameters and results of a call that maps peers. The call changes nr_peers,
 * so set it before every call, to 0 if there is no array.
 */
struct peershm_map_report {
	__u64 peers;	  /* in: array of struct peershm_peer, or 0 */
	__u32 nr_peers;	  /* in: length of the array; out: number of clients */
	__u32 record_size; /* in: of one record */
	__s32 timeout_ms; /* in; by default 100 ms */
	__u32 mapped;	  /* out: clients with that result, the caller included */
	__u32 deferred;
	__u32 gone;
	__u32 partial;
	__u32 reserved;
};

/*
 * GROW: make the region larger by an amount, or up to a size. Either all of the
 * memory is added or none. When the call returns, the new memory is in the page
 * tables of every client that the report does not name as deferred, gone or
 * partial. Growing up to a size that the region already has succeeds, with
 * old_size equal to new_size.
 *
 * A grow that is interrupted keeps what it has allocated as if it were part of
 * the reserve. The same call made again goes on from there. The kernel gives that
 * memory back after a second, when memory runs short, or as soon as a SET_RESERVE
 * asks for less. It keeps nothing if the new size is beyond RLIMIT_FSIZE.
 */
#define PEERSHM_GROW_TO (1u << 0) /* length is the size after the call */

struct peershm_grow {
	__u32 size;
	__u32 flags;	/* PEERSHM_GROW_* */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 length;	/* multiple of the region's page size */
	__u64 old_size;	/* out */
	__u64 new_size;	/* out */
	struct peershm_map_report report;
};

/*
 * PEER_MAP: put a range of the active memory into the page tables of all
 * clients, of the client with this PID, or of the client with this name.
 */
#define PEERSHM_MAP_BY_PID (1u << 0)
#define PEERSHM_MAP_BY_NAME (1u << 1)

struct peershm_peer_map {
	__u32 size;
	__u32 flags;	/* PEERSHM_MAP_*; 0: all clients */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 offset;	/* from the base, multiple of the page size */
	__u64 length;	/* multiple of the page size; 0: to the end */
	__s32 pid;	/* in the caller's PID namespace */
	__u32 reserved;
	char name[PEERSHM_NAME_SIZE];
	struct peershm_map_report report;
};

/*
 * SHRINK: take the memory beyond the new size away from every client and free
 * it. A root that points there becomes 0; a named root is withdrawn.
 *
 * Memory can be pinned: registered for RDMA or with io_uring or, where the kernel
 * pins it for that, used by a transfer under way. If it were taken away, the device
 * would go on with memory that no process sees any more. SHRINK waits until nothing
 * of it is pinned, and gives EBUSY after timeout_ms, which is a second by default; a
 * call that is restarted after a signal waits anew. FORCE does not look. What is
 * pinned after SHRINK has looked is not seen, and another command that changes the
 * size may run in between. Who may only read a region can pin its memory, too.
 *
 * A client can shrink in two steps, so that others can stop using the memory
 * first. ANNOUNCE frees nothing: it shows new_size to everybody as the header's
 * watermark, and answers a cookie, which is not 0 and which no other
 * announcement in the region ever has. ANNOUNCED then shrinks to exactly this
 * size if the announcement with this cookie is still in force, and is ECANCELED
 * if not. CANCEL, with new_size 0, withdraws the announcement with this cookie,
 * and is ECANCELED in the same way.
 *
 * An announcement belongs to the client that made it: another client that wants
 * to announce gets EBUSY. It is withdrawn when the region grows, when any other
 * command shrinks the region, when its client leaves, and when its client
 * announces anew (another thread may, or the same one if it got no answer). So
 * memory that was added after ANNOUNCE is never freed by its ANNOUNCED, and who
 * gets ECANCELED has freed nothing: he looks at the size, and if he still wants
 * to shrink, he announces, and waits for others, from the beginning.
 */
#define PEERSHM_SHRINK_ANNOUNCE (1u << 0)
#define PEERSHM_SHRINK_CANCEL (1u << 1)
#define PEERSHM_SHRINK_ANNOUNCED (1u << 2)
#define PEERSHM_SHRINK_FORCE (1u << 3)	/* alone, or with ANNOUNCED */

struct peershm_shrink {
	__u32 size;
	__u32 flags;	/* PEERSHM_SHRINK_* */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 new_size;	/* multiple of the page size, at most the size */
	__u64 old_size;	/* out */
	__u64 cookie;	/* ANNOUNCE: out; ANNOUNCED, CANCEL: in; otherwise 0 */
	__s32 timeout_ms; /* 0 with ANNOUNCE, CANCEL and FORCE */
	__u32 reserved;
};

/*
 * Roots: pointers that a region keeps for whoever attaches. One root has no
 * name; ATTACH and the header give it. Up to PEERSHM_MAX_ROOTS others have
 * names. The kernel keeps them all, so a root is changed completely or not at
 * all, even if the client that changes it is killed.
 *
 * Every change of a root gives it a new generation, larger than any generation
 * that a root of the region had before. So a root whose generation is the same
 * as earlier was not changed meanwhile, not even to another value and back. A
 * root that was never set, or does not exist, has generation 0.
 */
#define PEERSHM_MAX_ROOTS 64

/*
 * SET_ROOT: compare and set. If the root is `expected`, and with
 * PEERSHM_ROOT_GENERATION if its generation is `expected_generation` too, it
 * becomes `root`, which is 0 or an address in the active memory. Otherwise
 * EEXIST. A named root that does not exist counts as 0: setting it to an address
 * publishes it, and setting it to 0 withdraws it. Withdrawing a name that does
 * not exist, with `expected` 0, is ENOENT.
 */
#define PEERSHM_ROOT_GENERATION (1u << 0)

struct peershm_set_root {
	__u32 size;
	__u32 flags;	/* PEERSHM_ROOT_GENERATION */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 expected;
	__u64 root;
	__u64 expected_generation; /* 0 without the flag */
	__u64 generation; /* out: the new one; 0 after a withdrawal */
	char name[PEERSHM_NAME_SIZE]; /* empty: the root without a name */
};

/* One root, as ROOTS lists it and GET_ROOT gives it. */
struct peershm_root_info {
	__u64 root;
	__u64 generation;
	char name[PEERSHM_NAME_SIZE];
};

/* GET_ROOT: read one root. A named root that does not exist is ENOENT. */
struct peershm_get_root {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	struct peershm_root_info info; /* in: name, or empty; out: the rest */
};

/* ROOTS: list the named roots, in the order in which they were published. */
struct peershm_roots {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 roots;	/* in: array of struct peershm_root_info, or 0 */
	__u32 nr_roots;	/* in: length of the array; out: number of named roots */
	__u32 record_size; /* in: of one record */
};

/*
 * SET_RESERVE: keep this much memory allocated and zeroed beyond the size, as
 * far as the capacity goes. A grow of no more than that has nothing to allocate.
 * The kernel fills the reserve in the background, now and again after a grow or
 * shrink. It is charged to the caller's memory cgroup. When the system runs
 * short of memory, the kernel gives the reserve back, except huge pages from
 * the pool.
 *
 * With huge pages from the pool, an access to the reserve does not always get
 * SIGBUS: newer versions of hugetlbfs map a page that is in the page cache
 * without comparing with the size. What such an access writes stays, and is in
 * the memory that a later grow adds.
 */
struct peershm_set_reserve {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: the one this file is attached to */
	__u64 reserve;	/* multiple of the page size; 0: none */
};

/* One client, as CLIENTS lists it. */
struct peershm_client_info {
	__u64 id;
	__u64 start_time; /* of the process, the caller's CLOCK_BOOTTIME, ns */
	__u64 base;
	__u64 mapped;	/* bytes from the base known to be in its page tables */
	/*
	 * In the caller's PID namespace; 0 if it is not in that namespace, or
	 * if it has ended and another process still uses its address space.
	 */
	__s32 pid;
	__u32 flags;	/* PEERSHM_CLIENT_* */
	char name[PEERSHM_NAME_SIZE];
	__u32 slot;	/* its entry in the header */
	__u32 reserved;
};

struct peershm_clients {
	__u32 size;
	__u32 flags;	  /* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	  /* id; 0: the one this file is attached to */
	__u64 clients;	  /* in: array of struct peershm_client_info, or 0 */
	__u32 nr_clients; /* in: length of the array; out: number of clients */
	__u32 record_size; /* in: of one record */
};

/* RESOLVE: the PID of a client name, or with BY_PID the client name of a PID. */
#define PEERSHM_RESOLVE_BY_PID (1u << 0)

struct peershm_resolve {
	__u32 size;
	__u32 flags;	/* PEERSHM_RESOLVE_* */
	struct peershm_failure failure; /* out */
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
	__u64 reserved;	/* how much of it is allocated now */
	__u64 page_size;
	__u32 backing;	/* enum peershm_backing */
	__u32 nr_clients;
	__u32 max_clients;
	__u32 uid;	/* in the caller's user namespace */
	__u32 gid;
	__u32 mode;
	__u32 flags;	/* PEERSHM_HEADER_* */
	__u32 nr_roots;	/* number of named roots */
	char name[PEERSHM_NAME_SIZE];
	__u64 root_generation;
};

/* STAT: a region by name, by id, or (neither) the one this file is attached to. */
struct peershm_stat {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id, or 0 */
	char name[PEERSHM_NAME_SIZE]; /* or empty */
	struct peershm_region_info info; /* out */
};

/* REGIONS: list the regions that have a name and that the caller may read. */
struct peershm_regions {
	__u32 size;
	__u32 flags;	  /* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 regions;	  /* in: array of struct peershm_region_info, or 0 */
	__u32 nr_regions; /* in: length of the array; out: number of regions */
	__u32 record_size; /* in: of one record */
};

/*
 * UNLINK: take the region's name away, so that another region can have it. The
 * region's clients go on as before. Its memory is freed when the last of them is
 * gone.
 */
struct peershm_unlink {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id; 0: by name */
	char name[PEERSHM_NAME_SIZE];
};

/*
 * WATCH: let a file that is not attached read the region's events. The caller
 * needs read permission. It does not become a client, and the region does not
 * live longer for it. The file watches until it is closed, and only the process
 * that called WATCH can read from it. A region has at most as many watchers as
 * it can have clients, and the module limits how many of them one user other
 * than the owner has (ENOSPC).
 */
struct peershm_watch {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 region;	/* id */
	__u32 event_size; /* as for ATTACH */
	__u32 reserved;
};

/*
 * INFO: what module this is, and what it can do on this machine.
 */
#define PEERSHM_BACKING_POOL (1u << 0) /* the system's pool of huge pages */

/* A backing that this machine has. */
struct peershm_backing_info {
	__u32 backing;	 /* enum peershm_backing */
	__u32 flags;	 /* PEERSHM_BACKING_* */
	__u64 page_size; /* sizes and capacities are multiples of it */
	__u64 alignment; /* a base is a multiple of it; best for capacities, too */
};

#define PEERSHM_FEATURE_PINS (1u << 0) /* SHRINK waits for memory that is pinned */

struct peershm_info {
	__u32 size;
	__u32 flags;	/* must be 0 */
	struct peershm_failure failure; /* out */
	__u64 backings;	/* in: array of struct peershm_backing_info, or 0 */
	__u32 nr_backings; /* in: length of the array; out: number of backings */
	__u32 record_size; /* in: of one record */
	/* All that follows is out. The limits are those of this moment. */
	__u64 features;	/* PEERSHM_FEATURE_* */
	__u32 version;	/* of the module: PEERSHM_VERSION */
	__u32 header_major;
	__u32 header_minor;
	__u32 max_roots;   /* named roots of a region */
	__u32 max_clients; /* of a region that is created now */
	__u32 max_regions;
	__u32 max_user_regions; /* for a user without CAP_SYS_RESOURCE */
	__u32 max_user_clients; /* likewise, in a region of another user */
	__u64 max_user_capacity; /* likewise, of all regions together */
	__u64 max_user_bytes; /* likewise, but of huge pages from the pool */
	__u64 max_bytes; /* of all regions, but of huge pages from the pool */
};

/*
 * Events. read() on the file of a client, or on a file that watches, returns as
 * many whole records as there are and as fit into the buffer, each of as many bytes
 * as ATTACH or WATCH asked for. It blocks while there is none. A region has one
 * sequence of events: every reader gets the same records in the same order,
 * including those it caused itself, starting with its own `joined` or with its
 * WATCH. The kernel updates the header before readers can see the record of the
 * change.
 *
 * A region keeps only its last events. A reader that is too slow loses the
 * oldest. It gets one `overflow` record that tells how many, and can learn the
 * present state from the header, or with STAT and CLIENTS.
 *
 * poll() gives EPOLLIN when there is a record. Once the region is unlinked it
 * gives EPOLLHUP, and read() returns 0 where it would have blocked. It gives
 * EPOLLERR where read() fails with ENOTCONN. epoll is woken shortly after the
 * call that caused the event has returned, so epoll_wait() with a timeout of 0
 * can miss an event that has just happened.
 */
enum peershm_event_type {
	PEERSHM_EVENT_JOINED = 1,    /* a client attached */
	PEERSHM_EVENT_LEFT = 2,	     /* a client detached, or unmapped its window */
	PEERSHM_EVENT_DIED = 3,	     /* a client's process ended, or called exec */
	PEERSHM_EVENT_GREW = 4,	     /* old and new size */
	PEERSHM_EVENT_SHRINKING = 5, /* size and watermark; equal if withdrawn */
	PEERSHM_EVENT_SHRUNK = 6,    /* old and new size */
	PEERSHM_EVENT_ROOT = 7,	     /* old and new address, and its name */
	PEERSHM_EVENT_UNLINKED = 8,
	PEERSHM_EVENT_CAUGHT_UP = 9, /* a deferred client: bytes mapped then and now */
	PEERSHM_EVENT_OVERFLOW = 10, /* 0 and the number of records lost */
};

struct peershm_event {
	__u32 size;	/* of what the module knows of it: the rest is zero */
	__u32 type;	/* enum peershm_event_type */
	__u64 sequence; /* counts the region's events; of overflow, the last one lost */
	__u64 time;	/* the reader's CLOCK_BOOTTIME, ns */
	__u64 client;	/* id of the client it is about, or that caused it; 0: none */
	__u64 old_value;
	__u64 new_value;
	__s32 pid;	/* in the reader's PID namespace, 0 if not in it */
	__u32 flags;	/* PEERSHM_CLIENT_* of the client */
	__u64 reserved;
	char name[PEERSHM_NAME_SIZE]; /* of the client; of a `root` event, of the root */
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
#define PEERSHM_IOC_INFO _IO(PEERSHM_IOC_TYPE, 0x1f)
#define PEERSHM_IOC_SET_RESERVE _IO(PEERSHM_IOC_TYPE, 0x20)

#endif /* _UAPI_LINUX_PEERSHM_H */
