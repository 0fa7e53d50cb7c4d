/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* peershmctl's sizes, read and printed. */
#include <string.h>

#include "../../tools/peershmctl/size.c" /* NOLINT(bugprone-suspicious-include) */
#include "check.h"

static void parses_to(const char *text, uint64_t bytes)
{
	uint64_t parsed = 77;

	if (!size_parse(text, &parsed))
		fail_msg("\"%s\" was refused", text);
	if (parsed != bytes)
		fail_msg("\"%s\" is %llu", text, (unsigned long long)parsed);
}

static void refused(const char *text)
{
	uint64_t parsed = 77;

	if (size_parse(text, &parsed))
		fail_msg("\"%s\" was taken for %llu", text, (unsigned long long)parsed);
	assert_int_equal(parsed, 77);
}

CASE(plain_numbers_are_bytes)
{
	parses_to("0", 0);
	parses_to("4096", 4096);
	parses_to("18446744073709551615", UINT64_MAX);
}

CASE(units_are_powers_of_1024)
{
	parses_to("1K", 1024);
	parses_to("64G", 64ULL << 30);
	parses_to("2T", 2ULL << 40);
	parses_to("1P", 1ULL << 50);
	parses_to("15E", 15ULL << 60);
}

CASE(small_letters_and_ib_are_taken)
{
	parses_to("64g", 64ULL << 30);
	parses_to("64GiB", 64ULL << 30);
	parses_to("3kiB", 3072);
}

CASE(fractions_round_up_to_a_byte)
{
	parses_to("1.5M", 3ULL << 19);
	parses_to("0.5K", 512);
	parses_to("0.3K", 308);
	parses_to("0.000000001G", 2);
	parses_to("15.999999999E", 18446744072556630112ULL);
}

CASE(overflow_is_refused)
{
	refused("18446744073709551616");
	refused("16E");
	refused("16777216T");
	refused("99999999999999999999999999999999999999999999");
	refused("18446744073709551615.9K");
}

CASE(junk_is_refused)
{
	static const char *const junk[] = { "",	    " ",   "x",	  "-1",	   "+1",	   " 1",
					    "1 ",   "1 G", "G",	  "1.",	   ".5G",	   "1.5",
					    "1GB",  "1Gi", "1GG", "1..5G", "0x1000",	   "1e3",
					    "1,5G", "1Q",  "nan", "inf",   "1.1234567890G" };

	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
		refused(junk[i]);
}

static void formats_to(uint64_t bytes, const char *expected)
{
	char text[SIZE_TEXT];

	memset(text, 'x', sizeof(text));
	size_format(bytes, text);
	assert_string_equal(text, expected);
}

CASE(whole_units_have_no_decimals)
{
	formats_to(0, "0");
	formats_to(1, "1");
	formats_to(1023, "1023");
	formats_to(1024, "1K");
	formats_to(64ULL << 30, "64G");
	formats_to(1ULL << 60, "1E");
}

CASE(parts_have_two_decimals_at_most)
{
	formats_to(3ULL << 19, "1.5M");
	formats_to((5ULL << 30) / 4, "1.25G");
	formats_to((1 << 20) + (1 << 20) / 20, "1.05M");
	formats_to(1025, "1K");
	formats_to(UINT64_MAX, "16E");
}

CASE(rounding_up_to_a_unit_takes_the_larger_one)
{
	formats_to((1 << 20) - 1, "1M");
	formats_to((1ULL << 40) - 1, "1T");
	formats_to((1 << 20) - 4096, "1020K");
}

CASE(two_that_differ_read_differently)
{
	char one[SIZE_TEXT];
	char other[SIZE_TEXT];

	size_format_two(4 << 20, (4 << 20) + 4096, one, other);
	assert_string_equal(one, "4194304");
	assert_string_equal(other, "4198400");
	size_format_two(4 << 20, 8 << 20, one, other);
	assert_string_equal(one, "4M");
	assert_string_equal(other, "8M");
	size_format_two(4 << 20, 4 << 20, one, other);
	assert_string_equal(other, "4M");
	size_format_two(UINT64_MAX, UINT64_MAX - 1, one, other);
	assert_string_equal(one, "18446744073709551615");
}

CASE(what_is_printed_reads_back)
{
	char text[SIZE_TEXT];

	for (int shift = 0; shift < 64; shift++) {
		uint64_t parsed = 0;

		size_format(1ULL << shift, text);
		assert_true(size_parse(text, &parsed));
		assert_int_equal(parsed, 1ULL << shift);
	}
}
