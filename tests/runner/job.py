# SPDX-License-Identifier: GPL-2.0-only
"""What tests/run runs: suites, before them the build, and beside it the kernels."""

import contextlib
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import landed, machine, process
from .ktap import Reader
from .places import lock

WORK = Path(os.environ.get("PEERSHM_RUN") or "build/run")  # its own tests take another
TIERS = ("words", "submission", "nightly")
LIMIT = 2 * 3600  # seconds, for a suite that does not end by itself
MACHINE_LIMIT = 3600  # for a machine
TURNS = 6
MAKE = os.environ.get("MAKE") or "make"

_print_lock = threading.Lock()


def say(*lines):
    with _print_lock:
        print(*lines, sep="\n", flush=True)


@dataclass
class Suite:
    """A line of tests/suites."""

    name: str
    kernel: str
    doses: dict
    places: int
    needs: set
    command: list

    def usual_dose(self):
        """Of one that is named: nightly's, or that of the one tier that takes it."""
        return next((dose for dose in reversed(self.doses.values()) if dose != "-"), "-")


def read_suites(path):
    suites = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, kernel, *doses, places, needs, command = line.split(None, 4 + len(TIERS))
        suites[name] = Suite(name, kernel, dict(zip(TIERS, doses)), int(places),
                             set(needs.split(",")), command.split())
    return suites


class Job:
    """A suite, or the build, that is run once."""

    def __init__(self, name, command=None, suite=None, dose="-", options=()):
        self.name, self.command, self.suite, self.dose = name, command, suite, dose
        self.out, self.log = WORK / f"{name}.out", WORK / f"{name}.log"
        self.places = suite.places if suite else 0
        self.kernel = machine.Kernel(suite.kernel) if suite and suite.kernel != "-" else None
        self.in_machine = bool(suite) and suite.command[0] == "vm"
        self.status_alone = bool(suite) and suite.command[0] == "status"
        self.reader = Reader()
        self.began = self.thread = None
        self.ended, self.release = False, "-"
        self.seconds, self.clean, self.notes, self.failures = 0, "-", [], []
        self.passed = self.failed = self.skipped = 0
        if suite:
            words = suite.command[1:] if self.status_alone else suite.command
            if options and "run_kselftest.sh" in words[1]:
                words = [*words[:2], "-u", *options]
            elif options:
                words = [word for word in words if word != "{dose}"] + list(options)
            self.turn = int(landed.head(), 16) % TURNS + 1
            self.command = [word.format(dose=dose, last=landed.commit(), turn=self.turn)
                            for word in words]

    def argv(self):
        if self.command[0] == "make":
            return [MAKE, "--no-print-directory", *self.command[1:]]
        if not self.in_machine:
            return self.command
        return self.kernel.machine(self.log, MACHINE_LIMIT) + self.kernel.report(
            ["env", f"PEERSHM_TEST_SCALE={self.dose}", *self.command[1:]])

    def show(self, line):
        say(f"{self.name}: {line}")

    def start(self, held, preparation):
        self.began = time.monotonic()
        self.release = preparation.release if preparation else "-"
        failed = preparation.failed if preparation else None
        self.thread = threading.Thread(target=self.run, args=(held, failed), daemon=True)
        self.thread.start()

    def run(self, held=(), failed=None):
        """Runs it, and judges. Whatever happens, there is a verdict, and the places are free."""
        try:
            self.show("begins" + (f" (dose {self.dose})" if self.dose not in ("-", "all") else ""))
            self.log.unlink(missing_ok=True)
            if failed:
                self.fail(failed)
            else:
                self.judge(self.execute(self.argv(), held))
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.fail(f"{type(error).__name__}: {error}")
        finally:
            for file in held:
                file.close()
            self.end()

    def execute(self, argv, held=(), mode="w"):
        with open(self.out, mode, encoding="utf-8") as out:
            def line(text):
                print(text, file=out, flush=True)
                if text.startswith("# left out: "):
                    self.notes.append(text.removeprefix("# left out: "))
                for shown in self.reader.feed(text):
                    self.show(shown)
            return process.run(argv, line, LIMIT, held)

    def fail(self, why):
        """A failure that no test of the suite stands for."""
        self.failed += 1
        self.failures.append(f"not ok {self.name} # {why}")
        self.show(self.failures[-1])

    def judge(self, status):
        if self.status_alone:
            self.passed = int(status == 0)
            if status:
                self.fail(f"exit status {status}")
                self.tail()
            return
        reader = self.reader
        if self.in_machine:
            found = machine.findings(self.log)
            self.clean = "none" if found is None else "dirty" if found else "clean"
        self.passed, self.failed = reader.passed or 0, reader.failed or 0
        self.skipped = reader.skipped or 0
        self.failures = list(reader.failures)
        if self.failed and not self.failures:
            self.failures.append(f"{self.failed} not ok, see {self.out}")
        explained = self.failed > 0
        if reader.passed is None:
            self.fail(f"no totals, exit status {status}")
        elif reader.results != reader.planned:
            self.fail(f"{reader.results} of {reader.planned} results, exit status {status}")
        elif status and not explained:
            self.fail(f"exit status {status}")
        elif not self.passed and not explained:
            self.fail("nothing passed")
        if self.clean == "dirty" and not explained:
            self.fail("the kernel log has what must not be there")
            say(*(f"{self.name}:   {line}" for line in found[:60]))
        elif self.clean == "none":
            self.fail("the machine left no kernel log")
        if self.in_machine and reader.passed is not None:
            for what in self.kernel.watched(self.out.read_text(encoding="utf-8"), self.command):
                self.fail(what)
        if (self.failed and not explained) or reader.passed is None:
            self.tail()

    def tail(self):
        lines = self.out.read_text(encoding="utf-8", errors="replace").splitlines()
        say(*(f"{self.name}: # {line}" for line in lines[-20:]))

    def end(self):
        self.seconds = round(time.monotonic() - self.began)
        self.ended = True
        self.show(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped "
                  f"in {self.seconds} s")

    def row(self):
        return (self.name, self.release, self.passed, self.failed, self.skipped, self.clean,
                self.seconds, "FAILED" if self.failed else "ok" if self.began else "not run")


