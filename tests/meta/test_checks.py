# SPDX-License-Identifier: GPL-2.0-only
"""Does tests/mutants/checks.py find the checks, and are those that survive still there?"""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, "tests/mutants")
import checks  # noqa: E402

SOURCE = """\
/* if (a) return -EINVAL; */
#define MACRO(x) \\
	if (x) return -EINVAL
static int refuse(const struct thing *t, int mask)
{
	bool both = t->one &&
		    t->two;
	int err;

	if (t->flags & ~KNOWN || !valid(t->name, (1 || 2)))
		return -EINVAL;
	err = look(t);
	if (err)
		return err;
	err = -EACCES;
	if (mask & WRITE && t->read_only)
		goto out;
	if (!t->memory)
		return -ENOMEM;
	for (;;) {
		if (!t->linked) {
			drop(t);
			err = t->gone ? -ENOENT : 0;
		}
		if (t->other)
			continue;
	}
	if (nothing)
		do_it();
	return t->there ? 0 : -ENOENT;
out:
	return both ? err : 0;
}

static bool allowed(unsigned int n)
{
	if (n > most)
		return false;
	if (capable(ALL) || mine(n))
		return true;
	return n <= (limit ?: 5);
}
"""

FOUND = """\
refuse: False t->flags & ~KNOWN
refuse: False !valid(t->name, (1 || 2))
refuse: True mask & WRITE
refuse: True t->read_only
refuse: False mask & WRITE && t->read_only
refuse: False !t->linked
refuse: False t->other
refuse: True t->one
refuse: True t->two
refuse: False t->gone
refuse: True t->there
allowed: False n > most
allowed: False capable(ALL)
allowed: False mine(n)
allowed: True capable(ALL) || mine(n)
allowed: True n <= (limit ?: 5)
"""


class Checks(unittest.TestCase):
    def test_a_check_is_what_can_refuse_something(self):
        found = "".join(f"{function}: {value} {SOURCE[start:end]}\n"
                        for function, start, end, value in checks.found(SOURCE))
        self.assertEqual(found, FOUND)

    def test_every_mutant_is_a_patch_of_its_own(self):
        every = checks.checks()
        self.assertGreater(len(every), 300)
        self.assertEqual(len({check.name for check in every}), len(every))
        self.assertEqual(len({check.patch() for check in every}), len(every))
        patches = "".join(check.patch() for check in every[::40]).encode()
        subprocess.run(["patch", "-s", "-f", "-p1", "--dry-run"], input=patches, check=True)

    def test_what_survives_is_there_and_has_a_reason(self):
        survivors = checks.survivors()
        names = [line for line in Path("tests/mutants/survivors").read_text().splitlines()
                 if line and line[0] not in "#\t"]
        self.assertEqual(list(survivors), names)
        self.assertLessEqual(set(names), {check.name for check in checks.checks()})
