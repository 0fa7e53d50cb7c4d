/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A signal with a handler comes at every point of every command. Without SA_RESTART the
 * command fails with EINTR and changes nothing, or is done before the handler runs.
 */
#include "common/harness.h"
#include "common/interruption.h"

static void a_signal_anywhere_is_eintr_and_changes_nothing_or_comes_after(void **state)
{
	interrupt_every_command(param_of(state)->backing, CAUGHT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BACKINGS(a_signal_anywhere_is_eintr_and_changes_nothing_or_comes_after),
	};

	return test_run(tests);
}