class Build(Job):
    """Everything that is needed for the others; one test."""

    def __init__(self, jobs):
        super().__init__("build")
        needs = set().union(*(job.suite.needs for job in jobs)) - {"-", "unit"}
        targets = ["all", "kselftest"]
        targets += ["unit-programs"] * any("unit" in job.suite.needs for job in jobs)
        targets += ["bench-programs"] * ("bench" in needs)
        self.setup = [["tools/setup", "build", "test", *sorted(needs - {"test"})]]
        if any(job.kernel for job in jobs):  # before others ask apt for their kernels
            self.setup.append([*machine.Kernel("6.1").tool, "release"])
        make = [MAKE, "--no-print-directory", f"-j{os.cpu_count()}"]
        self.steps = [[*make, *targets], [*make, "-C", "tests", "install"]]
        self.ready = threading.Event()  # for the kernels: what builds them is installed

    def run(self, held=(), failed=None):
        self.began = time.monotonic()
        self.show("begins")
        mode = "w"
        with lock(WORK / "build.lock"):  # one make at a time in a tree
            for step in [*self.setup, *self.steps]:
                status = self.execute(step, mode=mode)
                mode = "a"
                if status:
                    self.fail(f"{' '.join(step)}: exit status {status}")
                    self.tail()
                    break
                if step is self.setup[-1]:
                    self.ready.set()
        self.passed = int(not self.failed)
        self.end()


class Preparation(threading.Thread):
    """Fetches or builds a kernel, and what its machines need, beside everything else."""

    _one_debug_kernel = threading.Lock()  # at a time: each takes all CPUs, and asks apt

    def __init__(self, kernel, with_module, build):
        super().__init__(daemon=True)
        self.kernel, self.with_module, self.build = kernel, with_module, build
        self.out = WORK / f"{kernel.name}.prepare"
        self.done, self.failed, self.release = threading.Event(), None, "-"

    def run(self):
        self.build.ready.wait()
        try:
            with open(self.out, "w", encoding="utf-8") as out:
                with self._one_debug_kernel if self.kernel.debug else contextlib.nullcontext():
                    self.step(self.kernel.fetch(), out)
                self.release = self.kernel.field("release")
                for command in self.kernel.build() if self.with_module else []:
                    self.step(command, out)
        except (OSError, subprocess.CalledProcessError) as error:
            self.failed = f"kernel {self.kernel.name}: {error} ({self.out})"
        finally:
            self.done.set()

    def step(self, command, out):
        status = process.run(command, lambda text: print(text, file=out, flush=True), LIMIT)
        if status:
            raise OSError(f"{' '.join(command)}: exit status {status}")
