# SPDX-License-Identifier: GPL-2.0-only
"""tools/rooms, on programs that are planted."""

import subprocess
import tempfile
import unittest
from pathlib import Path


class Rooms(unittest.TestCase):
    def rooms(self, sources, *order):
        """What tools/rooms says of files with that in them: its status and its lines."""
        with tempfile.TemporaryDirectory() as work:
            for name, text in sources.items():
                source = Path(work, name)
                source.parent.mkdir(exist_ok=True)
                source.write_text(text)
                subprocess.run(["cc", "-c", "-o", source.with_suffix(".o"), source], check=True)
            result = subprocess.run(["tools/rooms", work, work, *order], check=False,
                                    capture_output=True, text=True)
        return result.returncode, result.stdout.splitlines()

    FINE = {"main.c": "void up(void); int main(void) { up(); }",
            "upper/up.c": "void beside(void), low(void); void up(void) { beside(); low(); }",
            "upper/beside.c": "void low(void); void beside(void) { low(); }",
            "lower/low.c": "void low(void) {}"}

    def test_calls_downward_pass(self):
        self.assertEqual(self.rooms(self.FINE, "upper", "lower"), (0, []))

    def test_a_call_upward_fails(self):
        planted = {**self.FINE, "lower/wrong.c": "void beside(void); void wrong(void) { beside(); }"}
        self.assertEqual(self.rooms(planted, "upper", "lower"),
                         (1, ["lower/wrong.c calls up to upper/beside.c: beside"]))

    def test_a_circle_fails(self):
        planted = {**self.FINE, "upper/beside.c": "void up(void); void beside(void) { up(); }"}
        status, lines = self.rooms(planted, "upper", "lower")
        self.assertEqual(status, 1)
        self.assertEqual(lines[0], "a circle:")
        self.assertEqual(set(lines[1:]), {"  upper/up.c calls upper/beside.c: beside",
                                          "  upper/beside.c calls upper/up.c: up"})

    def test_a_file_in_no_room_fails(self):
        planted = {**self.FINE, "other/drawer.c": "void drawer(void) {}"}
        self.assertEqual(self.rooms(planted, "upper", "lower"),
                         (1, ["other/drawer.c: other is none of the rooms upper lower"]))

    def test_no_sources_fail(self):
        self.assertEqual(self.rooms({})[0], 1)
