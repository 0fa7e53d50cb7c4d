/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the story and its daemons tell each other, over a socket that keeps messages whole.
 * Nothing is waited for longer than MESSAGE_DEADLINE_MS.
 */
#ifndef DEMO_MESSAGE_H
#define DEMO_MESSAGE_H

#include <peershm.h>
#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_DEADLINE_MS 20000
#define MESSAGE_PEERS 8

/* Descriptors of a daemon: its socket, and a file if its role takes one. */
#define MESSAGE_SOCKET 3
#define MESSAGE_FILE 4

enum message_kind {
	MESSAGE_ANY = 0,
	/* to a daemon */
	MESSAGE_LOAD,	/* limit: load symbols up to that one, then answer LOADED */
	MESSAGE_BEGIN,	/* look up from now on; no answer */
	MESSAGE_REPORT, /* answer ANSWERS, having touched all there is; go on */
	MESSAGE_STOP,	/* the same; then look up no more */
	MESSAGE_TOUCH,	/* address: answer TOUCHED */
	MESSAGE_WRITE,	/* address, length: write to each page, answer WRITTEN */
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
			struct peershm_report report; /* its peers are these: */
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
			int32_t signal; /* that the touch raised, or 0 */
			int32_t code;	/* and its si_code */
		} touch;
		char text[256]; /* FAILED */
	};
};

/* 0, or -errno: -EPIPE when the other end is gone, -ETIMEDOUT. */
int message_send(int socket, const struct message *message);
int message_receive(int socket, struct message *message, int timeout_ms);

uint64_t message_now(void); /* ns, CLOCK_MONOTONIC */

/* A daemon's end: send, or leave; wait for the next order (leave if there is no story). */
void message_say(const struct message *message);
void message_order(struct message *message);
bool message_order_pending(void);

/* A daemon's last words. */
_Noreturn void message_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* DEMO_MESSAGE_H */
