# SPDX-License-Identifier: GPL-2.0-only
"""Places for virtual machines: as many as there are CPUs and memory for, at most MACHINES.

Runners that are at work in one tree at the same time share them. A place is a file in
build/beside: whoever holds its lock has the place, and every process that it starts inherits the
lock, so that a machine that outlives its runner still counts.
"""

import fcntl
import os
import time
from pathlib import Path

GIB = 9  # a machine of the largest kind, with QEMU


def room():
    """How many machines this computer has room for."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fits = max(1, min(memory // (GIB << 30), len(os.sched_getaffinity(0))))
    return min(fits, int(os.environ.get("MACHINES") or fits))


def lock(path, wait=True):
    """The open, locked file, or None if another process has the lock and we are not to wait."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    return file


class Places:
    def __init__(self, directory="build/beside"):
        self.directory = Path(directory)
        self.count = room()

    def take(self, number=1):
        """Waits for so many places, or for all there are; returns the locked files.

        Who waits holds the lock of the queue, so that the one who has waited for longest gets
        the next place, and nobody holds one place while another holds the second.
        """
        taken = {}
        with lock(self.directory / "queue"):
            while len(taken) < min(number, self.count):
                for place in range(1, self.count + 1):
                    if place not in taken and len(taken) < number:
                        held = lock(self.directory / str(place), wait=False)
                        if held:
                            taken[place] = held
                time.sleep(0.2)
        time.sleep(0.2)  # others in the queue come before what this process asks for next
        return list(taken.values())
