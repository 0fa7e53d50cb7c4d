/* SPDX-License-Identifier: GPL-2.0-only */
/* The fuzzer of the device; see README. Runs in the virtual machine, as root. */
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>

#include "calls.h"
#include "fuzz.h"

static void usage(void)
{
	fputs("usage: device [OPTION]...\n"
	      "  --ops N         stop after so many calls (default 100000)\n"
	      "  --seed N\n"
	      "  --corpus FILE   programs to start from\n"
	      "  --points N      instrumented points there are in the module\n"
	      "  --leaks         in the end, have kmemleak look for memory that was left\n"
	      "  --distil        print what of the corpus is worth keeping\n"
	      "  --replay FILE   run these programs and no others\n"
	      "  --repeat N      so often (default 100)\n"
	      "  --minimise FILE leave calls out, as long as the finding stays\n"
	      "  --from N        begin with the Nth thing to leave out\n"
	      "  --c FILE        print a C program that does the same, and do nothing\n",
	      stderr);
	exit(2);
}

/* Each line is a program, its calls separated by semicolons. */
static void corpus_load(struct corpus *corpus, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0 && corpus->nr < MAX_CORPUS) {
		struct program *program = &corpus->programs[corpus->nr];
		char *rest = line, *call;

		while (program->nr_ops < MAX_OPS && (call = strsep(&rest, ";")))
			program->nr_ops += op_parse(call, &program->ops[program->nr_ops]);
		corpus->nr += program->nr_ops > 0;
	}
	free(line);
	if (file)
		fclose(file);
	corpus->loaded = corpus->nr;
}

/* As a finding is printed: "--- thread N", then calls. */
static bool replay_load(struct replayed *replayed, const char *path)
{
	FILE *file = fopen(path, "re");
	struct program *program = NULL;
	char line[1024];
	unsigned int thread;

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "--- thread %u", &thread) == 1) {
			if (thread >= NR_THREADS || replayed->nr == MAX_REPLAYED)
				break;
			replayed->thread[replayed->nr] = thread;
			program = &replayed->programs[replayed->nr++];
		} else if (program && program->nr_ops < MAX_OPS &&
			   op_parse(line, &program->ops[program->nr_ops])) {
			program->nr_ops++;
		}
	}
	fclose(file);
	return replayed->nr;
}

static void replay_print(const struct replayed *replayed)
{
	for (unsigned int i = 0; i < replayed->nr; i++) {
		printf("--- thread %u\n", replayed->thread[i]);
		program_print(stdout, &replayed->programs[i], "\n");
	}
	puts("--- end");
}

/*
 * The Nth thing to leave out. Things are numbered by levels of LEVEL numbers each: whole programs,
 * then pieces of programs, each level half as long as the one before, then single arguments.
 */
#define LEVEL 10000U
#define NR_PIECES 9 /* halves of MAX_OPS, down to one call */
static_assert(MAX_OPS >> (NR_PIECES - 1) == 1, "the last piece is one call");

static bool leave_program_out(struct replayed *replayed, unsigned int n)
{
	if (n >= replayed->nr)
		return false;
	replayed->nr--;
	memmove(replayed->thread + n, replayed->thread + n + 1,
		(replayed->nr - n) * sizeof(replayed->thread[0]));
	memmove(replayed->programs + n, replayed->programs + n + 1,
		(replayed->nr - n) * sizeof(replayed->programs[0]));
	return true;
}

static bool leave_piece_out(struct replayed *replayed, unsigned int n, unsigned int size)
{
	for (unsigned int i = 0; i < replayed->nr; i++) {
		struct program *program = &replayed->programs[i];
		unsigned int pieces = (program->nr_ops + size - 1) / size;

		/* leaving out the whole program was tried on the first level */
		if (pieces < 2)
			continue;
		if (n < pieces) {
			unsigned int left = program->nr_ops - n * size;

			program_cut(program, n * size, left < size ? left : size);
			return true;
		}
		n -= pieces;
	}
	return false;
}

static bool leave_argument_out(struct replayed *replayed, unsigned int n)
{
	for (unsigned int i = 0; i < replayed->nr; i++) {
		for (unsigned int j = 0; j < replayed->programs[i].nr_ops; j++) {
			for (unsigned int k = 0; k < MAX_ARGS; k++) {
				struct value *value = &replayed->programs[i].ops[j].args[k];

				if (value->unit == NUMBER && !value->n)
					continue;
				if (n--)
					continue;
				memset(value, 0, sizeof(*value));
				return true;
			}
		}
	}
	return false;
}

