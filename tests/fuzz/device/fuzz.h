/* SPDX-License-Identifier: GPL-2.0-only */
/* What the supervisor and the workers share: all of it in one shared mapping. */
#ifndef PEERSHM_FUZZ_FUZZ_H
#define PEERSHM_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "program.h"

/*
 * Threads 0 and 1 are processes of their own, the second of a user without
 * rights; 2 and 3 are two threads of one process.
 */
#define NR_THREADS 4
#define HISTORY 4
#define MAX_CORPUS 2048
#define EDGES (1U << 18)
#define POINTS (1U << 13)

struct common;

/* Written by the thread alone. */
struct thread {
	uint64_t ops;
	uint64_t programs;
	uint64_t covered; /* corpus entries run once at the start */
	pid_t tid;
	bool done;			 /* has run everything it was given */
	bool uffd;			 /* its program uses userfaultfd, and may wait for itself */
	unsigned int at;		 /* the call that runs */
	struct program history[HISTORY]; /* the last is programs % HISTORY */
};

struct coverage {
	uint8_t edges[EDGES]; /* pairs of instrumented points, hashed */
	uint64_t points[POINTS];
	uint32_t nr_edges;
	uint32_t nr_points;
};

/* An entry is written before nr is raised over it. */
struct corpus {
	uint32_t lock;
	uint32_t nr;
	uint32_t loaded;
	struct program programs[MAX_CORPUS];
};

struct settings {
	uint64_t seed;
	uint64_t ops;
	unsigned int threads;
	bool guided;
	bool replay;	     /* programs of `replayed` alone, in turn */
	unsigned int repeat; /* how often */
	bool distil;	     /* the corpus, once, by one thread */
	bool leaks;	     /* have kmemleak look in the end */
};

/* Programs of a thread to replay. */
#define MAX_REPLAYED (NR_THREADS * HISTORY)
struct replayed {
	unsigned int nr;
	unsigned int thread[MAX_REPLAYED];
	struct program programs[MAX_REPLAYED];
};

struct shared {
	struct settings settings;
	bool stop;
	char failure[256]; /* of an oracle; the first counts */
	struct thread threads[NR_THREADS];
	struct coverage coverage;
	struct corpus corpus;
	struct replayed replayed;
	bool kept[MAX_CORPUS]; /* by the distillation */
};

static inline unsigned int process_of(unsigned int thread)
{
	return thread < 3 ? thread : 2;
}

/* coverage.c: for the calling thread. Without KCOV these do nothing. */
bool coverage_start(void);
void coverage_begin(void);
/* New edges of the call since coverage_begin(). */
unsigned int coverage_end(struct coverage *coverage);
/* Remember the new edges from now on; then search for them; were all of them found? */
void coverage_note(void);
void coverage_search(void);
bool coverage_found_all(void);
void coverage_print(const struct coverage *coverage);

/* worker.c: a process; never returns. */
void worker_main(struct shared *shared, unsigned int process, struct common *common,
		 const int sockets[2]) __attribute__((noreturn));
void worker_fail(struct shared *shared, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* oracle.c */
struct oracle;
void oracle_start(void);
void oracle_before(void);
void oracle_after(struct shared *shared, const struct op *op, long ret);
void oracle_registry(struct shared *shared);

/* pace.c */
uint64_t clock_ms(void);
uint64_t pace_ms(void);
double pace_part(void);

/* supervisor.c: watches the kernel log and the workers. */
bool log_open(const char *patterns);
const char *log_finding(void);
int supervise(struct shared *shared, struct common *common);
/* With all workers gone: unlink all regions. NULL, or what is wrong with what is left. */
const char *registry_empties(void);
/* Print a finding, and the latest programs of each thread. */
void print_running(const struct shared *shared, const char *reason);
const char *module_goes(void);
const char *memory_leaks(void);

#endif
