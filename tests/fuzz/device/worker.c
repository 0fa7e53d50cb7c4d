/* SPDX-License-Identifier: GPL-2.0-only */
/* A worker: runs one program after the other, and keeps those that reach something new. */
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "calls.h"
#include "fuzz.h"

#define ALICE 1000
#define CHECKED 16  /* one in so many programs runs under the oracle */
#define MAX_CUTS 80 /* tries to shorten a program that is kept */

struct worker {
	struct shared *shared;
	struct thread *thread;
	struct random random;
	unsigned int number;
	bool alone; /* in its process */
};

static pthread_barrier_t ready;

void worker_fail(struct shared *shared, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!shared->failure[0])
		vsnprintf(shared->failure, sizeof(shared->failure), format, arguments);
	va_end(arguments);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
}

static bool stopping(const struct shared *shared)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

static long op_go(struct thread *t, const struct op *op)
{
	if (op_is_uffd(op))
		__atomic_store_n(&t->uffd, true, __ATOMIC_RELAXED);
	return op_run(op);
}

/* Runs a program. Returns how many new edges it reached; *last is the last call that reached one. */
static unsigned int run(struct worker *w, const struct program *program, bool checked,
			unsigned int *last)
{
	struct thread *t = w->thread;
	unsigned int new = 0;

	calls_reset();
	__atomic_store_n(&t->uffd, false, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < program->nr_ops && !stopping(w->shared); i++) {
		const struct op *op = &program->ops[i];
		unsigned int fresh;
		long ret;

		__atomic_store_n(&t->at, i, __ATOMIC_RELAXED);
		__atomic_store_n(&t->ops, t->ops + 1, __ATOMIC_RELAXED);
		if (op_is_fork(op)) {
			uint64_t left = program->nr_ops - i - 1;
			uint64_t n = op->args[1].n < left ? op->args[1].n : left;

			if (!op_go(t, op)) {
				while (n--)
					op_go(t, ++op);
				_exit(0);
			}
			i += (unsigned int)n;
			t->ops += n;
			checked = false; /* the child changes regions beside us */
			continue;
		}
		if (checked)
			oracle_before();
		coverage_begin();
		ret = op_go(t, op);
		fresh = coverage_end(&w->shared->coverage);
		if (checked)
			oracle_after(w->shared, op, ret);
		if (fresh) {
			new += fresh;
			*last = i;
		}
	}
	if (self.sealed)
		_exit(0);
	return new;
}

