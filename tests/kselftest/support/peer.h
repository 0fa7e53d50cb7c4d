/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A peer: a child process that sleeps until the test gives it a function to run, and a copy of
 * the function's argument. The function is found at the same address there, because the peer is
 * a fork of this program. In a peer no cmocka assertion may be used: functions return 0 or a
 * negative errno value.
 */
#ifndef PEERSHM_TEST_PEER_H
#define PEERSHM_TEST_PEER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "device.h"

#define PEER_ARG_SIZE 4096

struct peer {
	pid_t pid;
	int socket;
	bool busy;		  /* it has an order and has not answered yet */
	struct peershm_attach at; /* once it has joined a region */
	char name[PEERSHM_NAME_SIZE];
};

/* In the peer: the client that it is. */
extern struct client self;

/* In the peer: called every 2 ms while it waits for an order, if a function that it ran set it. */
#define PEER_IDLE_MS 2
extern void (*peer_idle)(void);

typedef long (*peer_function)(void *arg);

/* A new peer. It is ended after the test at the latest. */
struct peer *peer_new(void);
void peer_end(struct peer *p); /* at once */
void peers_end(void);

/* A peer that is a client of the region. */
struct peer *peer_join(const struct region *r, const char *name);
struct peer *peer_join_flags(const struct region *r, const char *name, uint32_t flags);

/* The same for a peer that exists; gives the answer of ATTACH. */
int peer_attach(struct peer *p, const char *region, const char *name, uint32_t flags);
int peer_detach(struct peer *p);

/* Run a function in the peer; arg is copied there, and back when it is done. */
long peer_call(struct peer *p, peer_function f, void *arg, size_t size);

/* The same in two halves, the second with a deadline (-ETIMEDOUT). */
void peer_start(struct peer *p, peer_function f, const void *arg, size_t size);
long peer_finish_within(struct peer *p, void *arg, size_t size, unsigned int ms);
long peer_finish(struct peer *p, void *arg, size_t size);

/* An ioctl on the peer's file, with a struct that holds no pointers. */
int peer_ioctl(struct peer *p, unsigned long command, void *arg, size_t size);

struct faults {
	long minor, major;
};

/* Write one word of every page of the range, and the page faults that took. */
struct faults peer_write(struct peer *p, uint64_t address, uint64_t length);

/* The signal that reading (or writing) a byte there gives, 0 for none. */
int peer_touch(struct peer *p, uint64_t address);
int peer_touch_write(struct peer *p, uint64_t address);

uint64_t peer_present(struct peer *p, uint64_t address, uint64_t length);
uint64_t peer_load(struct peer *p, uint64_t address);
void peer_store(struct peer *p, uint64_t address, uint64_t value);

/* First and last word of every page of the range are zero. */
bool peer_all_zero(struct peer *p, uint64_t address, uint64_t length);

/* Take the pages of the range out of the peer's page tables. */
void peer_forget(struct peer *p, uint64_t address, uint64_t length);

int peer_munmap(struct peer *p, uint64_t address, uint64_t length);
int peer_mprotect(struct peer *p, uint64_t address, uint64_t length, int protection);

/* Move a mapping (mremap); in a peer, and for functions that run in one. */
int peer_move(struct peer *p, uint64_t from, uint64_t length, uint64_t to);
int move_mapping(uint64_t from, uint64_t length, uint64_t to);

/* Map memory of the peer's own, which is no region's, over the range. */
void peer_cover(struct peer *p, uint64_t address, uint64_t length);

/* Users of the tests' own. Mallory has no regions but those that are to be too many. */
enum {
	ALICE = 1000,
	BOB,
	CAROL,
	MALLORY
};

/* Become another user, with that group alone and no capabilities. */
void peer_become(struct peer *p, uid_t user, gid_t group);

/* Enter a user namespace of its own: 0, or a negative errno value where there are none. */
int peer_enter_user_namespace(struct peer *p);

void peer_kill(struct peer *p);	    /* SIGKILL, and wait until it is gone */
void peer_stop(struct peer *p);	    /* SIGSTOP, and wait until it has stopped */
void peer_continue(struct peer *p); /* SIGCONT */
bool peer_runs(struct peer *p);	    /* it has not exited nor been killed */

/* So many peers that are clients, called "0", "1" and so on. */
void peers_join(const struct region *r, struct peer **peers, unsigned int n);

/* The peer, a client, grows its region. */
int peer_grow(struct peer *p, uint64_t length);
long grow_self(void *length); /* what it runs, for peer_start(): a uint64_t */

/* Fails the test unless the peer has the whole range in its page tables, and can write to it. */
void peer_has_all(struct peer *p, uint64_t address, uint64_t length);

/* Grow by one step, waiting for peers no longer than ms; what was reported of this one. */
struct peershm_peer grow_and_report(const struct region *r, const struct peer *p, unsigned int ms);

/* The first process of a new PID namespace; p->pid is its PID here. Skips if there are none. */
struct peer *peer_new_in_pid_namespace(void);

/* The peer becomes another program (exec), one that sleeps; returns once that runs. */
void peer_exec(struct peer *p);

/* For functions that run in a peer or a test: the signal a touch gives. */
int touch(uint64_t address, bool write);

#endif
