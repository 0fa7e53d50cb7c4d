#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that nobody has to think of: each check of the module, without effect.

    tests/mutants/checks.py            lists them
    tests/mutants/checks.py NAME...    prints them as patches

A check is a condition of an `if` that ends in an error, `return false` or `continue`, one of a
`? -E... :`, what a function of type bool returns, or another value of `&&` or `||`. Of `a || b`
each part is left out, of `a && b` each part and all of it. A mutant's name is FILE:FUNCTION: and
what is taken for true always, or never.

No check is a test of what another function has answered (err, IS_ERR), nor one that ends in
ENOMEM: tests/kselftest/abi/injection.c has those fail.
"""

import difflib
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# differences between kernels, and init, which no test can have fail
LEFT_OUT = {"compat.h", "main.c"}
FUNCTION = re.compile(r"^(?P<head>[a-z][^;={}#]*?\b(?P<name>\w+)\([^;={}]*\))\n\{\n.*?^\}", re.M | re.S)
ANSWER = re.compile(r"!?[\w.>-]*\b(err|ret)|!?IS_ERR\w*\(.*\)|PTR_ERR.*|ret <= 0", re.S)
REFUSAL = re.compile(r"-E(?!NOMEM)[A-Z]\w+|\breturn false;|^continue;")
OPERATOR = re.compile(r"[&|!<>]|==")


@dataclass
class Check:
    """A part of a condition, from `start` to `end` of the file, that is to be `value`."""

    file: Path
    start: int
    end: int
    value: bool
    name: str

    def patch(self):
        source = self.file.read_text(encoding="utf-8")
        part = source[self.start:self.end]  # which may do something, so it is still there
        part = f"(({part}) || 1)" if self.value else f"(({part}) && 0)"
        mutant = source[:self.start] + part + source[self.end:]
        lines = (text.splitlines(keepends=True) for text in (source, mutant))
        return "".join(difflib.unified_diff(*lines, f"a/{self.file}", f"b/{self.file}"))


def without_comments(source):
    """The source, with blanks where comments and preprocessor lines are."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r"/\*.*?\*/|//[^\n]*|^#(?:[^\n]*\\\n)*[^\n]*", blank, source, flags=re.S | re.M)


def closing(source, start, also=""):
    """Where what is open at `start` is closed, or one of `also` comes before that."""
    depth = 0
    for place in range(start, len(source)):
        if depth == 0 and source[place] in also:
            return place
        depth += (source[place] in "({[") - (source[place] in ")}]")
        if depth < 0:
            return place
    raise ValueError(f"no end: {source[start:start + 60]}")


def split(source, start, end, operator):
    """The parts between the operators that are in no parentheses."""
    depth, pieces, begin = 0, [], start
    for place in range(start, end):
        depth += (source[place] in "([") - (source[place] in ")]")
        if depth == 0 and source.startswith(operator, place):
            pieces.append((begin, place))
            begin = place + len(operator)
    return [*pieces, (begin, end)]


def parts(source, start, end, refuses):
    """What of a condition is to be which value; it refuses something when it is `refuses`."""
    if len(split(source, start, end, "?")) > 1:
        return [(start, end, not refuses)]
    for operator in ("||", "&&"):
        operands = split(source, start, end, operator)
        if len(operands) > 1:
            # true without effect in `&&`, false in `||`
            each = [(*operand, operator == "&&") for operand in operands]
            return each + [(start, end, not refuses)] * ((operator == "&&") == refuses)
    return [(start, end, not refuses)]


def conditions(source, is_bool, start, end):
    """The conditions of a function: from where to where, and when they refuse something."""
    for match in re.compile(r"\bif \(").finditer(source, start, end):
        begin = match.end()
        stop = closing(source, begin)
        body = re.compile(r"\s*(\{?)").match(source, stop + 1)
        body = source[body.end():closing(source, body.end(), "" if body.group(1) else ";") + 1]
        if body.startswith(("goto ", "return result;")):  # with an error that is set before it
            body = "".join(source[start:begin].rsplit(";", 3)[1:])
        if REFUSAL.search(body):
            yield begin, stop, True
        elif is_bool and body == "return true;":
            yield begin, stop, False
    for match in re.compile(r"\breturn |[\w\]] = ").finditer(source, start, end):
        begin = match.end()
        stop = closing(source, begin, ";")
        condition, *answers = split(source, begin, stop, "?")
        if answers:
            yes, *no = split(source, *answers[0], ":")
            if REFUSAL.search(source[slice(*yes)]):
                yield *condition, True
            elif no and REFUSAL.search(source[slice(*no[0])]):
                yield *condition, False
        elif is_bool and match.group() == "return " and OPERATOR.search(source, begin, stop) or \
                any(len(split(source, begin, stop, operator)) > 1 for operator in ("&&", "||")):
            yield begin, stop, False


def found(source):
    """Function, start, end, and what is to be its value, of each check in a source."""
    source = without_comments(source)
    for function in FUNCTION.finditer(source):
        is_bool = re.search(r"\bbool\s", function["head"].split("(")[0])
        for place in conditions(source, is_bool, function.end("head"), function.end()):
            for start, end, value in parts(source, *place):
                text = source[start:end]
                start += len(text) - len(text.lstrip())
                end -= len(text) - len(text.rstrip())
                if not ANSWER.fullmatch(source, start, end):
                    yield function["name"], start, end, value


def checks():
    """All of them, in the order of the files."""
    every, names = [], Counter()
    for file in sorted(Path("kmod").rglob("*.[ch]")):
        if file.name in LEFT_OUT:
            continue
        source = file.read_text(encoding="utf-8")
        for function, start, end, value in found(source):
            name = (f"{file.relative_to('kmod')}:{function}: {'always' if value else 'never'} "
                    f"{' '.join(source[start:end].split())}")
            names[name] += 1
            name += f" ({names[name]})" * (names[name] > 1)
            every.append(Check(file, start, end, value, name))
    return every


def survivors():
    """What no test can catch, with the reason for each."""
    text = (Path(__file__).parent / "survivors").read_text(encoding="utf-8")
    return dict(re.findall(r"^(?![#\t])(.+)\n((?:\t.+\n)+)", text, re.M))


def main():
    every = {check.name: check for check in checks()}
    for name in sys.argv[1:]:
        print(every[name].patch(), end="")
    if not sys.argv[1:]:
        print("\n".join(every))


if __name__ == "__main__":
    main()
