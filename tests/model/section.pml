/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpeershm/grace.c and shrink.c as a model: two readers and a waiter. spin tries every order of
 * their steps (tests/model/check).
 *
 * A reader's stores first go to a store buffer of its own, as in a processor. They reach memory when
 * the processor drains the buffer, or when a membarrier() of the waiter makes the reader pass a
 * barrier. A reader's loads see its own buffer first. Buffers keep the order of stores: the code
 * uses release stores for that, and x86 keeps it anyway. The waiter's stores go to memory at once,
 * because a full barrier (membarrier() is one) follows each of them, or their order does not matter.
 *
 * The data: the waiter takes away the pointer (`published`), and after the grace period the memory
 * (`freed`). A reader that saw the pointer uses the memory until its section ends, and must never
 * find it freed. A use takes effect before the store that ends the section does; the model checks
 * `freed` at the use itself.
 *
 * Other waiters set `waiting` at any time. Sections nest. Reader 0 may die at any step, before or
 * after its buffer is drained. Reader 1 may attach at any time, also during a grace period. Sleeping
 * has no time-out in the model, so a lost wake-up is a deadlock, which spin reports. Only the death
 * of a reader ends a sleep by itself: the code looks for it before each sleep, and every POLL_MS.
 *
 * A shrink is announced before its waiter waits, and confirmed afterwards, as with the kernel's
 * ANNOUNCE and ANNOUNCED, each of which is one step (kmod/registry/size.c).
 *
 * With TWO_SHRINK there are two waiters, threads of one client or of two clients, and somebody
 * grows the region once: that withdraws the announcement, and a pointer to the memory that was added
 * is published. An application must not let this happen between the removal of the pointer and the
 * announcement, so the waiter makes these two in one step. From an announcement that is in force
 * when it is confirmed until then, no pointer was published, and all is as with one waiter: so it
 * is enough here that each reader has one section, which nests no other, and that nobody dies.
 *
 * Variants, each a mistake that spin must find:
 *   NO_MEMBARRIER   the waiter has a barrier, but the readers pass none
 *   NO_SECOND       no membarrier between storing `waiting` and loading `passed`
 *   EARLY_PASSED    the waiter samples `passed` before its first membarrier
 *   NO_REGISTRY     the waiter does not look whether the reader has died
 *   NO_COOKIE       (with TWO_SHRINK) a client's announcement is confirmed by each of its threads
 */
#define READERS 2
#ifdef TWO_SHRINK
#define SECTIONS 1 /* of each reader */
#else
#define SECTIONS 2
#endif
#define DEPTH 6

#define INSIDE 0
#define WAITING 1
#define PASSED 2
#define LIVE 3

/* Memory. */
bool published = true;
bool freed = false;
byte cell[READERS * 4]; /* reader * 4 + INSIDE.. */
bool registered[READERS]; /* for membarrier() */

/* The kernel's: whose announcement is in force, 0 if none is, and how many were made. */
byte announcer = 0;
byte announcements = 0;

/* Store buffers, one for each reader: which cell and which value, oldest first. */
chan buffer[READERS] = [DEPTH] of { byte, byte };

/* A reader's load of a cell: its newest store in the buffer, or memory. */
#define load(me, where, value) \
	atomic { \
		value = cell[me * 4 + where]; \
		scan = 0; \
		do \
		:: scan < len(buffer[me]) -> \
			buffer[me]?at,what; \
			if \
			:: at == where -> value = what \
			:: else \
			fi; \
			buffer[me]!at,what; \
			scan++ \
		:: else -> break \
		od; \
		scan = 0; at = 0; what = 0 \
	}

#define store(me, where, value) buffer[me]!where,value

/* A full barrier of the reader, by itself or by the membarrier() of another. */
#define drain(me) \
	d_step { \
		do \
		:: buffer[me]?at,what -> cell[me * 4 + at] = what \
		:: empty(buffer[me]) -> break \
		od; \
		at = 0; what = 0 \
	}

/* The processor drains the buffer at any time. */
proctype processor(byte me)
{
	byte at, what;

end:
	do
	:: atomic { buffer[me]?at,what -> cell[me * 4 + at] = what; at = 0; what = 0 }
	od
}

/* In a section: memory that the reader saw published must not be freed. */
#define use(seen) assert(!(seen && freed))

#define lock(me) store(me, INSIDE, 1)