static void keep(struct shared *shared, const struct program *program)
{
	struct corpus *corpus = &shared->corpus;

	/* A worker that was killed may have left the lock taken, so give up waiting after a while. */
	for (int i = 0; i < 1000 && __atomic_exchange_n(&corpus->lock, 1, __ATOMIC_ACQUIRE); i++)
		sched_yield();
	if (corpus->nr < MAX_CORPUS) {
		program_copy(&corpus->programs[corpus->nr], program);
		__atomic_store_n(&corpus->nr, corpus->nr + 1, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&corpus->lock, 0, __ATOMIC_RELEASE);
}

/*
 * Shortens a program that reached new edges: leaves out ever smaller pieces, as long as it still
 * reaches those edges. It stops after MAX_CUTS tries, or most calls of the whole run would be
 * made here.
 */
static void reduce(struct worker *w, struct program *program, unsigned int last)
{
	static __thread struct program shorter;
	unsigned int cuts = 0;
	unsigned int unused;

	program->nr_ops = last + 1;
	for (unsigned int n = program->nr_ops / 2; n > 0; n /= 2) {
		for (unsigned int i = 0; i + n <= program->nr_ops && program->nr_ops > n;) {
			if (cuts++ == MAX_CUTS)
				return;
			program_copy(&shorter, program);
			program_cut(&shorter, i, n);
			coverage_search();
			run(w, &shorter, false, &unused);
			if (coverage_found_all())
				program_copy(program, &shorter);
			else
				i += n;
		}
	}
}

/* The next program to run. The corpus that was loaded comes first. */
static void choose(struct worker *w, struct program *program)
{
	struct corpus *corpus = &w->shared->corpus;
	uint32_t nr = __atomic_load_n(&corpus->nr, __ATOMIC_ACQUIRE);
	struct thread *t = w->thread;
	uint64_t first = t->covered * w->shared->settings.threads + w->number;

	if (first < corpus->loaded) {
		t->covered++;
		program_copy(program, &corpus->programs[first]);
		return;
	}
	if (!nr || !random_below(&w->random, 6)) {
		program_generate(&w->random, program);
		return;
	}
	/* the newest are the least explored */
	if (nr > 32 && !random_below(&w->random, 3))
		program_copy(program, &corpus->programs[nr - 1 - random_below(&w->random, 32)]);
	else
		program_copy(program, &corpus->programs[random_below(&w->random, nr)]);
	/* Long programs: the calls that make a region cost most, so those of `other` are mostly left out. */
	while (program->nr_ops < MAX_OPS / 2) {
		const struct program *other = &corpus->programs[random_below(&w->random, nr)];

		program_append(program, other,
			       random_below(&w->random, 4) ? program_head(other) : 0);
		program_extend(&w->random, program, (unsigned int)random_below(&w->random, 32));
	}
	program_mutate(&w->random, program, &corpus->programs[random_below(&w->random, nr)]);
}

static void fuzz(struct worker *w)
{
	struct thread *t = w->thread;
	static __thread struct program reduced;

	while (!stopping(w->shared)) {
		struct program *program = &t->history[(t->programs + 1) % HISTORY];
		bool checked = w->alone && !random_below(&w->random, CHECKED);
		unsigned int last = 0;

		choose(w, program);
		__atomic_store_n(&t->programs, t->programs + 1, __ATOMIC_RELEASE);
		coverage_note();
		if (run(w, program, checked, &last)) {
			program_copy(&reduced, program);
			reduce(w, &reduced, last);
			keep(w->shared, &reduced);
		}
		if (!(t->programs % 64))
			oracle_registry(w->shared);
	}
}

static void replay(struct worker *w)
{
	const struct replayed *replayed = &w->shared->replayed;
	struct thread *t = w->thread;
	unsigned int unused;

	for (; t->covered < w->shared->settings.repeat; t->covered++) {
		for (unsigned int i = 0; i < replayed->nr; i++) {
			if (replayed->thread[i] != w->number)
				continue;
			if (stopping(w->shared))
				return;
			t->history[(t->programs + 1) % HISTORY] = replayed->programs[i];
			__atomic_store_n(&t->programs, t->programs + 1, __ATOMIC_RELEASE);
			run(w, &replayed->programs[i], w->alone, &unused);
		}
		oracle_registry(w->shared);
	}
}

/* Keeps those programs, shortest first, that reach something that none before them did. */
static void distil(struct worker *w)
{
	struct corpus *corpus = &w->shared->corpus;
	unsigned int unused;

	for (unsigned int n = 1; n <= MAX_OPS; n++) {
		for (uint32_t i = 0; i < corpus->nr && !stopping(w->shared); i++) {
			struct thread *t = w->thread;

			if (corpus->programs[i].nr_ops != n || w->shared->kept[i])
				continue;
			t->history[(t->programs + 1) % HISTORY] = corpus->programs[i];
			t->programs++;
			if (run(w, &corpus->programs[i], false, &unused))
				w->shared->kept[i] = true;
		}
	}
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	const struct settings *settings = &w->shared->settings;

	calls_start_thread();
	oracle_start();
	if (settings->guided && !coverage_start())
		worker_fail(w->shared, "KCOV does not start: %s", strerror(errno));
	/* Threads of a process wait for each other here: a program may take away files and memory that the
	 * other still needs to start. */
	pthread_barrier_wait(&ready);
	/* Not earlier: coverage_start() opens a file of root. */
	if (process_of(w->number) == 1 && syscall(SYS_setresuid, ALICE, ALICE, ALICE))
		_exit(98);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: becoming another user clears it */
	w->thread->tid = (pid_t)syscall(SYS_gettid);
	if (settings->distil)
		distil(w);
	else if (settings->replay)
		replay(w);
	else
		fuzz(w);
	calls_reset();
	__atomic_store_n(&w->thread->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void worker_main(struct shared *shared, unsigned int process, struct common *common,
		 const int sockets[2])
{
	static struct worker workers[NR_THREADS];
	pthread_t others[NR_THREADS];
	unsigned int nr_others = 0;
	struct worker *mine = NULL;
	unsigned int n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_DFL);
	calls_start(common, process, sockets);
	for (unsigned int i = 0; i < shared->settings.threads; i++)
		n += process_of(i) == process;
	if (n && pthread_barrier_init(&ready, NULL, n))
		_exit(99);
	for (unsigned int i = 0; i < shared->settings.threads; i++) {
		struct worker *w = &workers[i];

		if (process_of(i) != process)
			continue;
		w->shared = shared;
		w->thread = &shared->threads[i];
		w->number = i;
		w->alone = n == 1;
		/* A worker that is started again must not repeat the same programs. */
		w->random.state = (shared->settings.seed * 0x9e3779b97f4a7c15ULL) ^
				  (w->thread->programs + 1) * 0xd1342543de82ef95ULL ^
				  (i + 1ULL) << 56;
		if (!mine)
			mine = w;
		else if (pthread_create(&others[nr_others++], NULL, thread_main, w))
			_exit(99);
	}
	if (mine)
		thread_main(mine);
	while (nr_others)
		pthread_join(others[--nr_others], NULL);
	_exit(0);
}
