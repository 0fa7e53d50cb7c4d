/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_CLIENT_H
#define PEERSHM_CLIENT_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include <uapi/linux/peershm.h>

struct file;
struct mm_struct;
struct peershm_event_reader;
struct peershm_file;
struct peershm_region;
struct pid;

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
	u64 generation;			/* of the name: 1 for its first */
	unsigned int entry;		/* of the header: its slot, also later */
	u32 flags;
	bool dump;			/* its window is part of core dumps */
	bool limited;			/* one of so many of its user */
	kuid_t uid;
	char name[PEERSHM_NAME_SIZE];

	/* Protected by the region's registry lock. */
	int slot;			/* -1: not in the registry */
	unsigned int keeps;		/* of the slot, also when it has left */
	bool live;			/* attached: shown, and a peer */
	bool partial;			/* has been at its window */
	unsigned long awaited;		/* its name, dying: since (jiffies), or 0 */
	u64 mapped;
	struct peershm_event_reader *reader; /* of the file, if connected */
	u64 behind;			/* a straggler from there on */
	u64 mapped_before;		/* when it became one */

	struct file *window;		/* of the attaching task; then NULL */
};

bool peershm_client_limited(const struct peershm_region *region);
bool peershm_client_share(unsigned int n);
struct peershm_client *peershm_client_new(struct peershm_region *region,
					  const struct peershm_attach *args);
void peershm_client_put(struct peershm_client *client);
int peershm_client_enter(struct peershm_client *client);
void peershm_client_leave(struct peershm_client *client);
int peershm_client_keep(struct peershm_client *client);
void peershm_client_unkeep(struct peershm_client *client);
bool peershm_client_live(struct peershm_client *client);
bool peershm_client_ended(const struct peershm_client *client);
s32 peershm_client_pid(const struct peershm_client *client);

struct peershm_client *peershm_client_of(struct peershm_file *pf);
struct peershm_client *peershm_client_acting(struct peershm_file *pf,
					     struct peershm_region *region);
struct peershm_region *peershm_client_region(struct peershm_file *pf, int mask);
void peershm_client_trim_locked(struct peershm_region *region, u64 limit);
void peershm_client_mapped(struct peershm_client *client, u64 start, u64 end,
			   u64 shrinks);
void peershm_client_partial(struct peershm_client *client, u64 start, u64 end,
			    u64 shrinks);

/* Commands. `arg` is the command's struct in kernel memory. */
long peershm_client_list(struct peershm_file *pf, void *arg);
long peershm_client_resolve(struct peershm_file *pf, void *arg);

#endif /* PEERSHM_CLIENT_H */
