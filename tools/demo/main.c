// SPDX-License-Identifier: GPL-2.0-only
/*
 * peershm-demo: shows what a growing region does, with the symbols of the running kernel as data.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"

static int usage(FILE *to, int status)
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
	return status;
}

/* Not hugetlb-1g: the symbols would not fill one page, so nothing would grow. */
static bool backing_of(const char *name, uint32_t *backing)
{
	return !peershm_backing_find(name, backing) && *backing != PEERSHM_HUGETLB_1G;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backing", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static const struct {
		const char *name;
		void (*run)(const char *region, const char *client);
	} roles[] = {
		{ "demo-loader", loader_run },
		{ "demo-lookup", lookup_run },
		{ "demo-compare", compare_run },
	};
	uint32_t backing = PEERSHM_THP;
	int option;

	/* A daemon: the story calls it by its role, with the names of the region and the client. */
	for (size_t i = 0; argc == 3 && i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (!strcmp(argv[0], roles[i].name))
			roles[i].run(argv[1], argv[2]);
	}
	while ((option = getopt_long(argc, argv, "b:h", options, NULL)) >= 0) {
		if (option == 'h')
			return usage(stdout, EXIT_SUCCESS);
		if (option != 'b' || !backing_of(optarg, &backing))
			return usage(stderr, 2);
	}
	if (optind < argc)
		return usage(stderr, 2);
	return story_tell((enum peershm_backing)backing) ? EXIT_SUCCESS : EXIT_FAILURE;
}
