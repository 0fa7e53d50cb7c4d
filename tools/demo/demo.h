/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * peershm-demo: a story, told by one process, and daemons that it starts: this program again, in a
 * role. They exchange messages over a socket that keeps each message whole.
 */
#ifndef DEMO_H
#define DEMO_H

#include <peershm.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define STEP (2ULL << 20)     /* bytes by which regions grow */
#define SMALLEST_PAGE 4096ULL /* this step touches every page, on any system */

enum message_kind {
	/* to a daemon */
	MESSAGE_LOAD,	/* load the symbols up to `limit`; answer: LOADED, after GREW each time */
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

#define MESSAGE_PEERS 8

struct message {
	enum message_kind kind;
	union {
		uint64_t limit; /* LOAD */
		struct {	/* READY */
			uint64_t base;
			uint64_t root; /* as it was when the daemon opened the region */
		} ready;
		struct { /* GREW */
			uint64_t ns;
			struct peershm_report report; /* its peers follow */
			struct peershm_peer peers[MESSAGE_PEERS];
		} grew;
		struct { /* ANSWERS, since BEGIN */
			uint64_t lookups;
			uint64_t wrong;
			uint64_t faults;   /* of the whole process, minor and major */
			uint64_t touched;  /* bytes of the region of which every page was read */
			uint64_t first_ns; /* when the first answer was right, as of now_ns() */
		} answers;
		struct { /* TOUCH, TOUCHED, WRITE, WRITTEN */
			uint64_t address;
			uint64_t length;
			uint64_t faults;
			uint64_t ns;
			int signal; /* raised by the access, or 0 */
		} touch;
		char text[256]; /* FAILED */
	};
};

/* False: the other end is gone, or does not read; see errno. */
bool message_send(int socket, const struct message *message);

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/*
 * The story's side. What fails has printed why on stderr.
 */

struct child {
	const char *name; /* its client name, too; a constant */
	pid_t pid;
	int socket;
};

bool complain(const char *who, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Called first: waits for daemons fail once this process was told to end, or after SECONDS. */
void child_watch(void);

/* Starts a daemon, with a file for it or -1, and waits until it is ready. NULL: it failed. */
struct child *child_start(const char *role, const char *region, const char *name, int file,
			  struct message *ready);

bool child_tell(struct child *child, const struct message *order);

/* Waits for the next message, which must not be FAILED. */
bool child_hear(struct child *child, struct message *answer);

/* Gives an order, and waits for an answer of this kind; both are in `message`. */
bool child_ask(struct child *child, struct message *message, enum message_kind kind);

/* These wait until the daemon has stopped, or is dead. */
bool child_stop(struct child *child);
bool child_kill(struct child *child);

void child_kill_all(void);

/* A claim that the demo checks. They are counted, and printed if they are false. */
bool promise(bool kept, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the outcome. True: the story was told to its end, and every promise was kept. */
bool promise_verdict(bool told);

/* Numbers as people read them. */
struct text {
	char s[32];
};

struct text text_bytes(uint64_t bytes);	  /* 2.0 MiB */
struct text text_time(uint64_t ns);	  /* 1.3 ms */
struct text text_number(uint64_t number); /* 87,455 */

/* Colours, on a terminal. */
#define TEXT_PLAIN "\033[0m"
#define TEXT_BOLD "\033[1m"
#define TEXT_BAD "\033[31m"
#define TEXT_GOOD "\033[32m"

const char *text_colour(const char *code);
void text_heading(const char *heading);

/* Returns how many bytes of the range are in the process's page tables (/proc/PID/pagemap). */
uint64_t memory_present(pid_t pid, uint64_t address, uint64_t length);

/*
 * Returns a figure in bytes that rises by what a shrink of the region frees: the free pages of its
 * pool, or minus the shared memory in use.
 */
int64_t memory_free(const struct peershm_region_info *region);

/* These tell the story, and its last part: the same growth beside a memfd. */
bool story_tell(enum peershm_backing backing);
bool compare_tell(enum peershm_backing backing, uint64_t total);

/*
 * A daemon's side. What fails has told the story why, and exits. So does a daemon whose story is
 * gone.
 */

/* The descriptors that a daemon is started with: its socket, and a file if its role needs one. */
#define DAEMON_SOCKET STDIN_FILENO
#define DAEMON_FILE STDOUT_FILENO

/*
 * Opens the region as a client; returns NULL if its name is "". What the process has mapped before,
 * such as code and stack, is locked: faults that are counted afterwards are those on later mappings.
 */
struct peershm *daemon_open(const char *region, const char *client);

void daemon_ready(const void *base, const void *root);
void daemon_say(const struct message *message);
void daemon_order(struct message *message);
bool daemon_order_pending(void);
_Noreturn void daemon_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Returns the page faults of this process so far, minor and major. */
uint64_t daemon_faults(void);

/* The roles. `client` is the client name; a comparing daemon without a region maps its file. */
void loader_run(const char *region, const char *client);
void lookup_run(const char *region, const char *client);
void compare_run(const char *region, const char *client);

#endif /* DEMO_H */
