/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The structs that all rooms share: a region and what is part of it, a client,
 * an open file of the device. Each field names the lock that protects it.
 */
#ifndef PEERSHM_TYPES_H
#define PEERSHM_TYPES_H

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/peershm.h>

struct mem_cgroup;
struct mm_struct;
struct peershm_client;
struct peershm_event_record;
struct peershm_header;
struct peershm_region;
struct pid;
struct pid_namespace;
struct task_struct;
struct user_namespace;

/*
 * A root: a pointer that the region keeps. The one without a name is part of
 * the region's struct; one with a name lives while it is in the region's list.
 * The region's registry lock protects all of it.
 */
struct peershm_root {
	struct list_head node;
	u64 address;			/* ask peershm_root_address_locked() */
	u64 generation;
	char name[PEERSHM_NAME_SIZE];	/* constant */
};

/*
 * What a region remembers of its past: its last events, once for all readers.
 * Part of the region.
 */
struct peershm_event_log {
	unsigned int size;		/* constant; a power of two */
	struct peershm_event_record *ring; /* content: registry_lock */
	u64 next;			/* registry_lock; sequence to come */
	struct list_head readers;	/* registry_lock */
	unsigned int nr_watchers;	/* registry_lock; <= max_clients */
};

/*
 * How far an open file has read the events of the region that it is attached
 * to or watches. Part of the file, as poll() may wait on it for as long as that
 * is open.
 */
struct peershm_event_reader {
	wait_queue_head_t wait;
	struct work_struct wake;
	struct mutex read_mutex;	/* one read() at a time */

	/* Of a file that watches. The file's lock; once set, until the end. */
	struct peershm_region *region;	/* its struct is kept */
	struct mm_struct *mm;		/* whose; grabbed */
	kuid_t uid;

	/* Protected by the registry lock of the region that is read. */
	struct list_head node;
	struct peershm_client *client;	/* that reads through it */
	u64 next;			/* sequence number to read */
	u64 session;			/* counts what it was connected to */
	u32 record_size;		/* bytes that read() gives of each record */
};

/* The reserve of a region: memory beyond its size, allocated and zeroed. */
struct peershm_reserve {
	/* Written with the region's resize and registry locks held. */
	u64 want;			/* bytes; what was asked for */
	u64 have;			/* bytes, from the size on */

	struct mem_cgroup *memcg;	/* charged for it; resize_mutex */
	unsigned long kept_until;	/* jiffies; resize_mutex */
	bool pressed;			/* to be given back; givers_lock */
	struct list_head node;		/* likewise; empty: nothing to give */
	bool closed;			/* likewise; nobody uses the region */

	/* Constant: called when memory was given back, the resize lock held. */
	void (*given_back)(struct peershm_region *region);
	struct delayed_work work;
};

/*
 * A region has its memory and its address while it has a user: its name (it is
 * linked), a mapped window, or a command that is running. The struct lives on
 * without them while a client's struct refers to it. So an open file of the
 * device that nobody uses any more pins a few structs and the module, no memory.
 */
struct peershm_region {
	struct kref users;
	struct kref ref;		/* all users together have one */

	/* Constant after creation. */
	u64 id;
	char name[PEERSHM_NAME_SIZE];
	unsigned int backing;		/* as memory/backing.c numbers them */
	unsigned long page_size;
	u32 mode;
	u32 max_clients;
	bool limited;			/* its memory counts for its owner */
	kuid_t uid;
	kgid_t gid;
	unsigned long base;
	unsigned long capacity;
	struct user_namespace *user_ns;	/* of the creator */
	struct pid_namespace *pid_ns;	/* of the creator */
	struct file *file;		/* the memory */
	struct file *control;		/* the control pages */
	size_t control_length;
	struct peershm_header *header;	/* content: registry_lock */

	struct list_head node;		/* list_mutex; by base */
	/* Takes the region out of the list; NULL while it is not in it. */
	void (*remove)(struct peershm_region *region);
	u64 granted;			/* list_mutex; resize_mutex, too */

	/* Serialises changes of the size; held while memory is allocated. */
	struct mutex resize_mutex;
	struct peershm_reserve reserve;

	/* Held for reading: no page table of a client is taken away. */
	struct rw_semaphore tables_rwsem;

