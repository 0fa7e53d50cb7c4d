# SPDX-License-Identifier: GPL-2.0-only
"""What has changed since the last .ci/nightly passed.

tests/nightly.passed has git's hashes of what it passed on: the commit, its whole tree, and those
of what the module is made of, which stay the same when a commit is rebased. Where the tree is not
in the repository (a shallow clone), every file counts as changed.
"""

import subprocess
from pathlib import Path

RECORD = Path("tests/nightly.passed")
MODULE = ("kmod", "include/uapi", "Kbuild")


def _git(*arguments):
    ended = subprocess.run(["git", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else None


def recorded(name):
    """The hash of that name in the record, or None."""
    if not RECORD.exists():
        return None
    for line in RECORD.read_text(encoding="utf-8").splitlines():
        if line.split()[:1] == [name]:
            return line.split()[1]
    return None


def commit():
    """The commit of the record if the repository has it, or None."""
    passed = recorded("commit")
    return passed and _git("rev-parse", "--verify", "--quiet", f"{passed}^{{commit}}")


def head():
    """The commit that is checked out; something else without a repository."""
    return _git("rev-parse", "HEAD") or "0"


def _uncommitted(*paths):
    listed = _git("status", "--porcelain", "--", *paths)
    return None if listed is None else [line.split()[-1] for line in listed.splitlines()]


def changed():
    """The files that differ from the record, or None: unknown, so all may."""
    passed = recorded("tree")
    listed = passed and _git("diff", "--name-only", "--no-renames", passed, "HEAD:")
    edited = _uncommitted(".")
    if listed is None or passed is None or edited is None:
        return None
    return sorted({*listed.splitlines(), *edited})


def module_changed():
    """Is the module, or its ABI, another than what passed?"""
    return _uncommitted(*MODULE) != [] or \
        any(recorded(path) != _git("rev-parse", f"HEAD:{path}") for path in MODULE)


def only_words():
    """Do documents alone differ from what passed?"""
    names = changed()
    return names is not None and all(name.endswith(".md") or name == str(RECORD) for name in names)


def record():
    """Writes the record, unless the tree is not the one that a commit has. True if it did."""
    if _uncommitted(".") != []:
        return False
    hashes = {"commit": head(), "tree": _git("rev-parse", "HEAD:")}
    hashes.update((path, _git("rev-parse", f"HEAD:{path}")) for path in MODULE)
    lines = ["# What the last .ci/nightly passed on, which writes this: git's hashes."]
    lines += [f"{name} {value}" for name, value in hashes.items()]
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return True
