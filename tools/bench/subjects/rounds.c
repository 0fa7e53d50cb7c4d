// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rounds, the same for every subject. Prints lines of
 *
 *   figure,subject,backing,peers,bytes,value,unit
 *
 * For each figure the median of the rounds, then the least and the greatest of them as FIGURE.min
 * and FIGURE.max.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "subject.h"

#define MAX_ROUNDS 32

enum figure {
	FIGURE_GROW,	/* until the call returns, and peers that have to be told have answered */
	FIGURE_WRITTEN, /* until every peer has written to every new page */
	FIGURE_FAULTS,	/* page faults in all peers meanwhile */
	FIGURE_TABLES,	/* bytes of page tables of all peers for the new memory */
	FIGURE_SHRINK,
	FIGURE_MAP,	/* mapping memory that is there into all peers */
	FIGURE_RESERVE, /* FIGURE_GROW, of memory that the reserve holds ready */
	FIGURE_RESERVE_WRITTEN,
	FIGURE_ATTACH, /* of one more peer, until it has all memory mapped */
	FIGURES,
};

static const struct {
	const char *name;
	const char *unit; /* NULL: time, or instructions where time counts them */
} figures[FIGURES] = {
	[FIGURE_GROW] = { "grow", NULL },
	[FIGURE_WRITTEN] = { "written", NULL },
	[FIGURE_FAULTS] = { "faults", "faults" },
	[FIGURE_TABLES] = { "page-tables", "bytes" },
	[FIGURE_SHRINK] = { "shrink", NULL },
	[FIGURE_MAP] = { "map", NULL },
	[FIGURE_RESERVE] = { "grow-reserve", NULL },
	[FIGURE_RESERVE_WRITTEN] = { "written-reserve", NULL },
	[FIGURE_ATTACH] = { "attach", NULL },
};

struct run {
	const char *backing;
	const char *label; /* printed instead of the backing, unless NULL */
	const char *unit;
	unsigned int peers;
	unsigned int rounds;
	bool wanted[FIGURES];
	struct crew *crew;
	struct crew *late; /* a single peer, which joins when the memory is there */
	uint64_t values[FIGURES][MAX_ROUNDS];
	unsigned int count[FIGURES];
};