	spinlock_t registry_lock;		/* protects what follows */
	u64 size;			/* written with resize_mutex, too */
	/* An announced shrink: to which size, by whom. None: the size, NULL. */
	u64 watermark;
	struct peershm_client *announcer;
	u64 announcements;		/* ever made; the last one's cookie */
	struct peershm_root root;	/* the one without a name */
	struct list_head roots;		/* those with names */
	u64 root_changes;
	u32 nr_roots;			/* in the list */
	u64 generation;
	u64 shrinks;			/* how often it shrank */
	u64 next_client_id;
	u32 header_seq;
	u32 nr_clients;			/* live ones */
	bool linked;			/* written with list_mutex, too */
	struct peershm_client **clients; /* max_clients slots */
	/* Clients that left, in the slots they keep; no reference. */
	struct peershm_client **kept_slots;
	struct peershm_event_log events;

	/* For deferred clients; while it is queued it keeps the struct. */
	struct delayed_work follow;
	unsigned int pause_ms;		/* registry_lock */
};

/*
 * A client: one process attached to one region. It is in the registry while
 * any piece of its window is mapped and it has not detached. The object lives
 * while the device's open file, the window's file or a peer map refers to it.
 * It pins the region and the mm_struct, not the address space.
 */
struct peershm_client {
	struct kref ref;

	/* Constant once in the registry. */
	struct peershm_region *region;
	struct mm_struct *mm;
	struct pid *pid;
	u64 id;
	u64 start_time;
	unsigned int entry;		/* of the header; its slot while it has one */
	u32 flags;
	bool dump;			/* its window is part of core dumps */
	bool limited;			/* counts for its user's share */
	kuid_t uid;
	char name[PEERSHM_NAME_SIZE];

	/* Protected by the region's registry lock. */
	int slot;			/* -1: not in the registry */
	unsigned int slot_users;	/* the slot stays taken while there are any */
	bool live;			/* attached: shown, and a peer */
	bool partial;			/* a part could not be mapped */
	unsigned long awaited;		/* jiffies since its name is waited for; 0: not */
	u64 mapped;
	struct peershm_event_reader *reader; /* of the file, if connected */
	u64 behind;			/* deferred from there on */
	u64 mapped_before;		/* `mapped` when it was deferred */

	struct file *window;		/* of the attaching task; then NULL */
};

/*
 * One open file of the device. Lives as long as the file.
 */
struct peershm_file {
	struct file *file;		/* constant; no reference */
	spinlock_t lock;
	struct peershm_client *client;	/* lock; a reference */
	struct task_struct *attacher;	/* lock; in ATTACH, else NULL */
	struct peershm_event_reader reader;
};

/**
 * peershm_fail() - say why a command fails
 * @failure: of the command
 * @err: what the command returns
 * @reason: one of those that this error can have
 * @detail: as the reason says
 *
 * Returns: @err.
 */
static inline int peershm_fail(struct peershm_failure *failure, int err,
			       enum peershm_reason reason, u64 detail)
{
	failure->reason = reason;
	failure->detail = detail;
	return err;
}

/**
 * peershm_region_has_locked() - is an address in the active memory?
 * @region: whose registry lock is held
 * @address: any
 */
static inline bool
peershm_region_has_locked(const struct peershm_region *region, u64 address)
{
	lockdep_assert_held(&region->registry_lock);
	return address >= region->base &&
	       address - region->base < region->size;
}

/**
 * peershm_root_address_locked() - where a root points
 * @region: whose registry lock is held
 * @root: of the region
 *
 * Returns: an address in the active memory, or 0.
 */
static inline u64
peershm_root_address_locked(const struct peershm_region *region,
			    const struct peershm_root *root)
{
	return peershm_region_has_locked(region, root->address) ?
		       root->address : 0;
}

/**
 * peershm_region_unannounce_locked() - no shrink is announced any more
 * @region: whose registry lock is held, and whose header is to show it
 */
static inline void
peershm_region_unannounce_locked(struct peershm_region *region)
{
	lockdep_assert_held(&region->registry_lock);
	region->announcer = NULL;
	region->watermark = region->size;
}

/**
 * peershm_file_writable() - was the device opened for reading and writing?
 * @pf: the open file
 */
static inline bool peershm_file_writable(const struct peershm_file *pf)
{
	return pf->file->f_mode & FMODE_WRITE;
}

#endif /* PEERSHM_TYPES_H */