#define unlock(me) \
	store(me, INSIDE, 0); \
	load(me, WAITING, waiting); \
	if \
	:: waiting -> \
		load(me, PASSED, passed); \
		store(me, WAITING, 0); \
		store(me, PASSED, (passed + 1) % 8); \
		drain(me) /* the system call that wakes */ \
	:: else \
	fi; \
	waiting = 0; passed = 0

/* Reader 0 may die here, with stores still in its buffer. */
#define may_die(me) \
	if \
	:: me == 0 && mortal -> goto dies \
	:: true \
	fi

proctype reader(byte me; bool mortal)
{
	byte at, what, scan;
	byte waiting, passed;
	byte n, depth;
	bool seen;

	/* ATTACH: the kernel publishes the client. That alone orders nothing. */
	store(me, LIVE, 1);
	registered[me] = true;
	drain(me); /* join() */
	do
	:: n < SECTIONS ->
		lock(me);
		may_die(me);
		seen = published;
		use(seen);
#ifndef TWO_SHRINK
		if /* a nested section stores nothing, and what was seen stays valid */
		:: depth = 1; use(seen); depth = 0
		:: true
		fi;
#endif
		may_die(me);
		use(seen);
		unlock(me);
		seen = false;
		n++
	:: else -> break
	od;
	goto out;
dies:
	seen = false;
	/* Its stores reach memory before the kernel takes it out of the header. */
	atomic { drain(me); cell[me * 4 + LIVE] = 0 }
out:
	skip
}

/* Every registered reader passes a barrier, one after the other. */
#ifdef NO_MEMBARRIER
#define membarrier() skip
#else
#define membarrier() \
	who = 0; \
	do \
	:: who < READERS -> \
		atomic { \
			if \
			:: registered[who] -> drain(who) \
			:: else \
			fi; \
			who++ \
		} \
	:: else -> break \
	od; \
	who = 0
#endif

#ifdef NO_SECOND
#define second_membarrier() skip
#else
#define second_membarrier() membarrier()
#endif

#ifdef NO_REGISTRY
#define gone(i) false
#else
#define gone(i) (!cell[i * 4 + LIVE])
#endif

/* Other waiters, of which readers see only that they set `waiting`, at any time. */
proctype others()
{
	cell[0 * 4 + WAITING] = 1;
	cell[1 * 4 + WAITING] = 1;
}

/* Before the first announcement, a grow would change nothing. */
proctype grower()
{
	atomic {
		announcements > 0;
		announcer = 0;
		freed = false;
		published = true
	}
}

#ifdef NO_COOKIE
#define in_force(client, cookie) (announcer == client)
#else
#define in_force(client, cookie) (announcer == client && announcements == cookie)
#endif

/* Announces after `before` others have. */
proctype waiter(byte client; byte before)
{
	byte at, what;
	byte i, who, was, cookie;
#ifdef EARLY_PASSED
	byte early[READERS];

	early[0] = cell[0 * 4 + PASSED];
	early[1] = cell[1 * 4 + PASSED];
#endif

	atomic {
		announcements >= before;
		if
		:: announcer == 0 || announcer == client
		:: else -> goto refused
		fi;
		published = false;
		announcer = client;
		announcements++;
		cookie = announcements
	}
	membarrier();
	do
	:: i < READERS ->
		if
		:: !cell[i * 4 + LIVE] -> goto next
		:: else
		fi;
#ifdef EARLY_PASSED
		was = early[i];
#else
		was = cell[i * 4 + PASSED];
#endif
		if
		:: !cell[i * 4 + INSIDE] -> goto next
		:: else
		fi;
again:
		cell[i * 4 + WAITING] = 1;
		second_membarrier();
		if
		:: cell[i * 4 + PASSED] != was || !cell[i * 4 + INSIDE] || gone(i) -> goto next
		:: else
		fi;
		/* The futex sleeps only while `passed` has its old value. */
		if
		:: atomic { cell[i * 4 + PASSED] != was -> skip }
		:: atomic { gone(i) -> skip }
		fi;
		goto again;
next:
		i++;
		was = 0
	:: else -> break
	od;
	atomic {
		if
		:: in_force(client, cookie) ->
			freed = true;
			announcer = 0
		:: else
		fi;
		i = 0; cookie = 0
	}
refused:
	skip
}

init {
	atomic {
		run processor(0);
		run processor(1);
		run reader(1, false);
		run waiter(1, 0);
#ifdef TWO_SHRINK
		run reader(0, false);
		if /* which of two is the first does not matter */
		:: run waiter(1, 1)
		:: run waiter(2, 1)
		fi;
		run grower()
#else
		run reader(0, true);
		run others()
#endif
	}
}