static void note(struct run *run, enum figure figure, uint64_t value)
{
	if (run->wanted[figure])
		run->values[figure][run->count[figure]++] = value;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print(const struct run *run, const char *figure, const char *part, uint64_t bytes,
		  uint64_t value, const char *unit)
{
	printf("%s%s,%s,%s,%u,%" PRIu64 ",%" PRIu64 ",%s\n", figure, part, subject.name,
	       run->label ? run->label : run->backing, run->peers, bytes, value,
	       unit ? unit : run->unit);
}

static void print_all(struct run *run, uint64_t bytes)
{
	for (int i = 0; i < FIGURES; i++) {
		unsigned int n = run->count[i];

		if (!n)
			continue;
		qsort(run->values[i], n, sizeof(run->values[i][0]), ascending);
		print(run, figures[i].name, "", bytes, run->values[i][n / 2], figures[i].unit);
		print(run, figures[i].name, ".min", bytes, run->values[i][0], figures[i].unit);
		print(run, figures[i].name, ".max", bytes, run->values[i][n - 1], figures[i].unit);
		run->count[i] = 0;
	}
	fflush(stdout);
}

/* New windows: shrinking leaves page tables in the old ones, which the next round would reuse. */
static bool renew(struct run *run)
{
	return !subject.leave || (crew_do(run->crew, ORDER_LEAVE, 0, 0, NULL) &&
				  crew_do(run->crew, ORDER_JOIN, 0, 0, NULL));
}

static bool shrink_to_nothing(struct run *run, uint64_t bytes)
{
	uint64_t start = bench_now();

	if (!subject.shrink)
		return true;
	if (!subject.shrink(0, bytes))
		return false;
	note(run, FIGURE_SHRINK, bench_now() - start);
	return renew(run);
}

/*
 * Where peers have to be told, growing ends when all have answered. grow_and_write() cannot measure
 * that, because its peers write at once: so it has a round of its own.
 */
static bool grow_and_tell(struct run *run, uint64_t bytes)
{
	uint64_t start = bench_now(), place;

	if (!subject.grow(0, bytes, &place) ||
	    (subject.receive && !crew_do(run->crew, ORDER_RECEIVE, place, bytes, NULL)))
		return false;
	note(run, FIGURE_GROW, bench_now() - start);
	return true;
}

static bool grow_and_write(struct run *run, uint64_t bytes, enum figure grow, enum figure written)
{
	uint64_t before, after, faults, start, place;

	if (!crew_do(run->crew, ORDER_TABLES, 0, 0, &before))
		return false;
	start = bench_now();
	if (!subject.grow(0, bytes, &place))
		return false;
	if (!subject.receive)
		note(run, grow, bench_now() - start);
	if (!subject.join || !run->peers)
		return true;
	if (!crew_do(run->crew, ORDER_TAKE, place, bytes, &faults))
		return false;
	note(run, written, bench_now() - start);
	note(run, FIGURE_FAULTS, faults);
	if (!crew_do(run->crew, ORDER_TABLES, 0, 0, &after))
		return false;
	note(run, FIGURE_TABLES, after - before);
	return true;
}

static bool attach_late(struct run *run)
{
	uint64_t ns;

	if (!crew_do(run->late, ORDER_JOIN, 0, 0, &ns))
		return false;
	note(run, FIGURE_ATTACH, ns);
	return crew_do(run->late, ORDER_LEAVE, 0, 0, NULL);
}

/* Zap what the peers have mapped, and measure the call that maps it again. */
static bool map_again(struct run *run, uint64_t bytes)
{
	uint64_t start, faults;

	if (!crew_do(run->crew, ORDER_FORGET, 0, bytes, NULL))
		return false;
	start = bench_now();
	if (!subject.map(bytes))
		return false;
	note(run, FIGURE_MAP, bench_now() - start);
	if (!crew_do(run->crew, ORDER_WRITE, 0, bytes, &faults))
		return false;
	note(run, FIGURE_FAULTS, faults);
	return true;
}

static bool run_round(struct run *run, uint64_t bytes)
{
	bool plain = run->wanted[FIGURE_GROW] || run->wanted[FIGURE_WRITTEN] ||
		     run->wanted[FIGURE_TABLES] || run->wanted[FIGURE_SHRINK] ||
		     (run->wanted[FIGURE_FAULTS] && !run->wanted[FIGURE_MAP]);

	if (!plain)
		return true;
	if (subject.receive && run->wanted[FIGURE_GROW] &&
	    (!grow_and_tell(run, bytes) || !shrink_to_nothing(run, bytes)))
		return false;
	return grow_and_write(run, bytes, FIGURE_GROW, FIGURE_WRITTEN) &&
	       shrink_to_nothing(run, bytes);
}

static bool run_reserve(struct run *run, uint64_t bytes)
{
	return subject.keep_reserve(bytes) &&
	       grow_and_write(run, bytes, FIGURE_RESERVE, FIGURE_RESERVE_WRITTEN) &&
	       subject.keep_reserve(0) && shrink_to_nothing(run, bytes);
}

/* The figures that need memory which stays: the region grows once for all rounds. */
static bool run_standing(struct run *run, uint64_t bytes)
{
	bool map = run->wanted[FIGURE_MAP] && subject.map && run->peers;
	bool attach = run->wanted[FIGURE_ATTACH] && subject.leave;
	uint64_t place;

	if (!map && !attach)
		return true;
	if (!subject.grow(0, bytes, &place) ||
	    (subject.receive && !crew_do(run->crew, ORDER_RECEIVE, place, bytes, NULL)))
		return false;
	for (unsigned int i = 0; attach && i < run->rounds; i++) {
		if (!attach_late(run))
			return false;
	}
	for (unsigned int i = 0; map && i < run->rounds; i++) {
		if (!map_again(run, bytes))
			return false;
	}
	return subject.shrink(0, bytes) && renew(run);
}

static bool measure(struct run *run, uint64_t bytes)
{
	for (unsigned int i = 0; i < run->rounds; i++) {
		if (!run_round(run, bytes))
			return false;
	}
	for (unsigned int i = 0;
	     run->wanted[FIGURE_RESERVE] && subject.keep_reserve && i < run->rounds; i++) {
		if (!run_reserve(run, bytes))
			return false;
	}
	if (!run_standing(run, bytes))
		return false;
	print_all(run, bytes);
	return true;
}

/* A first round takes longer than others, and may take page faults: it does not count. */
static bool warm_up(struct run *run, uint64_t bytes)
{
	struct run first = *run;

	first.rounds = 1;
	return run_round(&first, bytes) && run_standing(&first, bytes);
}

static bool parse_figures(struct run *run, char *list)
{
	memset(run->wanted, 0, sizeof(run->wanted));
	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		int i = 0;

		while (i < FIGURES && strcmp(figures[i].name, name))
			i++;
		if (i == FIGURES) {
			fprintf(stderr, "bench: no figure '%s'\n", name);
			return false;
		}
		run->wanted[i] = true;
	}
	return true;
}

