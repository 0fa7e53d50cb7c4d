// SPDX-License-Identifier: GPL-2.0-only
/*
 * peershm-demo: shows what a growing region does, with the symbols of the running kernel as data.
 * Its daemons are this program, too, started with a role.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "loader.h"
#include "lookup.h"
#include "story.h"

static const struct {
	const char *name;
	int (*run)(const char *region, const char *client);
} roles[] = {
	{ "loader", loader_main },
	{ "lookup", lookup_main },
	{ "peer", compare_main },
};

static void usage(FILE *to)
{
	fputs("usage: peershm-demo [--backing small|thp|hugetlb-2m]\n"
	      "\n"
	      "Loads the kernel's symbols into a shared region that grows, while daemons look\n"
	      "them up; stops a daemon, kills one, shrinks the region, and compares with a memfd.\n"
	      "Needs root (for /proc/kallsyms) and the peershm module. The default backing is\n"
	      "thp; hugetlb-2m needs 8 pages of the pool (/proc/sys/vm/nr_hugepages).\n"
	      "\n"
	      "Exit status: 0 every promise was kept, 1 one was broken or it failed, 2 wrong usage.\n",
	      to);
}

static int run_role(const char *role, const char *region, const char *client)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (!strcmp(roles[i].name, role))
			return roles[i].run(region, client);
	}
	usage(stderr);
	return 2;
}

/* Not hugetlb-1g: the symbols would not fill one page, so nothing would grow. */
static int backing_of(const char *name)
{
	for (int i = PEERSHM_SMALL; i <= PEERSHM_HUGETLB_2M; i++) {
		if (!strcmp(peershm_backing_name((enum peershm_backing)i), name))
			return i;
	}
	return -1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backing", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ "role", required_argument, NULL, 'r' }, /* used by the story for its daemons */
		{ "region", required_argument, NULL, 'n' },
		{ "client", required_argument, NULL, 'c' },
		{ 0 },
	};
	const char *role = NULL;
	const char *region = "";
	const char *client = "";
	int backing = PEERSHM_THP;
	int option;

	while ((option = getopt_long(argc, argv, "b:h", options, NULL)) >= 0) {
		switch (option) {
		case 'b':
			backing = backing_of(optarg);
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		case 'r':
			role = optarg;
			break;
		case 'n':
			region = optarg;
			break;
		case 'c':
			client = optarg;
			break;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc || backing < 0) {
		usage(stderr);
		return 2;
	}
	if (role)
		return run_role(role, region, client);
	return story_run((enum peershm_backing)backing) ? EXIT_SUCCESS : EXIT_FAILURE;
}
