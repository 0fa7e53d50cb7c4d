# SPDX-License-Identifier: GPL-2.0-only
"""Does tools/vm/run tell how a machine ended? A script stands in for QEMU."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

# As QEMU with a kernel does: counts its starts, writes a log, answers on its monitor.
BOOTS = """\
import os, re, sys, time
arguments = " ".join(sys.argv)
directory = os.path.dirname(re.search("file,id=log,path=([^ ]*)", arguments)[1])
with open("{boots}", "a+") as boots:
    boots.write("boot\\n")
    boots.seek(0)
    number = len(boots.readlines())
with open(directory + "/log", "w") as log:
    log.write("boots\\n")

monitor = int(re.search("socket,id=monitor,fd=([0-9]+)", arguments)[1])
if not os.fork():
    os.write(monitor, b"heard " + os.read(monitor, 100).split()[0] + b"\\n")
    os._exit(0)
"""
HANGS = "time.sleep(60)\n"
HANGS_ONCE = "number == 2 or time.sleep(60)\n"
COMES_UP = """\
nonce = re.search("nonce=(.*)", open(directory + "/command/vm/settings").read())[1]
with open(directory + "/log", "a") as log:
    log.write("{up}\\n")
time.sleep(7)
"""


class Machine(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.work = Path(directory.name)
        self.boots = self.work / "boots"

    def run_machine(self, interpreter, stub, *options):
        """The exit status of tools/vm/run with that in the place of QEMU."""
        qemu = self.work / "qemu-system-x86_64"
        qemu.write_text(f"#!{interpreter}\n{stub}")
        qemu.chmod(0o755)
        return subprocess.run(
            ["tools/vm/run", "--vmlinuz", qemu, "--no-module", "--accel", "tcg",
             "--log", self.work / "kernel.log", *options, "--", "true"],
            env=os.environ | {"PATH": f"{self.work}:{os.environ['PATH']}"}, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def shell(self, stub, *options):
        return self.run_machine("/bin/sh", stub, *options)

    def boot(self, stub, *options):
        """The exit status, and how often QEMU was started."""
        status = self.run_machine("/usr/bin/python3", BOOTS.format(boots=self.boots) + stub,
                                  "--boot", "4", *options)
        starts = len(self.boots.read_text().splitlines())
        self.boots.unlink()
        return status, starts

    def test_a_machine_that_never_ran_is_told_from_one_that_went_down(self):
        self.assertEqual(self.shell("exit 0"), 125)
        self.assertEqual(self.shell("exit 1"), 126)
        self.assertEqual(self.shell("kill -9 $$"), 126)
        self.assertEqual(self.shell("exec sleep 30", "--timeout", "1"), 124)

    def test_a_machine_that_hangs_in_its_boot_is_started_once_more(self):
        self.assertEqual(self.boot(HANGS, "--timeout", "12"), (124, 2))
        self.assertEqual((self.work / "kernel.hung.log").read_text(), "boots\nheard stop\n")
        self.assertEqual(self.boot(HANGS_ONCE, "--timeout", "60"), (125, 2))

    def test_a_machine_that_is_up_is_left_alone(self):
        up = re.search('^echo "(peershm-vm: .* is up)"', Path("tools/vm/init").read_text(), re.M)[1]
        self.assertIn("$nonce", up)
        stub = COMES_UP.format(up=up.replace("$nonce", '" + nonce + "'))
        self.assertEqual(self.boot(stub), (125, 1))
