/* SPDX-License-Identifier: GPL-2.0-only */
/* Cases that hang or die between others, for tests/meta/test_judges.py. Needs no device. */
#include <signal.h>
#include <unistd.h>

#include "support/harness.h"

CASE(passes)
{
}

static void clean_up(void *what)
{
	print_message("# %s is cleaned up\n", (const char *)what);
}

CASE(hangs)
{
	test_cleanup(clean_up, "what hung");
	for (;;)
		pause();
}

CASE(is_skipped)
{
	skip_because("no reason");
}

/* The signal of the deadline does not reach it, as in the kernel. */
CASE(hangs_without_signals)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;)
		pause();
}

CASE(is_killed)
{
	raise(SIGKILL);
}

CASE(ends_its_program)
{
	exit(0);
}

CASE(passes_at_last)
{
}

int main(void)
{
	return cases_run_without_device();
}
