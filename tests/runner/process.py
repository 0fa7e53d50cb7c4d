# SPDX-License-Identifier: GPL-2.0-only
"""Processes that end with the runner."""

import os
import select
import signal
import subprocess
import threading
import time

_groups = set()
_lock = threading.Lock()
_ending = False

# what a make that called us has to say is meant for its own tree
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}


def _kill(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def end_all():
    """Ends every process group there is, and any that is still to be started."""
    global _ending
    with _lock:
        _ending = True
        groups = list(_groups)
    for group in groups:
        _kill(group, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while _groups and time.monotonic() < deadline:
        time.sleep(0.05)
    for group in list(_groups):
        _kill(group, signal.SIGKILL)


def run(command, line, limit, held=(), env=None):
    """Runs a command in a process group of its own, calls line() for every line that it prints.

    Returns its exit status: 124 after `limit` seconds, 128 + N if signal N killed it. What it
    leaves running is ended as well: it would keep the files in `held`, the places.
    """
    with _lock:
        if _ending:
            return 143
        # should this process be killed, the command is told to end
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
            pass_fds=[file.fileno() for file in held], env=ENVIRONMENT | (env or {}))
        _groups.add(child.pid)
    deadline = time.monotonic() + limit
    status = None
    rest = b""
    output = [child.stdout]
    try:
        while True:
            readable = select.select(output, [], [], 1 if output else 0.1)[0]
            # what it has left running may still have its output
            if not readable and child.poll() is not None:
                break
            if time.monotonic() > deadline:
                _kill(child.pid, signal.SIGTERM if status is None else signal.SIGKILL)
                status = 124
                deadline += 15
            if not readable:
                continue
            data = os.read(child.stdout.fileno(), 65536)
            *lines, rest = (rest + data).split(b"\n")
            if not data:
                output = []
            for text in lines:
                line(text.decode(errors="replace").rstrip("\r"))
        if rest:
            line(rest.decode(errors="replace").rstrip("\r"))
        ended = child.wait()
    finally:
        _kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        _groups.discard(child.pid)
    return status or (128 - ended if ended < 0 else ended)
