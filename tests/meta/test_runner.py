# SPDX-License-Identifier: GPL-2.0-only
"""What must not look like success to tests/run: it runs programs that fail in every way."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, "tests")

from runner import job, landed  # noqa: E402
from runner.ktap import Reader  # noqa: E402

GOOD = "echo 1..1; echo ok 1 fine; echo '# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0'"


def totals(passed, failed):
    return f"echo '# Totals: pass:{passed} fail:{failed} xfail:0 xpass:0 skip:0 error:0'"


class Runner(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = Path(directory.name)
        self.environment = os.environ | {"PEERSHM_RUN": str(self.work / "run"), "MAKE": "true"}

    def command(self, suites, *options, places=0, how=""):
        """tests/run on suites of that name, each a script."""
        lines = []
        for name, script in suites.items():
            (self.work / name).write_text(script + "\n", encoding="utf-8")
            lines.append(f"{name} - - all all {places} - {how} sh {self.work / name}\n")
        (self.work / "suites").write_text("".join(lines), encoding="utf-8")
        return ["tests/run", "--table", str(self.work / "suites"), *(options or suites)]

    def run_suites(self, suites, *options, **how):
        ended = subprocess.run(self.command(suites, *options, **how), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=self.environment, check=False, timeout=120)
        self.output = ended.stdout
        return ended.returncode, (self.output.splitlines() or [""])[-1]

    def fails(self, script, why, passed=1, failed=1):
        """The build passes, and the suite fails for that reason."""
        self.assertEqual(self.run_suites({"stub": script}),
                         (1, f"{passed} passed, {failed} failed, 0 skipped"), self.output)
        self.assertIn(why, self.output)

    def test_what_passes_passes(self):
        self.assertEqual(self.run_suites({"stub": GOOD, "other": GOOD}), (0, "3 passed, 0 failed, 0 skipped"))

    def test_lost_totals_are_a_failure(self):
        self.fails("echo 1..1; echo ok 1 fine", "stub: not ok stub # no totals")

    def test_a_status_that_no_test_explains_is_a_failure(self):
        self.fails(f"{GOOD}; exit 3", "exit status 3", passed=2)

    def test_a_program_that_is_killed_is_a_failure(self):
        self.fails("kill -9 $$", "exit status 137")

    def test_nothing_that_passed_is_a_failure(self):
        self.fails(f"echo 1..0; {totals(0, 0)}", "nothing passed")

    def test_fewer_results_than_planned_are_a_failure(self):
        self.fails(f"echo 1..2; echo ok 1 fine; {totals(1, 0)}", "1 of 2 results", passed=2)

    def test_a_command_that_is_not_there_is_a_failure(self):
        self.fails("exec /nonexistent", "exit status 127")

    def test_a_failure_is_told_with_its_diagnosis_and_once_more_at_the_end(self):
        self.fails("echo 1..1; echo '  # because of this'; echo '  not ok 1 case'; echo not ok 1 program;"
                   f"{totals(0, 1)}; exit 1", "stub:   # because of this\nstub:   not ok 1 case\n")
        self.assertIn("\nstub: not ok 1 case\nstub: not ok 1 program\n\n", self.output)

    def test_a_status_can_be_the_test(self):
        self.assertEqual(self.run_suites({"stub": "exit 0"}, how="status"), (0, "2 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.run_suites({"stub": "exit 1"}, how="status"), (1, "1 passed, 1 failed, 0 skipped"))

    def test_an_output_that_never_ends_is_no_hang(self):
        self.assertEqual(self.run_suites({"stub": f"setsid sleep 60 & {GOOD}"})[0], 0)

    def test_a_hang_is_ended(self):
        code = "import sys; sys.path.insert(0, 'tests'); from runner import process; " \
               "sys.exit(process.run(['sh', '-c', 'sleep 60 & wait'], print, 1))"
        began = time.monotonic()
        ended = subprocess.run([sys.executable, "-c", code], check=False)
        self.assertEqual(ended.returncode, 124)
        self.assertLess(time.monotonic() - began, 30)

    def test_two_runners_of_one_suite_in_a_tree_are_refused(self):
        outer = f"env PEERSHM_RUN={self.work / 'run'} tests/run --table {self.work / 'suites'} stub; " \
                f"[ $? -eq 2 ] && {{ {GOOD}; }}"
        self.assertEqual(self.run_suites({"stub": outer})[0], 0, self.output)
        self.assertIn("stub is being run in this tree already", (self.work / "run/stub.out").read_text())

    def test_what_it_runs_ends_with_it(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            command = self.command({"stub": f"echo $$ > {self.work}/pid; exec sleep 60"})
            (self.work / "pid").unlink(missing_ok=True)
            runner = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=self.environment)
            while not (self.work / "pid").exists() or not (self.work / "pid").read_text():
                time.sleep(0.1)
            runner.send_signal(number)
            self.assertNotEqual(runner.wait(30), 0)
            pid = int((self.work / "pid").read_text())
            for _ in range(100):
                if not Path(f"/proc/{pid}").exists():
                    break
                time.sleep(0.1)
            self.assertFalse(Path(f"/proc/{pid}").exists(), f"it outlived {number!r}")

    def test_two_that_need_all_places_run_one_after_the_other(self):
        script = f"mkdir {self.work}/busy || exit 1; sleep 2; rmdir {self.work}/busy; {GOOD}"
        self.assertEqual(self.run_suites({"one": script, "two": script}, places=9),
                         (0, "3 passed, 0 failed, 0 skipped"), self.output)

    def machine(self, log, output=GOOD):
        """The verdict on a machine that leaves such a kernel log."""
        row = "stub 6.1 - all all 0 - vm true\n"
        (self.work / "suites").write_text(row, encoding="utf-8")
        suite = job.read_suites(self.work / "suites")["stub"]

        class Stub(job.Job):
            def argv(self):
                return ["sh", "-c", f"printf '%s' '{log}' > {self.log}; {output}"]

        stub = Stub("stub", suite=suite)
        stub.out, stub.log = self.work / "out", self.work / "log"
        stub.show = lambda line: None
        stub.began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            stub.run()
        return stub.clean, stub.failed

    def test_a_forbidden_line_in_the_kernel_log_is_a_failure(self):
        self.assertEqual(self.machine("Linux version"), ("clean", 0))
        self.assertEqual(self.machine("BUG: KASAN: slab-use-after-free in grow"), ("dirty", 1))
        self.assertEqual(self.machine(""), ("none", 1))

    def test_skips_are_told_with_their_reasons(self):
        reader = Reader()
        for line in ("1..2", "# selftests: peershm:numa", "  1..1", "  # SKIP one node", "  ok 1 case # SKIP",
                     "ok 1 selftests: peershm:numa", "ok 2 whole # SKIP not here"):
            reader.feed(line)
        self.assertEqual(reader.skips, [("numa: case", "one node"), ("whole", "not here")])
        self.assertEqual((reader.planned, reader.results), (2, 2))

    def test_every_suite_and_kernel_is_there(self):
        suites = job.read_suites("tests/suites")
        kernels = {line.split()[0] for line in Path("tools/vm/kernels/suites").read_text().splitlines()
                   if line and not line.startswith("#")}
        self.assertLessEqual(kernels, suites.keys())
        for suite in suites.values():
            self.assertIn(suite.kernel, kernels | {"-", "kasan", "kcsan"})
            command = suite.command[0].replace("status", "make")
            self.assertTrue(command in ("vm", "make") or os.access(command, os.X_OK), command)

    def test_without_a_record_everything_has_changed(self):
        self.addCleanup(setattr, landed, "RECORD", landed.RECORD)
        landed.RECORD = self.work / "nightly.passed"
        self.assertIsNone(landed.changed())
        self.assertTrue(landed.module_changed())
        self.assertFalse(landed.only_words())
