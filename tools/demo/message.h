/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The messages between the story and its daemons, over a socket that keeps them whole. The story
 * waits at most MESSAGE_DEADLINE_MS for an answer.
 */
#ifndef DEMO_MESSAGE_H
#define DEMO_MESSAGE_H

#include <peershm.h>
#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_DEADLINE_MS 20000
#define MESSAGE_PEERS 8

/* The descriptors of a daemon: its socket, and a file if its role needs one. */
#define MESSAGE_SOCKET 3
#define MESSAGE_FILE 4

enum message_kind {
	MESSAGE_ANY = 0,
	/* to a daemon */
	MESSAGE_LOAD,	/* load the symbols up to `limit`; answer: LOADED */
	MESSAGE_BEGIN,	/* start looking up; no answer */
	MESSAGE_REPORT, /* read every page, and go on looking up; answer: ANSWERS */
	MESSAGE_STOP,	/* the same, but stop looking up */
	MESSAGE_TOUCH,	/* read at `address`; answer: TOUCHED */
	MESSAGE_WRITE,	/* write to each page of `address`, `length`; answer: WRITTEN */
	/* from a daemon */
	MESSAGE_READY,
	MESSAGE_GREW,
	MESSAGE_LOADED,
	MESSAGE_ANSWERS,
	MESSAGE_TOUCHED,
	MESSAGE_WRITTEN,
	MESSAGE_FAILED,
};

struct message {
	uint32_t kind;
	union {
		uint64_t limit; /* LOAD, LOADED */
		struct {	/* READY */
			uint64_t base;
			uint64_t root; /* as it was when the daemon opened the region */
		} ready;
		struct { /* GREW */
			uint64_t old_size;
			uint64_t new_size;
			uint64_t ns;
			struct peershm_report report; /* its peers follow */
			struct peershm_peer peers[MESSAGE_PEERS];
		} grew;
		struct { /* ANSWERS, since BEGIN */
			uint64_t lookups;
			uint64_t wrong;
			uint64_t faults;   /* of the whole process, minor and major */
			uint64_t touched;  /* bytes of the region of which every page was read */
			uint64_t first_ns; /* when the first answer was right, CLOCK_MONOTONIC */
		} answers;
		struct { /* TOUCH, TOUCHED, WRITE, WRITTEN */
			uint64_t address;
			uint64_t length;
			uint64_t faults;
			uint64_t ns;
			int32_t signal; /* raised by the access, or 0 */
			int32_t code;	/* its si_code */
		} touch;
		char text[256]; /* FAILED */
	};
};

/* These return 0 or -errno, such as -EPIPE if the other end is gone, or -ETIMEDOUT. */
int message_send(int socket, const struct message *message);
int message_receive(int socket, struct message *message, int timeout_ms);

uint64_t message_now(void); /* ns, CLOCK_MONOTONIC */

/* A daemon's side: send a message, wait for an order. Both exit if the story is gone. */
void message_say(const struct message *message);
void message_order(struct message *message);
bool message_order_pending(void);

/* Sends an error message, and exits. */
_Noreturn void message_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* DEMO_MESSAGE_H */