/* False if its level has no such thing. */
static bool leave_out(struct replayed *replayed, unsigned int what)
{
	unsigned int level = what / LEVEL;
	unsigned int n = what % LEVEL;

	if (!level)
		return leave_program_out(replayed, n);
	if (level <= NR_PIECES)
		return leave_piece_out(replayed, n, MAX_OPS >> (level - 1));
	return leave_argument_out(replayed, n);
}

static void reset(struct shared *shared)
{
	memset(shared->threads, 0, sizeof(shared->threads));
	shared->stop = false;
	shared->failure[0] = '\0';
}

/* 3: the finding shows without the thing that was left out last. 0: it needs all that is left. */
static int minimise(struct shared *shared, struct common *common, unsigned int from)
{
	static struct replayed whole;

	whole = shared->replayed;
	for (;; from++) {
		shared->replayed = whole;
		if (!leave_out(&shared->replayed, from)) {
			if (from / LEVEL > NR_PIECES)
				return 0;
			from = (from / LEVEL + 1) * LEVEL - 1;
			continue;
		}
		if (!shared->replayed.nr)
			continue;
		reset(shared);
		/* printed before it runs, as the machine may go down */
		printf("trying: %u\n", from);
		replay_print(&shared->replayed);
		fflush(stdout);
		if (supervise(shared, common) || registry_empties())
			return 3;
	}
}

static void print_c(const struct replayed *replayed)
{
	static const char *const after[] = { "", "\tif (setuid(1000))\n\t\t_exit(98);\n", "", "" };
	bool used[NR_THREADS] = { false };

	for (unsigned int i = 0; i < replayed->nr; i++) {
		printf("\nstatic void program_%u(void)\n{\n\tcalls_reset();\n", i);
		program_print_c(stdout, &replayed->programs[i], process_of(replayed->thread[i]));
		puts("}");
		used[replayed->thread[i]] = true;
	}
	for (unsigned int t = 0; t < NR_THREADS; t++) {
		if (!used[t])
			continue;
		printf("\nstatic void *thread_%u(void *rounds)\n{\n"
		       "\tcalls_start_thread();\n%s"
		       "\tfor (long i = 0; i < (long)rounds; i++) {\n",
		       t, after[t]);
		for (unsigned int i = 0; i < replayed->nr; i++)
			if (replayed->thread[i] == t)
				printf("\t\tprogram_%u();\n", i);
		printf("\t}\n\tcalls_reset();\n\treturn NULL;\n}\n");
	}
	puts("\nint main(int argc, char **argv)\n{\n"
	     "\tvoid *rounds = (void *)(argc > 1 ? atol(argv[1]) : 100L);\n"
	     "\tstruct common *common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE,\n"
	     "\t\t\t\t     MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n"
	     "\tpid_t pids[3] = { 0 };\n"
	     "\tint sockets[2];\n\n"
	     "\tcalls_prepare();\n"
	     "\tif (common == MAP_FAILED ||\n"
	     "\t    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sockets))\n"
	     "\t\treturn 1;\n"
	     "\tcommon->budget = 64;\n"
	     "\tsignal(SIGUSR1, SIG_IGN); /* until the children have a handler */");
	for (unsigned int process = 0; process < 3; process++) {
		unsigned int last = NR_THREADS;

		for (unsigned int t = 0; t < NR_THREADS; t++)
			if (used[t] && process_of(t) == process)
				last = t;
		if (last == NR_THREADS)
			continue;
		printf("\tpids[%u] = fork();\n"
		       "\tif (!pids[%u]) {\n\t\tcalls_start(common, %u, sockets);\n",
		       process, process, process);
		if (process == 2 && last == 3 && used[2])
			puts("\t\tpthread_create(&(pthread_t){ 0 }, NULL, thread_2, rounds);");
		printf("\t\tthread_%u(rounds);\n\t\t_exit(0);\n\t}\n", last);
	}
	puts("\t/* signals end whatever a child waits for */\n"
	     "\tfor (pid_t pid = 0; pid >= 0; usleep(100000)) {\n"
	     "\t\tpid = waitpid(-1, NULL, WNOHANG);\n"
	     "\t\tfor (int i = 0; i < 3; i++) {\n"
	     "\t\t\tif (pids[i] == pid)\n"
	     "\t\t\t\tpids[i] = 0;\n"
	     "\t\t\tif (pids[i]) {\n"
	     "\t\t\t\tkill(pids[i], SIGCONT);\n"
	     "\t\t\t\tkill(pids[i], SIGUSR1);\n"
	     "\t\t\t}\n"
	     "\t\t}\n"
	     "\t}\n"
	     "\treturn 0;\n}");
}