static bool parse_backing(struct run *run, const char *name)
{
	for (const char *const *backing = subject.backings; *backing; backing++) {
		if (!strcmp(*backing, name)) {
			run->backing = *backing;
			return true;
		}
	}
	fprintf(stderr, "bench: %s has no backing '%s'\n", subject.name, name);
	return false;
}

static bool parse_number(const char *text, unsigned int least, unsigned int most,
			 unsigned int *number)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value < least || value > most) {
		fprintf(stderr, "bench: '%s' is not a number from %u to %u\n", text, least, most);
		return false;
	}
	*number = (unsigned int)value;
	return true;
}

static bool parse(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "backing", required_argument, NULL, 'b' },
		{ "peers", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "figures", required_argument, NULL, 'f' },
		{ "unit", required_argument, NULL, 'u' },
		{ "as", required_argument, NULL, 'a' },
		{ 0 },
	};
	int option;
	bool good = true;

	while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			good = parse_backing(run, optarg);
			break;
		case 'p':
			good = parse_number(optarg, subject.zero_peers ? 0 : 1, CREW_MAX,
					    &run->peers);
			break;
		case 'r':
			good = parse_number(optarg, 1, MAX_ROUNDS, &run->rounds);
			break;
		case 'f':
			good = parse_figures(run, optarg);
			break;
		case 'a':
			run->label = optarg;
			break;
		case 'u':
			run->unit = optarg;
			break;
		default:
			good = false;
		}
	}
	return good && optind < argc;
}

static bool run_all(struct run *run, char **sizes)
{
	if (!subject.open(run->backing) || !crew_do(run->crew, ORDER_JOIN, 0, 0, NULL) ||
	    !warm_up(run, strtoull(sizes[0], NULL, 0)))
		return false;
	while (*sizes) {
		if (!measure(run, strtoull(*sizes++, NULL, 0)))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static struct run run = { .unit = "ns", .peers = 1, .rounds = 5 };
	bool good;

	run.backing = subject.backings[0];
	for (int i = 0; i < FIGURES; i++)
		run.wanted[i] = i <= FIGURE_SHRINK;
	if (!parse(&run, argc, argv)) {
		fprintf(stderr,
			"usage: %s [--backing NAME] [--peers N] [--rounds N] [--figures NAME,...] "
			"[--unit ns|instructions] [--as NAME] BYTES...\n",
			argv[0]);
		return 2;
	}
	run.crew = crew_start(subject.join ? run.peers : 0, 0);
	run.late = crew_start(run.wanted[FIGURE_ATTACH] && subject.leave ? 1 : 0, run.peers);
	good = run.crew && run.late && run_all(&run, argv + optind);
	if (good)
		good = crew_end(run.crew) && crew_end(run.late) && subject.close();
	return good ? 0 : 1;
}
