/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpeershm/grace.c as a model: two readers and one who waits. spin goes
 * through every interleaving (tests/model/check).
 *
 * Stores of a reader wait in a buffer of its own, as in a processor, until it
 * drains or membarrier() makes the reader pass a barrier; its loads see its own
 * buffer first. The order of stores is kept: that is what the release stores are
 * for where a processor would not keep it, and x86 keeps it anyhow. Who waits has
 * full barriers after each of its stores (membarrier() is one), so its stores go
 * to memory at once; where there is none between two of them, their order does
 * not matter.
 *
 * The data: `published` is taken out by who waits, and after the grace period
 * the memory goes (`freed`). A reader that saw it published uses it until its
 * section ends; it must never find it freed. `freed` is checked when a use takes
 * effect, which is no later than the end of the section takes effect.
 *
 * Also: others wait at the same time; sections nest; reader 0 may die anywhere, and its buffer with it or
 * without it; reader 1 attaches at any time, also while somebody waits. Sleeping
 * has no time-out here, so a wake-up that is lost shows as a deadlock, but for
 * the death of a reader, which is looked at before every sleep and, with POLL_MS,
 * while sleeping.
 *
 * Variants, each a mistake that spin must find:
 *   NO_MEMBARRIER   the one who waits has a barrier, but readers pass none
 *   NO_SECOND       no membarrier between `waiting` and the look at `passed`
 *   EARLY_PASSED    `was` is of before the first membarrier
 *   NO_REGISTRY     who waits does not look whether the reader has died
 */
#define READERS 2
#define SECTIONS 2 /* of each reader */
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

/* Buffers: of each reader, what it stored and where, oldest first. */
chan buffer[READERS] = [DEPTH] of { byte, byte };

/* What a reader's own load of a cell gives: its newest store, or memory. */
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

/* What a full barrier of the reader does, or membarrier() to it. */
#define drain(me) \
	d_step { \
		do \
		:: buffer[me]?at,what -> cell[me * 4 + at] = what \
		:: empty(buffer[me]) -> break \
		od; \
		at = 0; what = 0 \
	}

/* The processor drains its buffer when it likes. */
proctype processor(byte me)
{
	byte at, what;

end:
	do
	:: atomic { buffer[me]?at,what -> cell[me * 4 + at] = what; at = 0; what = 0 }
	od
}

/* In a section: what was seen published must not be gone. */
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

/* Death: at any step, with what its processor had not yet drained. */
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

	/* ATTACH: the kernel shows the client; it is not ordered by itself. */
	store(me, LIVE, 1);
	registered[me] = true;
	drain(me); /* join() */
	do
	:: n < SECTIONS ->
		lock(me);
		may_die(me);
		seen = published;
		use(seen);
		if /* nested: nothing is stored, and what was seen stays */
		:: depth = 1; use(seen); depth = 0
		:: true
		fi;
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
	/* Its stores reach memory; then the kernel drops it from the header. */
	atomic { drain(me); cell[me * 4 + LIVE] = 0 }
out:
	skip
}

/* Every reader that runs passes a barrier, one after the other. */
#ifdef NO_MEMBARRIER
#define membarrier() skip
#else
#define membarrier() \
	who = 0; \
	do \
	:: who < READERS -> \
		if \
		:: registered[who] -> drain(who) \
		:: else \
		fi; \
		who++ \
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

/* Others that wait, at any time: what the readers see of them. */
proctype others()
{
	cell[0 * 4 + WAITING] = 1;
	cell[1 * 4 + WAITING] = 1;
}

proctype waiter()
{
	byte at, what;
	byte i, who, was;
#ifdef EARLY_PASSED
	byte early[READERS];

	early[0] = cell[0 * 4 + PASSED];
	early[1] = cell[1 * 4 + PASSED];
#endif

	published = false;
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
		/* The futex: sleeps only if `passed` still is what it was. */
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
	freed = true
}

init {
	atomic {
		run processor(0);
		run processor(1);
		run reader(0, true);
		run reader(1, false);
		run others();
		run waiter()
	}
}
