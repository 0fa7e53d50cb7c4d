/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What peershmctl makes of names, which may hold nearly any bytes. */
#include <locale.h>
#include <stdlib.h>

#include "../../tools/peershmctl/text.c" /* NOLINT(bugprone-suspicious-include) */
#include "check.h"

static void becomes(const char *text, const char *wanted)
{
	char *escaped;

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip_because("no locale C.UTF-8 here");
	escaped = text_escape(text);
	assert_non_null(escaped);
	assert_string_equal(escaped, wanted);
	free(escaped);
}

CASE(what_can_be_shown_stays)
{
	becomes("", "");
	becomes("router-1 (main)", "router-1 (main)");
	becomes("caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x90\xa7",
		"caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x90\xa7");
}

CASE(what_is_no_utf8_is_escaped)
{
	becomes("caf\xe9", "caf\\xe9");
	becomes("\xc3(", "\\xc3(");
	becomes("a\xe6\x97", "a\\xe6\\x97");
	becomes("\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80");
}

CASE(what_a_terminal_obeys_is_escaped)
{
	becomes("\xc2\x9b"
		"31mred",
		"\\xc2\\x9b31mred"); /* CSI of C1 */
	becomes("\x1b[2J\x7f", "\\x1b[2J\\x7f");
}

CASE(escapes_cannot_be_forged)
{
	becomes("\\x1b", "\\x5cx1b");
}
