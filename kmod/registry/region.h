/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_REGION_H
#define PEERSHM_REGION_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>

#include <uapi/linux/peershm.h>

#include "registry/event.h"
#include "registry/name.h"
#include "memory/reserve.h"
#include "registry/root.h"

struct file;
struct peershm_client;
struct peershm_file;
struct pid_namespace;
struct user_namespace;

/*
 * A region has its memory and its address while it is linked (has its name),
 * while a window of it is mapped, and during commands: these are its users.
 * The struct alone lives on while a client's struct refers to it: what an open
 * file that nobody uses any more can hold is that, and the module.
 */
struct peershm_region {
	struct kref users;
	struct kref ref;		/* the users have one */

	/* Constant after creation. */
	u64 id;
	char name[PEERSHM_NAME_SIZE];
	u32 backing;
	u32 page_size;
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
	struct peershm_header *header;	/* content: registry */

	struct list_head node;		/* region list lock; by base */
	u64 granted;			/* region list lock; resize, too */

	/* Serialises changes of the size; held while memory is allocated. */
	struct mutex resize;
	struct peershm_reserve reserve;

	/* Read: clients' page tables are not taken away (populate.c). */
	struct rw_semaphore tables;

	spinlock_t registry;		/* protects what follows */
	u64 size;			/* written with resize held, too */
	/* A shrink to it is announced, by that client; else the size, NULL. */
	u64 watermark;
	struct peershm_client *announcer;
	struct peershm_root root;	/* the one without a name */
	struct list_head roots;		/* those with names */
	u64 root_changes;
	u32 nr_roots;			/* in the list */
	u64 generation;
	u64 shrinks;			/* how often it shrank */
	u64 next_client_id;
	struct peershm_name *names;	/* max_clients, of clients that left */
	u64 departures;			/* how many that was */
	u32 header_seq;
	u32 nr_clients;			/* live ones */
	bool linked;			/* written with the list lock, too */
	struct peershm_client **clients; /* max_clients slots */
	struct peershm_client **leavers; /* that keep a slot; no reference */
	struct peershm_event_log events;

	/* For stragglers; while it is queued it has a hold. */
	struct delayed_work follow;
	unsigned int pause_ms;		/* registry */
};

struct peershm_region *peershm_region_find(const char *name, u64 id, int mask);
struct peershm_region *peershm_region_of(struct peershm_file *pf, u64 id,
					 int mask);
void peershm_region_get(struct peershm_region *region);
void peershm_region_put(struct peershm_region *region);
void peershm_region_hold(struct peershm_region *region);
void peershm_region_drop(struct peershm_region *region);
bool peershm_region_may(const struct peershm_region *region, int mask);
bool peershm_region_grant(struct peershm_region *region, u64 size, u64 reserve);

bool peershm_name_valid(const char *name);

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_region_create(struct peershm_file *pf, void *arg);
void peershm_region_uncreate(struct peershm_file *pf, void *arg);
long peershm_region_stat(struct peershm_file *pf, void *arg);
long peershm_region_list(struct peershm_file *pf, void *arg);
long peershm_region_unlink(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_REGION_H */
