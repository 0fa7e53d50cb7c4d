# SPDX-License-Identifier: GPL-2.0-only
"""Reads KTAP as it comes: what to show of it, and what it counts up to."""

import re

DIAGNOSIS = 60  # lines before a failure, and after it, are enough

_result = re.compile(r"( *)(not )?ok \d+ ?(?:- )?(.*)")
_plan = re.compile(r"1\.\.(\d+)")
_totals = re.compile(r"# Totals: pass:(\d+) fail:(\d+) .*skip:(\d+) ")


class Reader:
    """The KTAP of one job.

    A line that is indented belongs to a case of a program. Comments before a case's line are its
    diagnosis, and so are comments after the line of anything that failed. The counts are those of
    the totals in the last line: `passed` is None until they have been read.
    """

    def __init__(self):
        self.passed = self.failed = self.skipped = None
        self.failures = []  # the lines "not ok"
        self.skips = []  # (test, reason)
        self.planned = self.results = 0  # of the outermost level
        self.last = ""  # of the outermost level
        self._program = self._reason = ""
        self._before = []
        self._after = None  # lines of diagnosis that may follow; None: not after a failure

    def feed(self, line):
        """Takes one line without its end, returns the lines that are worth showing."""
        totals = _totals.match(line)
        if totals:
            self.passed, self.failed, self.skipped = map(int, totals.groups())
            return []
        if line.startswith("# selftests: "):
            self._program = line.split()[2].removeprefix("peershm:").rstrip(":")
            return []
        if re.fullmatch(r"  # \d+ s", line):
            return []
        if line.lstrip(" ").startswith("# "):
            return self._comment(line)
        result = _result.fullmatch(line)
        if result:
            return self._test(line, *result.groups())
        plan = _plan.match(line)
        if plan:
            self.planned += int(plan[1])
        self._before, self._after = [], None
        return []

    def _comment(self, line):
        if line.startswith("  # SKIP "):
            self._reason = line[len("  # SKIP "):]
        if self._after is None:
            if line.startswith(" "):
                self._before.append(line)
        elif self._after > 0:
            self._after -= 1
            return [line]
        return []

    def _test(self, line, indent, failed, rest):
        outermost = not indent
        if outermost:
            self.results += 1
            self.last = rest
        shown = []
        if failed:
            shown = [*self._before[-DIAGNOSIS:], line]
            self.failures.append(line)
        else:
            name, skip, why = rest.partition(" # SKIP")
            if skip:
                program = "" if outermost else f"{self._program}: "
                why = why.strip() or self._reason or "no reason given"
                self.skips.append((program + name, why))
            if outermost:
                shown = [line]
        self._before, self._reason = [], ""
        self._after = DIAGNOSIS if failed else None
        return shown
