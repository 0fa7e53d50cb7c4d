# SPDX-License-Identifier: GPL-2.0-only
"""Do those who judge the tests notice what they are there to notice?

What is lost or empty must not look like success.
"""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

# what kernels write when something is wrong, by version and architecture
FINDINGS = """\
WARNING: CPU: 1 PID: 77 at kmod/command/grow.c:12 grow+0x1/0x2 [peershm]
WARNING: kmod/command/grow.c:12 at grow+0x1/0x2 [peershm], CPU#1: device/77
WARNING: possible circular locking dependency detected
WARNING: inconsistent lock state
WARNING: bad unlock balance detected!
WARNING: suspicious RCU usage
BUG: KASAN: slab-use-after-free in grow+0x1/0x2 [peershm]
BUG: KCSAN: data-race in grow / shrink
BUG: sleeping function called from invalid context at mm/slab.h:1
BUG: scheduling while atomic: device/77/0x2
BUG: Bad page state in process device  pfn:12345
BUG: Bad rss-counter state mm:0000000012345678 type:MM_SHMEMPAGES val:1
BUG kmalloc-64 (Tainted: G           O): Redzone overwritten
kernel BUG at mm/hugetlb.c:12!
Internal error: Oops - BUG: 00000000f2000800 [#1] SMP
Internal error: synchronous external abort: 96000410 [#1] SMP
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
Oops: 0000 [#1] PREEMPT SMP KASAN
Call Trace:
Call trace:
UBSAN: array-index-out-of-bounds in kmod/command/grow.c:12:3
INFO: task device:77 blocked for more than 120 seconds.
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [device:77]
rcu: INFO: rcu_preempt self-detected stall on CPU
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
refcount_t: underflow; use-after-free.
list_del corruption. next->prev should be 1, but was 2
ODEBUG: free active (active state 0) object type: work_struct
Kernel panic - not syncing: Fatal exception
""".splitlines()

ORDINARY = """\
peershm: loading out-of-tree module taints kernel.
device (2095): drop_caches: 2
device[2033] bad frame in rt_sigreturn frame:000000004b597b04 ip:7f17deb119b3
EXT4-fs (nvme0n1): unmounting filesystem.
kmemleak: Kernel memory leak detector initialized (mem pool available: 15634)
clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x1, max_idle_ns: 2 ns
ACPI: PM: Preparing to enter system sleep state S5
""".splitlines()

PROGRAM = """\
count=$1
mktemp() { echo "$count"; }
. tests/kselftest/ktap.sh
ktap_program "a program" 10 printf "$2"
ktap_totals
"""

# a file that has a function with one line that has a reason in tests/coverage/reasons
ATTACH = Path("kmod/command/attach.c")


class Judges(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = Path(directory.name)

    def status(self, *command):
        """The exit status of a command; what it prints is in self.output."""
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False)
        self.output = ended.stdout
        return ended.returncode

    def program(self, count, printed, **environment):
        """The status of ktap_totals after a program that printed that; `count` is where
        ktap_program keeps its counts."""
        return self.status("env", *(f"{name}={value}" for name, value in environment.items()),
                           "sh", "-c", PROGRAM, "sh", self.work / count, printed)

    def test_a_count_that_is_lost_fails(self):
        printed = "TAP version 13\\n1..1\\nok 1 - a case\\n"
        self.assertEqual(self.program("count", printed), 0)
        self.assertEqual(self.program("none/count", printed), 1)

    def test_a_program_without_cases_does_not_pass(self):
        printed = "TAP version 13\\n1..0\\n"
        self.assertEqual(self.program("count", printed), 1)
        self.program("count", printed, PEERSHM_TEST_FILTER="none")
        self.assertRegex(self.output, r"# Totals: pass:0 fail:0 .* skip:1 .*\n$")

    def test_a_case_that_hangs_fails_by_its_name_and_the_others_run(self):
        self.assertEqual(0, self.status("make", "-s", "build/meta/hanging_cases"))
        self.assertEqual(1, self.status("env", "PEERSHM_TEST_SECONDS=1", "build/meta/hanging_cases"))
        self.assertEqual(re.findall("^(?:1[.][.]|ok|not ok).*", self.output, re.MULTILINE), [
            "1..7",
            "ok 1 - passes",
            "not ok 2 - hangs",
            "not ok 3 # SKIP is_skipped",
            "not ok 4 - hangs_without_signals",
            "not ok 5 - is_killed",
            "not ok 6 - ends_its_program",
            "ok 7 - passes_at_last"])
        self.assertIn("# what hung is cleaned up\n", self.output)

    def test_an_empty_list_of_tests_is_no_run(self):
        for file in "tests/kselftest/run_kselftest.sh", "tests/kselftest/ktap.sh", "tools/vm/forbidden":
            shutil.copy(file, self.work)
        tests = self.work / "kselftest-list.txt"
        tests.write_text("")
        self.assertEqual(self.status(self.work / "run_kselftest.sh"), 2)
        tests.write_text("peershm:a\npeershm:b\n")
        self.assertEqual(self.status(self.work / "run_kselftest.sh", "-p", "9/9"), 2)

    def test_what_the_kernel_finds_is_forbidden(self):
        lines = Path("tools/vm/forbidden").read_text(encoding="utf-8").splitlines()
        pattern = "\n".join(line for line in lines if not line.startswith("#"))
        found = subprocess.run(["grep", "-E", pattern], input="\n".join(FINDINGS + ORDINARY),
                               stdout=subprocess.PIPE, text=True, check=False).stdout
        self.assertEqual(found.splitlines(), FINDINGS)

    def test_every_mutant_applies(self):
        mutants = list(Path("tests/mutants").glob("*.patch"))
        self.assertTrue(mutants)
        for mutant in mutants:
            with self.subTest(mutant.name):
                self.assertEqual(0, self.status("patch", "-s", "-f", "-p1", "--dry-run", "-i", mutant))

    def report(self, missed):
        """The status of tests/coverage/report if all was reached but those lines of detach()."""
        files = []
        for path in [*Path("kmod").rglob("*.c"), *Path("libpeershm").glob("*.c")]:
            source = path.read_text(encoding="utf-8").splitlines()
            missing, start = (missed, self.detach) if path == ATTACH else ((), 1)
            files.append({
                "file": str(path),
                "lines": [{"line_number": n, "branches": [], "count": int(n not in missing)}
                          for n in range(1, len(source) + 1)],
                "functions": [{"name": "detach", "lineno": start,
                               "execution_count": int(start not in missing)}]})
        return self.report_on(files)

    def report_on(self, files):
        coverage = self.work / "coverage.json"
        coverage.write_text(json.dumps({"files": files}))
        return self.status("tests/coverage/report", coverage, "tests/coverage/reasons")

    def test_coverage_has_to_be_there_and_explained(self):
        source = ATTACH.read_text(encoding="utf-8").splitlines()
        self.detach = next(n for n, line in enumerate(source, 1) if re.search(r"[ *]detach\(", line))
        # the one line of detach() that has a reason
        explained = next(n for n, line in enumerate(source, 1)
                         if n > self.detach and "put_client" in line)
        self.assertEqual(self.report(()), 0)
        self.assertEqual(self.report_on([]), 1)
        self.assertEqual(self.report([explained]), 0, self.output)
        # that line, and with it the whole function
        self.assertEqual(self.report(range(self.detach, explained + 6)), 1)