static int distil(struct shared *shared, struct common *common)
{
	unsigned int kept = 0;

	shared->settings.threads = 1;
	if (supervise(shared, common))
		return 1;
	for (uint32_t i = 0; i < shared->corpus.nr; i++) {
		if (!shared->kept[i])
			continue;
		fputs("= ", stdout);
		program_print(stdout, &shared->corpus.programs[i], "; ");
		kept++;
	}
	printf("distilled: %u of %u programs, %u edges, %u points\n", kept, shared->corpus.nr,
	       shared->coverage.nr_edges, shared->coverage.nr_points);
	return 0;
}

static void *shared_memory(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return map;
}

static int fuzz(struct shared *shared, struct common *common, unsigned int points)
{
	int status = supervise(shared, common);
	const char *wrong = status ? NULL : registry_empties();

	coverage_print(&shared->coverage);
	/* After a finding, nothing of the rest could be trusted. */
	if (!status && !wrong)
		wrong = module_goes();
	if (!status && !wrong && shared->settings.leaks)
		wrong = memory_leaks();
	if (wrong)
		print_running(shared, wrong);
	printf("summary: %s, %u edges, %u of %u points, %u programs in the corpus\n",
	       status || wrong ? "a finding" : "no finding", shared->coverage.nr_edges,
	       shared->coverage.nr_points, points, shared->corpus.nr);
	return status || wrong;
}

static uint64_t number(const char *text, uint64_t otherwise)
{
	return text ? strtoull(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "corpus", required_argument, NULL, 'c' },
		{ "points", required_argument, NULL, 'n' },
		{ "leaks", no_argument, NULL, 'l' },
		{ "distil", no_argument, NULL, 'd' },
		{ "replay", required_argument, NULL, 'r' },
		{ "repeat", required_argument, NULL, 'R' },
		{ "minimise", required_argument, NULL, 'm' },
		{ "from", required_argument, NULL, 'f' },
		{ "c", required_argument, NULL, 'C' },
		{ NULL, 0, NULL, 0 },
	};
	struct shared *shared = shared_memory(sizeof(*shared));
	struct common *common = shared_memory(sizeof(*common));
	struct settings *settings = &shared->settings;
	const char *given[128] = { NULL }; /* the argument of each option, "" if it takes none */
	const char *replayed;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == '?')
			usage();
		given[option] = optarg ? optarg : "";
	}
	if (optind < argc)
		usage();
	replayed = given['r'] ? given['r'] : given['m'] ? given['m'] : given['C'];
	*settings = (struct settings){
		.ops = number(given['o'], 100000),
		.seed = number(given['s'], 1),
		.threads = NR_THREADS,
		.guided = !replayed && access("/sys/kernel/debug/kcov", R_OK) == 0,
		.replay = replayed,
		.repeat = (unsigned int)number(given['R'], 100),
		.distil = given['d'],
		.leaks = given['l'],
	};
	common->budget = 64;
	if (replayed && !replay_load(&shared->replayed, replayed)) {
		fprintf(stderr, "no programs in %s\n", replayed);
		return 2;
	}
	if (given['C']) {
		print_c(&shared->replayed);
		return 0;
	}
	if (!log_open("/fuzz/forbidden")) {
		fputs("the kernel log, or what it must not have, is not readable\n", stderr);
		return 2;
	}
	if (given['c'])
		corpus_load(&shared->corpus, given['c']);
	calls_prepare();
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (given['m'])
		return minimise(shared, common, (unsigned int)number(given['f'], 0));
	printf("seed %" PRIu64 ", %s\n", settings->seed,
	       settings->guided ? "guided by KCOV" : "not guided: no KCOV here");
	return given['d'] ? distil(shared, common) :
			    fuzz(shared, common, (unsigned int)number(given['n'], 0));
}
