# SPDX-License-Identifier: GPL-2.0-only
"""The virtual machines of the tests: kernels, the module for them, and how they are started."""

import os
import re
import subprocess
from pathlib import Path

from . import process


class Kernel:
    """A line of tools/vm/kernels/suites, or one of the kernels that watch: kasan, kcsan."""

    def __init__(self, name):
        self.name = name
        self.debug = name in ("kasan", "kcsan")
        self.tool = ["tools/vm/kernels/kernel", name]

    def field(self, field):
        return subprocess.run([*self.tool, field], stdin=subprocess.DEVNULL, check=True,
                              stdout=subprocess.PIPE, text=True, env=process.ENVIRONMENT).stdout.strip()

    def fetch(self):
        """The command that sees to it that the kernel is there, the newest there is."""
        if self.debug:  # ten minutes of both CPUs, and what waits for it is longest
            return [*self.tool, "release"]
        # without a network, what was fetched before will do
        return ["sh", "-c", 'tools/vm/kernels/kernel --update "$1" || tools/vm/kernels/kernel "$1"',
                "sh", self.name]

    def tree(self):
        """Where the module for it is built."""
        return f"build/module/{self.name if self.debug else self.field('release')}"

    def build(self):
        """The commands that build for it what goes into its machines."""
        commands = [["tools/vm/kernels/module", "--tree", self.tree(), self.field("headers")]]
        if not self.debug and self.field("arch") != "amd64":
            commands.append(["tools/vm/kernels/userspace", self.field("arch")])
        return commands

    def machine(self, log, limit, module=None):
        """How a machine is started; what it is to run is still to be added."""
        return ["tools/vm/run", "--kernel", self.name, "--suite", *["--memory", "8G"] * self.debug,
                "--module", module or f"{self.tree()}/peershm.ko",
                "--timeout", str(limit), "--log", str(log), "--"]

    def report(self, command):
        """The command in the machine, and then what KCSAN has watched."""
        if self.name != "kcsan":
            return command
        return ["sh", "-c", '"$@"; status=$?; cat /sys/kernel/debug/kcsan; exit $status', "sh", *command]

    def watched(self, output, command):
        """What a kernel that watches has not looked at, though that is what it is for."""
        if self.name == "kcsan" and not re.search(r"^setup_watchpoints: [1-9]", output, re.M):
            yield "KCSAN has watched no access"
        if self.debug and re.search(r"^  # SKIP .*(no fault injection|cannot be set)", output, re.M):
            yield "allocations and copies have to fail, and did not"
        if self.name == "kasan" and "-u" in command and \
                not re.search(r"^ok \d+ unload: nothing leaked", output, re.M):
            yield "kmemleak has to look, and to find nothing"


def forbidden():
    """What no kernel log may have, as one pattern."""
    lines = Path("tools/vm/forbidden").read_text(encoding="utf-8").splitlines()
    return re.compile("|".join(f"(?:{line})" for line in lines if line and not line.startswith("#")))


def findings(log):
    """None without a log, else its forbidden lines, each with what follows it."""
    if not os.path.exists(log) or not os.path.getsize(log):
        return None
    pattern = forbidden()
    lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    found, until = [], 0
    for number, line in enumerate(lines):
        if pattern.search(line):
            until = number + 12
        if number < until:
            found.append(line)
    return found
